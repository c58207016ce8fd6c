"""Uses an MCP endpoint through the OpenAI Agents SDK, without a model, and prints what it got.

Argument: URL.
"""

# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import sys

from agents.mcp import MCPServerStreamableHttp


async def main(url: str) -> None:
    server = MCPServerStreamableHttp(params={"url": url}, client_session_timeout_seconds=60)
    async with server:
        tools = [tool.name for tool in await server.list_tools()]
        greeted = await server.call_tool("greet", {"name": "Ada"})
        refused = await server.call_tool("greet", {"name": {"first": "Ada"}})
    text = greeted.content[0].text
    print(json.dumps({"tools": tools, "greeted": text, "refused": refused.isError}))


asyncio.run(main(*sys.argv[1:]))
