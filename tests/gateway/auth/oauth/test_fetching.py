"""Documents of clients, read over real https from a server that an authority vouches for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.auth.oauth import fetching
from gateway.auth.oauth.fetching import CannotFetch, Document, fetch_document
from tests.certificates import Authority
from tests.secure_site import SecureSite, secure_site

HOST = "app.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def site(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SecureSite]:
    """A server called app.example, as if its address were one of the public internet."""

    async def found(host: str, port: int) -> str:
        return "127.0.0.1"

    monkeypatch.setattr(fetching, "public_address", found)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with secure_site(authority.context(HOST, "localhost")) as site:
        site.shows(b'{"client_id": "x"}')
        yield site


async def test_a_document_is_read_at_the_address_that_was_checked(site: SecureSite) -> None:
    site.shows(b'{"client_id": "x"}', "cache-control: public, max-age=60")
    document = await fetch_document(f"https://{HOST}:{site.port}/client.json?v=1")
    assert document == Document({"client_id": "x"}, 60.0)
    (request,) = site.requests
    assert request.startswith("GET /client.json?v=1 HTTP/1.1\r\n")
    assert f"host: {HOST}:{site.port}\r\n" in request.lower()
    assert "cookie" not in request.lower()


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
async def test_a_server_whose_certificate_has_another_name_is_not_heard(
    site: SecureSite, host: str
) -> None:
    with pytest.raises(CannotFetch, match="cannot be reached"):
        await fetch_document(f"https://{host}:{site.port}/client.json")
    assert site.requests == []


async def test_a_server_that_nobody_vouches_for_is_not_heard(
    site: SecureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(CannotFetch, match="cannot be reached"):
        await fetch_document(f"https://{HOST}:{site.port}/client.json")
    assert site.requests == []


async def test_a_redirect_leads_nowhere(site: SecureSite) -> None:
    site.shows(b"", "location: https://127.0.0.1/secret", status="302 Found")
    with pytest.raises(CannotFetch, match="status 302"):
        await fetch_document(f"https://{HOST}:{site.port}/client.json")
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"\xff", b"[" * 30_000, json.dumps({"a": "x" * 40_000}).encode()],
)
async def test_what_is_no_small_json_object_is_refused(site: SecureSite, body: bytes) -> None:
    site.shows(body)
    with pytest.raises(CannotFetch):
        await fetch_document(f"https://{HOST}:{site.port}/client.json")


async def test_a_server_that_does_not_answer_is_left(
    site: SecureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    site.answer = b""
    with pytest.raises(CannotFetch, match=r"in time|Timeout"):
        await fetch_document(f"https://{HOST}:{site.port}/client.json")


async def test_private_addresses_are_for_operators_to_allow(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with secure_site(authority.context("localhost", "127.0.0.1")) as site:
        site.shows(b"{}")
        for host in ("localhost", "127.0.0.1"):
            url = f"https://{host}:{site.port}/client.json"
            with pytest.raises(CannotFetch, match="not on the public internet"):
                await fetch_document(url)
            assert site.requests == []
            assert (await fetch_document(url, may_be_private=True)).content == {}
            site.requests.clear()
