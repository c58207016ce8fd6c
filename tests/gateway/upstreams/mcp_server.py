"""An MCP server to be an upstream of the gateway, with everything that such servers do, also wrong.

``python mcp_server.py [http PORT] [--state FILE]``; what is in the state file decides how it
behaves: ``changed`` (a tool says something else), ``more`` (one more).
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

STATE = Path(sys.argv[sys.argv.index("--state") + 1]) if "--state" in sys.argv else None
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def state() -> str:
    return STATE.read_text() if STATE is not None and STATE.exists() else ""


server = MCPServer(
    "demo", title="Demo", instructions="Add before you multiply.", log_level="CRITICAL"
)


class Point(BaseModel):
    x: int
    y: int | None = None


class Sure(BaseModel):
    sure: bool


@server.tool(annotations=ToolAnnotations(readOnlyHint=True), title="Addition")
def add(a: Annotated[int, Field(description="first")], b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def power(n: Annotated[int, Field(le=2**256)]) -> int:
    """Two to the n."""
    return int(2**n)


@server.tool(name="get-user")
def get_user(id: str) -> dict[str, str]:
    """A name that is no identifier."""
    return {"id": id}


@server.tool()
def point(x: int) -> Point:
    """An object."""
    return Point(x=x)


@server.tool()
def text(value: str) -> CallToolResult:
    """Text alone, with a note."""
    return CallToolResult(
        content=[TextContent(type="text", text=value)], _meta={"demo/note": "kept"}
    )


@server.tool()
def picture() -> Image:
    """An image."""
    return Image(data=PIXEL, format="png")


@server.tool()
def environment(name: str) -> str:
    """A variable of its environment."""
    return os.environ.get(name, "")


@server.tool()
def fail() -> str:
    """It raises."""
    raise ToolError("the disk is full")


@server.tool()
def crash() -> str:
    """It takes the server with it."""
    print("about to crash", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
async def count(n: int, ctx: Context) -> str:
    """It tells how far it is."""
    for i in range(n):
        await ctx.report_progress(i + 1, n, f"step {i + 1}")
    return f"{n} steps"


@server.tool()
async def wait(file: str) -> str:
    """It notes in a file that it began, and that it was cancelled."""
    await asyncio.to_thread(Path(file).write_text, "began")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        Path(file).write_text("cancelled")
        raise
    return "done"


@server.tool()
async def renew(ctx: Context) -> str:
    """Offer one more tool from now on, and say so."""
    server.add_tool(lambda: "new", name="newcomer", description="It was not there before.")
    await ctx.notify_tools_changed()  # to clients that listen
    await ctx.session.send_tool_list_changed()  # to older ones
    return "renewed"


@server.tool()
async def ask(ctx: Context) -> str:
    """It asks the user."""
    answer = await ctx.elicit("Are you sure?", Sure)
    return f"{answer.action} {getattr(answer, 'data', None)}"


@server.tool()
def header(name: str, ctx: Context) -> str:
    """A header of the request."""
    headers = ctx.headers or {}
    return headers.get(name.lower(), "")


GREETING = ["hello"]


@server.resource("demo://greeting", mime_type="text/plain")
def greeting() -> str:
    """A greeting."""
    return GREETING[0]


@server.resource("demo://farewell", mime_type="text/plain")
def farewell() -> str:
    """It stays the same."""
    return "bye"


@server.tool()
async def greet(text: str, ctx: Context) -> str:
    """Greet in another way from now on, and say so."""
    GREETING[0] = text
    await ctx.notify_resource_updated("demo://greeting")
    return text


@server.resource("demo://item/{id}")
def item(id: str) -> str:
    """One of many."""
    return f"item {id}"


@server.prompt()
def introduce(name: str) -> str:
    """Introduce somebody."""
    return f"This is {name}"


def main() -> None:
    description = "Now it says something else." if state() == "changed" else "The pinned one."
    server.add_tool(lambda: "pinned", name="pinned", description=description)
    if state() == "more":
        server.add_tool(lambda: "more", name="more", description="One more.")
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", port=int(sys.argv[2]))
    else:
        print("Welcome! This line is no message.", flush=True)
        server.run("stdio")


if __name__ == "__main__":
    main()
