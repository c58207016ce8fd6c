"""What is not there: how addresses without a route are answered."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings

NOWHERE = "/no/such/page"
PAGE = {"origin": "https://a.example"}


def app_of(**settings: Any) -> Any:
    return create_app(Settings(ephemeral=True, **settings))


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


async def test_nothing_is_told_in_the_form_that_is_asked_for() -> None:
    async with client_of(app_of()) as client:
        answer = await client.get(NOWHERE)
        assert answer.json()["code"] == "not_found"
        answer = await client.get(NOWHERE, headers={"accept": "application/problem+json"})
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "File not found: no/such/page",
            "code": "not_found",
        }


async def test_a_page_of_another_origin_learns_that_nothing_is_there() -> None:
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    async with client_of(app_of()) as client:
        preflight = await client.options(NOWHERE, headers=PAGE | asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert preflight.headers["access-control-allow-methods"] == "POST"
        assert preflight.headers["access-control-allow-headers"] == "authorization"
        refused = await client.post(NOWHERE, headers=PAGE)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert refused.headers["access-control-allow-origin"] == "*"


async def test_the_options_of_the_server_can_be_asked_for() -> None:
    app, sent = app_of(), []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "OPTIONS", "path": "*", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert sent[0]["status"] == 204
    assert (b"allow", b"GET, HEAD, OPTIONS") in sent[0]["headers"]


@pytest.mark.parametrize(
    ("path", "base_path"), [(NOWHERE, "/"), ("/ws/more", "/"), ("/ws", "/gw"), ("/gwx/ws", "/gw")]
)
async def test_a_websocket_to_nowhere_is_not_found(path: str, base_path: str) -> None:
    """Not 403, which clients take for an older server, and try in another way."""
    app, sent = app_of(base_path=base_path), []
    events = asyncio.Queue[Any]()
    events.put_nowait({"type": "websocket.connect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": []}
    await app(scope, events.get, send)
    assert sent[0]["type"] == "websocket.http.response.start"
    assert sent[0]["status"] == 404
