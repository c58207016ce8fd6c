"""A whole gateway without sockets: all doors of one application, and clients that join it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import Parts, create_app
from gateway.settings import Settings

MCP = {"accept": "application/json, text/event-stream"}


@pytest.fixture
def app() -> FastAPI:
    return create_app(Settings(ephemeral=True, port=9527, root_token="r0" * 20))


@pytest.fixture
def parts(app: FastAPI) -> Parts:
    found: Parts = app.state.parts
    return found


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as client:
        yield client


async def statuses(
    http: httpx.AsyncClient, workspace: str, headers: dict[str, str]
) -> dict[str, int]:
    """How each door answers a request with these headers."""
    ping: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    url = f"/{workspace}"
    answers = {
        "list": await http.get(f"{url}/services", headers=headers),
        "info": await http.get(f"{url}/info", headers=headers),
        "service": await http.get(f"{url}/services/svc", headers=headers),
        "call": await http.post(f"{url}/services/svc/f", json={}, headers=headers),
        "manager": await http.post(f"{url}/services/ws/get_env", json={}, headers=headers),
        "apps": await http.get(f"{url}/apps/svc/", headers=headers),
        "mcp": await http.post(f"{url}/mcp/svc/mcp", json=ping, headers=headers | MCP),
    }
    for answer in answers.values():
        assert "Traceback" not in answer.text and ".py" not in answer.text
    return {door: answer.status_code for door, answer in answers.items()}
