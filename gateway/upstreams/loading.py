"""Brings in the libraries that only upstreams need, beside the work of the server."""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType
from typing import Any

from gateway.observability import quiet_mcp_client


class _McpClient:
    """What is used of ``mcp_client``."""

    def __init__(self, link: ModuleType, transports: ModuleType) -> None:
        self.opened: Any = link.opened
        self.Diagnosis: Any = transports.Diagnosis


async def mcp_client() -> _McpClient:
    """The client for MCP servers. The first import takes a second; requests are answered
    meanwhile."""
    package = "gateway.upstreams.mcp_client"
    quiet_mcp_client()
    link = await asyncio.to_thread(importlib.import_module, f"{package}.link")
    transports = importlib.import_module(f"{package}.transports")
    return _McpClient(link, transports)
