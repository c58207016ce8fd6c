"""A gateway in the process of the test, with upstreams that are programs of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import CallOptions
from gateway.app import Parts, build
from gateway.settings import Settings
from gateway.upstreams.upstreams import Service
from schema.identity import ROOT_USER, Caller
from schema.services import ServiceInfo
from tests.patience import PATIENCE_SECONDS

SERVER = Path(__file__).parent / "mcp_server.py"
ROOT = Caller(ROOT_USER, "public")
CONTENT = CallOptions(wants_content=True)


def program(*args: str, **more: Any) -> dict[str, Any]:
    """An entry for the server of these tests."""
    return {"command": sys.executable, "args": [str(SERVER), *args], **more}


@asynccontextmanager
async def running(path: Path, servers: dict[str, Any], **settings: Any) -> AsyncIterator[Parts]:
    """A gateway with these upstreams, as the file of its configuration has them."""
    file = path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    settings = {"ephemeral": True, **settings}
    parts, _ = build(Settings(port=9527, mcp_config=file, **settings))
    await parts.load()
    await parts.upstreams.start()
    try:
        yield parts
    finally:
        await parts.close()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a program to start waits for as long as that takes on a busy machine."""
    for name in (
        "entries.DEFAULT_START_SECONDS",
        "functions.FIRST_START_SECONDS",
        "publishing.EXPECT_SECONDS",
        "server.RECOVERY_SECONDS",
    ):
        monkeypatch.setattr(f"gateway.upstreams.{name}", PATIENCE_SECONDS)


Run = Callable[..., Awaitable[Parts]]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Start a gateway with upstreams."""
    async with AsyncExitStack() as gateways:

        async def run(servers: dict[str, Any], **settings: Any) -> Parts:
            return await gateways.enter_async_context(running(tmp_path, servers, **settings))

        yield run


async def find(parts: Parts, name: str = "demo", caller: Caller = ROOT) -> ServiceInfo:
    """The service of an upstream."""
    return await parts.gateway.find_service(caller, "public", name)


async def call(
    parts: Parts, function: str, options: CallOptions | None = None, /, **arguments: Any
) -> Any:
    """Call a function of the upstream ``demo``."""
    service = await find(parts)
    return await parts.gateway.call(
        ROOT, service, function, (), arguments, options or CallOptions()
    )


def status(parts: Parts, name: str = "demo") -> Service:
    """The upstream behind a service."""
    return parts.upstreams.get("public", name)


class Older:
    """In front of a server: it has never heard of the newer era."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"server/discover" in dict(scope["headers"]).values():
            body = json.dumps(
                {"jsonrpc": "2.0", "id": None, "error": {"code": -32601, "message": "What?"}}
            ).encode()
            kind = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 400, "headers": kind})
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, send)


@asynccontextmanager
async def listening(app: ASGIApp, **config: Any) -> AsyncIterator[int]:
    """Serve an application in this process; gives the port."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, **{"port": 0, **config}))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something holds that something else brings about, without an event."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
