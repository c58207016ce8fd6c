"""The log of requests: what is in it, and that no secret ever is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.edge.access_log import LOGGER
from gateway.settings import Settings

CANARY = "canary-7d81"
SECRET_HEADERS = (
    {"authorization": f"Bearer {CANARY}"},
    {"authorization": f"Basic {CANARY}"},
    {"cookie": f"access_token={CANARY}"},
    {"x-api-key": CANARY, "x-request-id": f"{CANARY} with spaces"},
)
SECRET_PATHS = (
    f"/public/services/ws/echo?data={CANARY}",
    f"/public/services?token={CANARY}",
    f"/public/apps/x/?{CANARY}",
    f"/rpc?client_id=c&token={CANARY}&reconnection_token={CANARY}",
    f"/public/mcp/ws/mcp?token={CANARY}",
    f"/login?key={CANARY}",
)


class Written:
    """What the gateway has written so far."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capture.readouterr().err
        return self._text


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What is written, with the logging of the tests put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Written(capsys)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(LOGGER).setLevel(logging.NOTSET)


async def ask(path: str, *, method: str = "GET", settings: Any = None, **more: Any) -> None:
    app = create_app(Settings(ephemeral=True, access_log=True, **(settings or {})))
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.request(method, path, **more)


async def test_a_request_is_one_json_object(log: Written) -> None:
    headers = {"x-request-id": "r-1"}
    await ask("/public/services?x=1", headers=headers, settings={"log_format": "json"})
    line = json.loads(log.getvalue())
    assert line.pop("duration_ms") >= line.pop("first_byte_ms") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "gateway.access",
        "event": "request",
        "request_id": "r-1",
        "method": "GET",
        "route": "/{workspace}/services",
        "status": 200,
        "user": "anonymouz-http",
        "client": "192.0.2.7",
    }


async def test_a_request_is_one_line_for_people(log: Written) -> None:
    await ask("/public/services")
    (line,) = log.getvalue().splitlines()
    assert " INFO gateway.access request request_id=" in line
    assert "method=GET route=/{workspace}/services status=200 duration_ms=" in line


async def test_the_method_of_an_mcp_request_is_told(log: Written) -> None:
    headers = {"accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    path = "/public/mcp/hypha-login/mcp"
    json_lines = {"log_format": "json"}
    await ask(path, method="POST", json=body, headers=headers, settings=json_lines)
    line = json.loads(log.getvalue())
    assert (line["operation"], line["route"]) == ("ping", "/{workspace}/mcp/{service}/mcp")


@pytest.mark.parametrize("format", ["json", "console"])
async def test_no_secret_gets_into_the_log(log: Written, format: str) -> None:
    settings = Settings(
        ephemeral=True,
        access_log=True,
        log_level="DEBUG",
        log_format=format,
    )
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for headers in SECRET_HEADERS:
            for path in SECRET_PATHS:
                await client.get(path, headers=headers)
                await client.post(path, headers=headers, json={"password": CANARY})
    written = log.getvalue()
    assert "status=" in written or '"status":' in written
    assert CANARY not in written


async def test_without_the_setting_requests_are_not_logged(log: Written) -> None:
    app = create_app(Settings(ephemeral=True))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
    ) as client:
        await client.get("/public/services")
    assert log.getvalue() == ""


async def test_a_value_cannot_be_taken_for_another_line(log: Written) -> None:
    await ask("/public/services")
    logging.getLogger("gateway.x").warning("odd", extra={"fields": {"user": "a b=c\nfake"}})
    assert log.getvalue().splitlines()[-1].endswith('user="a b=c\\nfake"')
