"""Uses an MCP endpoint with the handshake-era SDK (mcp 1.x), and prints what it got. Argument: URL.

Runs in an environment of its own, because both generations of the SDK are called ``mcp``.
"""

# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main(url: str) -> None:
    progress: list[list[object]] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append([done, message])

    async with (
        streamablehttp_client(url) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        about = await session.initialize()
        await session.send_ping()
        tools = (await session.list_tools()).tools
        greeted = await session.call_tool("greet", {"name": "Alice"})
        refused = await session.call_tool("greet", {"greeting": "Hi"})
        failed = await session.call_tool("fail", {})
        counted = await session.call_tool("count", {"n": 3}, progress_callback=on_progress)
        result = {
            "version": about.protocolVersion,
            "server": about.serverInfo.name,
            "tools": {tool.name: tool.inputSchema for tool in tools},
            "greeted": [greeted.isError, greeted.content[0].text],
            "refused": refused.isError,
            "failed": [failed.isError, failed.content[0].text],
            "counted": [counted.isError, counted.content[0].text],
            "progress": progress,
        }
    print(json.dumps(result))


asyncio.run(main(*sys.argv[1:]))
