"""The outermost layer: every answer has the id of its request, also those of failures."""

from __future__ import annotations

import logging

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.app import create_app
from gateway.counters import Counters
from gateway.edge.bounds import bounds_of
from gateway.edge.middleware import Edge
from gateway.requests import record_of
from gateway.settings import Settings


def edge(app: ASGIApp) -> Edge:
    settings = Settings(anonymous_requests_per_second=0, user_requests_per_second=0)
    return Edge(app, settings, bounds_of(settings), Counters())


def client_of(app: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/liveness", 200),
        ("GET", "/public/services", 200),
        ("GET", "/no-such/services/at-all", 404),
        ("GET", "/nothing/here/at/all", 404),
        ("POST", "/public/mcp/nothing/mcp", 415),
        ("DELETE", "/public/services", 405),
        ("GET", "/rpc", 400),
    ],
)
async def test_every_answer_has_the_id_of_its_request(method: str, path: str, status: int) -> None:
    async with client_of(create_app(Settings(ephemeral=True))) as client:
        answer = await client.request(method, path, headers={"x-request-id": "my-id"})
        assert (answer.status_code, answer.headers.get_list("x-request-id")) == (status, ["my-id"])
        first, second = [await client.request(method, path) for _ in "12"]
        assert len({answer.headers["x-request-id"] for answer in (first, second)}) == 2


async def test_an_id_that_is_not_sane_or_not_one_is_replaced() -> None:
    seen: list[list[bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append([value for name, value in scope["headers"] if name == b"x-request-id"])
        record = record_of(scope)
        assert record is not None
        assert seen[-1] == [record.request_id.encode()]
        headers = [(b"x-request-id", b"the application's own")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with client_of(edge(app)) as client:
        for sent in ([("x-request-id", "a b")], [("x-request-id", "a"), ("x-request-id", "a")], []):
            answer = await client.get("/", headers=sent)
            assert answer.headers.get_list("x-request-id") == [seen[-1][0].decode()]
            assert seen[-1][0] not in (b"a", b"a b")


async def test_a_failure_that_nobody_expected_is_an_answer_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("/etc/secret")

    async with client_of(edge(app)) as client:
        answer = await client.get("/", headers={"x-request-id": "r-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == "r-1"
    assert "request_failed" in caplog.text
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
