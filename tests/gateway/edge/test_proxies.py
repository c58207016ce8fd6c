"""Whose word counts about where a request comes from."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.edge.proxies import Proxies
from gateway.requests import UNKNOWN


def asked(*headers: tuple[str, str], peer: str | None = "10.0.0.9", kind: str = "http") -> Any:
    return {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "client": (peer, 4711) if peer else None,
        "headers": [(k.lower().encode(), v.encode()) for k, v in (("host", "inner"), *headers)],
    }


def resolved(scope: Any, *trusted: str) -> str:
    return Proxies(trusted).resolve(scope, dict(scope["headers"]))


def test_nobody_is_believed_unless_the_operator_says_so() -> None:
    sent = (("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Proto", "https"))
    for trusted in ((), ("10.0.0.8",)):
        scope = asked(*sent, ("X-Forwarded-Host", "evil.example"))
        assert resolved(scope, *trusted) == "10.0.0.9"
        assert (scope["scheme"], scope["headers"][0]) == ("http", (b"host", b"inner"))
        assert scope["client"] == ("10.0.0.9", 4711)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("1.1.1.1", "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 10.1.2.3", "1.1.1.1"),
        ("6.6.6.6, nonsense, 10.1.2.3", "10.1.2.3"),
        ("10.3.3.3, 10.1.2.3", "10.3.3.3"),
        ("1.1.1.1:5000", "1.1.1.1"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("", "10.0.0.9"),
    ],
)
def test_the_last_address_that_is_no_trusted_proxy_is_the_client(
    forwarded: str, address: str
) -> None:
    scope = asked(("X-Forwarded-For", forwarded))
    assert resolved(scope, "10.0.0.0/8") == address
    assert scope["client"][0] == address


def test_several_headers_are_one_list() -> None:
    scope = asked(("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "1.1.1.1"))
    assert resolved(scope, "10.0.0.9") == "1.1.1.1"


def test_scheme_and_host_are_those_that_the_client_used() -> None:
    sent = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "gate.example:8443"))
    scope = asked(*sent)
    resolved(scope, "10.0.0.9")
    assert (scope["scheme"], dict(scope["headers"])[b"host"]) == ("https", b"gate.example:8443")
    websocket = asked(*sent, kind="websocket")
    resolved(websocket, "10.0.0.9")
    assert websocket["scheme"] == "wss"


@pytest.mark.parametrize("host", ["a b", "a/b", "a\r\nx: y", "user@host", ""])
def test_what_is_no_host_is_not_taken_for_one(host: str) -> None:
    scope = asked(("X-Forwarded-Host", host), ("X-Forwarded-Proto", "gopher"))
    resolved(scope, "10.0.0.9")
    assert (scope["scheme"], dict(scope["headers"])[b"host"]) == ("http", b"inner")


def test_a_peer_without_an_address_has_a_name() -> None:
    assert resolved(asked(("X-Forwarded-For", "1.1.1.1"), peer=None), "10.0.0.0/8") == UNKNOWN


def test_an_ipv4_peer_of_an_ipv6_socket_is_recognised() -> None:
    scope = asked(("X-Forwarded-For", "1.1.1.1"), peer="::ffff:10.0.0.9")
    assert resolved(scope, "10.0.0.0/8") == "1.1.1.1"
