"""Uses an MCP endpoint through LangChain's adapters, and prints what it got. Argument: URL."""

# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import sys

from langchain_core.tools import ToolException
from langchain_mcp_adapters.client import MultiServerMCPClient


async def main(url: str) -> None:
    client = MultiServerMCPClient({"offer": {"transport": "streamable_http", "url": url}})
    tools = {tool.name: tool for tool in await client.get_tools()}
    greeted = await tools["greet"].ainvoke({"name": "Ada"})
    try:
        refused = "Invalid arguments" in str(await tools["greet"].ainvoke({"greeting": "Hi"}))
    except ToolException:
        refused = True
    text = greeted if isinstance(greeted, str) else greeted[0]["text"]
    print(json.dumps({"tools": list(tools), "greeted": text, "refused": refused}))


asyncio.run(main(*sys.argv[1:]))
