"""Which token a request carries, and whom it makes the caller."""

from __future__ import annotations

import base64

import httpx
import pytest

from gateway.testing import FakeGateway
from http_proxy.callers import token_of
from schema.errors import Unauthenticated


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("authorization", "cookie", "token"),
    [
        (None, None, None),
        (b"Bearer abc", None, "abc"),
        (b"bearer abc", None, "abc"),
        (b"BEARER   abc ", None, "abc"),
        (basic("git:abc"), None, "abc"),
        (basic(":a:b"), None, "a:b"),
        (b"abc", None, "abc"),
        (None, b"access_token=abc", "abc"),
        (None, b'x=1; access_token="abc"; y=2', "abc"),
        (None, b"access_token=a=b==", "a=b=="),
        (None, b"x=1; not_access_token=abc", None),
        (None, b"access_token=", None),
        (b"Bearer abc", b"access_token=other", "abc"),
    ],
)
def test_a_token_is_read_from_its_carriers(
    authorization: bytes | None, cookie: bytes | None, token: str | None
) -> None:
    assert token_of(authorization, cookie) == token


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Bearer", b"Bearer ", b"Bearer a b", b"Basic", b"Basic %%%", b"Basic \xff",
     basic("no colon"), basic("user:"), b"Basic " + base64.b64encode(b"\xff:\xff"),
     b'Digest username="x"'],
)  # fmt: skip
def test_an_authorization_header_that_cannot_be_read_is_refused(authorization: bytes) -> None:
    with pytest.raises(Unauthenticated):
        token_of(authorization, b"access_token=good")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer good"},
        {"Authorization": "good"},
        {"Authorization": basic("x:good").decode()},
        {"Cookie": "access_token=good"},
        {"Authorization": "Bearer good", "Cookie": "access_token=bad"},
    ],
)
async def test_a_good_token_reaches_a_protected_service(
    client: httpx.AsyncClient, gateway: FakeGateway, headers: dict[str, str]
) -> None:
    answer = await client.get("/ws-lab/services/private/add?a=1&b=2", headers=headers)
    assert (answer.status_code, answer.json()) == (200, 3)
    caller = gateway.calls[0][0]
    assert (caller.user.id, caller.workspace) == ("alice", "ws-lab")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer bad"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Bearer bad", "Cookie": "access_token=good"},
        {"Cookie": "access_token=bad"},
    ],
)
async def test_a_bad_token_is_refused_even_where_none_is_needed(
    client: httpx.AsyncClient, gateway: FakeGateway, headers: dict[str, str]
) -> None:
    answer = await client.get("/ws-lab/services/calc/add?a=1&b=2", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (answer.json()["success"], answer.json()["code"]) == (False, "unauthenticated")
    assert gateway.calls == []


async def test_a_token_in_the_url_is_an_argument_like_any_other(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await client.get("/ws-lab/services/calc/echo?access_token=good&token=good")
    assert answer.status_code == 200
    assert gateway.calls[0][0].user.is_anonymous
    refused = await client.get("/ws-lab/services/private/add?a=1&b=2&access_token=good")
    assert refused.status_code == 403


async def test_several_authorization_headers_are_refused(client: httpx.AsyncClient) -> None:
    headers = [("Authorization", "Bearer good"), ("Authorization", "Bearer bad")]
    answer = await client.get("/ws-lab/services/private/add?a=1&b=2", headers=headers)
    assert answer.status_code == 401


async def test_cookies_may_come_in_several_headers(client: httpx.AsyncClient) -> None:
    headers = [("Cookie", "a=1"), ("Cookie", "access_token=good")]
    answer = await client.get("/ws-lab/services/private/add?a=1&b=2", headers=headers)
    assert answer.json() == 3


async def test_a_request_without_a_token_is_anonymous(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    for _ in range(2):
        await client.get("/ws-lab/services/calc/add?a=1&b=2")
    callers = [call[0] for call in gateway.calls]
    assert [c.user.id for c in callers] == ["anonymouz-http"] * 2
    assert callers[0].workspace == "ws-anonymous"
