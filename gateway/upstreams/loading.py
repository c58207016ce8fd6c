"""Brings in the libraries that only upstreams need, beside the work of the server."""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType
from typing import Final

from gateway.observability import quiet_mcp_client

_PACKAGE: Final = "gateway.upstreams"


async def mcp_client() -> ModuleType:
    """The client for MCP servers, ``mcp_client.opening``. The first import takes a second; requests
    are answered meanwhile."""
    quiet_mcp_client()
    return await _loaded("mcp_client.opening")


async def api_client() -> ModuleType:
    """The client for HTTP APIs, ``openapi.calling``."""
    return await _loaded("openapi.calling")


async def _loaded(module: str) -> ModuleType:
    return await asyncio.to_thread(importlib.import_module, f"{_PACKAGE}.{module}")
