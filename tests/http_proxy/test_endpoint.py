"""What all resources have in common: methods, cross-origin access, unexpected failures."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.testing import FakeGateway
from schema.errors import InternalError
from tests.http_proxy.asgi import Exchange

ADD = "/ws-lab/services/calc/add"
PATHS = [f"{ADD}?a=1&b=2", "/ws-lab/services", "/ws-lab/services/", "/ws-lab/services/calc"]


@pytest.mark.parametrize("path", PATHS)
async def test_head_answers_like_get_without_a_body(client: httpx.AsyncClient, path: str) -> None:
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == got.headers


@pytest.mark.parametrize("path", PATHS)
async def test_what_a_user_is_answered_is_stored_by_nobody(
    client: httpx.AsyncClient, path: str
) -> None:
    for headers in ({"authorization": "Bearer good"}, {"cookie": "access_token=good"}):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
    assert "cache-control" not in (await client.get(path)).headers, "is the same for everybody"


async def test_head_of_what_is_missing_has_no_body_either(client: httpx.AsyncClient) -> None:
    answer = await client.head("/ws-lab/services/calc/missing")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", ADD, "GET, HEAD, POST, OPTIONS"),
        ("DELETE", ADD, "GET, HEAD, POST, OPTIONS"),
        ("PATCH", ADD, "GET, HEAD, POST, OPTIONS"),
        ("POST", "/ws-lab/services", "GET, HEAD, OPTIONS"),
        ("POST", "/ws-lab/services/calc", "GET, HEAD, OPTIONS"),
        ("POST", "/ws-lab/services/calc/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_other_methods_are_refused_and_the_offered_ones_named(
    client: httpx.AsyncClient, gateway: FakeGateway, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["code"] == "method_not_allowed"
    assert gateway.calls == []


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", f"{ADD}?a=1&b=2", {}),
        ("GET", "/ws-lab/services", {}),
        ("GET", "/ws-lab/services/calc/missing", {}),
        ("GET", "/ws-none/services", {}),
        ("GET", ADD, {"Authorization": "Bearer bad"}),
        ("PUT", ADD, {}),
        ("GET", f"{ADD}?a=1&b=2", {"Origin": "https://elsewhere.example"}),
    ],
)
async def test_every_answer_may_be_read_from_any_origin_without_cookies(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await client.request(method, path, headers=headers)
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_allows_what_it_asks_for(client: httpx.AsyncClient, path: str) -> None:
    headers = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, x-anything",
    }
    answer = await client.options(path, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization, x-anything"
    assert "GET" in answer.headers["access-control-allow-methods"].split(", ")
    assert int(answer.headers["access-control-max-age"]) > 0


async def test_a_preflight_needs_no_token(client: httpx.AsyncClient) -> None:
    answer = await client.options(ADD, headers={"Authorization": "Bearer bad"})
    assert answer.status_code == 204


async def test_an_unexpected_failure_is_logged_once_and_not_told(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(gateway, "find_service", broken)
    with caplog.at_level(logging.DEBUG, logger="http_proxy"):
        answer = await client.get(f"{ADD}?a=1&b=2")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    (record,) = caplog.records
    assert record.getMessage().startswith("http_request_failed")


async def test_a_defect_that_the_gateway_noticed_is_logged_too(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(*args: Any, **kwargs: Any) -> Any:
        raise InternalError("Internal error") from RuntimeError("secret detail")

    monkeypatch.setattr(gateway, "call", broken)
    answer = await client.get(f"{ADD}?a=1&b=2")
    assert (answer.status_code, answer.json()["detail"]) == (500, "Internal error")
    assert "secret detail" in caplog.text


async def test_a_refused_request_is_not_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="http_proxy"):
        await client.get("/ws-lab/services/calc/missing")
    assert not caplog.records


async def test_a_failure_to_send_is_left_to_the_server(app: Starlette) -> None:
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message["type"])
        raise OSError("gone")

    scope = Exchange(app, f"{ADD}?a=1&b=2").scope
    with pytest.raises(OSError, match="gone"):
        await app(scope, receive, send)
    assert sent == ["http.response.start"]
