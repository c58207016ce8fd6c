"""The MCP door behind a real socket, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from gateway.extensions import ExtensionContext
from gateway.settings import Settings
from gateway.testing import FakeGateway
from mcp_bridge.exchange import Timing
from mcp_bridge.routes import mcp_routes
from tests.patience import PATIENCE_SECONDS


@asynccontextmanager
async def served(
    gateway: FakeGateway, timing: Timing | None = None, **settings: Any
) -> AsyncIterator[str]:
    """The address of a server on a free port."""
    context = ExtensionContext(gateway, Settings(**settings))
    app = Starlette(routes=mcp_routes(context, timing or Timing()))
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not server.started:
                await asyncio.sleep(0)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/ws-lab/mcp/calc/mcp"
    finally:
        server.should_exit = True
        await serving
