"""Calls a tool of a local MCP server with the handshake-era SDK (mcp 1.x). Arguments: how the
server is started."""

# mypy: ignore-errors

from __future__ import annotations

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(command: str, *words: str) -> None:
    server = StdioServerParameters(command=command, args=list(words), env=dict(os.environ))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = await session.list_tools()
        result = await session.call_tool(tools.tools[0].name, {"page": 2})
        print(result.content[0].text)


asyncio.run(main(*sys.argv[1:]))
