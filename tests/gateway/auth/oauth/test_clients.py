"""Clients whose id is the address of their metadata."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.auth.oauth.clients import OAuthClients
from gateway.auth.oauth.errors import InvalidClient, OAuthError
from gateway.auth.oauth.fetching import CannotFetch, Document, fetch_document

URL = "https://app.example/oauth/client.json"
GOOD = {"client_id": URL, "client_name": "App", "redirect_uris": ["http://127.0.0.1/cb"]}


class Web:
    """The documents that can be fetched, and how often they were."""

    def __init__(self, **content: Any) -> None:
        self.document = Document({**GOOD, **content}, max_age=100)
        self.fetched = 0
        self.now = 0.0

    async def fetch(self, url: str) -> Document:
        self.fetched += 1
        return self.document

    def clients(self) -> OAuthClients:
        return OAuthClients("key", fetch=self.fetch, clock=lambda: self.now)


async def test_a_client_is_what_its_address_says() -> None:
    web = Web()
    clients = web.clients()
    client = await clients.find(URL)
    assert (client.name, client.host) == ("App", "app.example")
    assert client.redirect_uris == ("http://127.0.0.1/cb",)
    web.now = 99
    await clients.find(URL)
    assert web.fetched == 1
    web.now = 101
    await clients.find(URL)
    assert web.fetched == 2


@pytest.mark.parametrize(
    "content",
    [
        {"client_id": "https://other.example/client.json"},
        {"client_id": None},
        {"redirect_uris": []},
        {"redirect_uris": ["http://app.example/cb"]},
        {"client_secret": "x"},
        {"token_endpoint_auth_method": "client_secret_post"},
    ],
)
async def test_a_document_that_is_not_the_clients_own_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(OAuthError):
        await Web(**content).clients().find(URL)


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example",
        "https://app.example/",
        "https://app.example/a/../b",
        "https://app.example/a#b",
        "https://me:pw@app.example/a",
        "https:///a",
        "https://app.example:99999/a",
        "https://app.example/" + "a" * 1000,
    ],
)
async def test_an_address_with_two_spellings_is_no_client(url: str) -> None:
    web = Web()
    with pytest.raises(InvalidClient):
        await web.clients().find(url)
    assert web.fetched == 0


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "10.0.0.1", "169.254.169.254"]
)
async def test_nothing_is_fetched_from_inside(host: str) -> None:
    with pytest.raises(CannotFetch, match="not on the public internet"):
        await fetch_document(f"https://{host}/client.json")


async def test_a_registration_is_good_for_the_server_that_made_it() -> None:
    metadata = {"redirect_uris": ["https://app.example/cb"]}
    client_id = OAuthClients("one").register(metadata)["client_id"]
    assert (await OAuthClients("one").find(client_id)).redirect_uris == ("https://app.example/cb",)
    with pytest.raises(InvalidClient):
        await OAuthClients("two").find(client_id)
