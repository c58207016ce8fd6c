"""Brings in the libraries that only upstreams need, beside the work of the server."""

from __future__ import annotations

import asyncio
import importlib
from importlib.metadata import version
from types import ModuleType
from typing import Final

from gateway.observability import quiet_mcp_client
from schema.errors import Unavailable

NEEDED: Final = (2, 3)
"""Version of the MCP SDK from which there is a client for both eras. The rest of the gateway runs
beside an older one too, which some clients cannot do without."""

_PACKAGE: Final = "gateway.upstreams"


async def mcp_client() -> ModuleType:
    """The client for MCP servers, ``mcp_client.opening``. The first import takes a second; requests
    are answered meanwhile. Raises Unavailable if the installed SDK has none."""
    check_sdk(version("mcp"))
    quiet_mcp_client()
    return await _loaded("mcp_client.opening")


def check_sdk(installed: str) -> None:
    """Raises Unavailable for a version that is too old."""
    numbers = [int(part) for part in installed.split(".")[:2] if part.isdigit()]
    if tuple(numbers) < NEEDED:
        raise Unavailable(
            f"MCP servers behind the gateway need mcp {'.'.join(map(str, NEEDED))} or newer, and "
            f"{installed} is installed here"
        )


async def api_client() -> ModuleType:
    """The client for HTTP APIs, ``openapi.calling``."""
    return await _loaded("openapi.calling")


async def _loaded(module: str) -> ModuleType:
    return await asyncio.to_thread(importlib.import_module, f"{_PACKAGE}.{module}")
