"""An MCP server whose tools want something of the client, in the way of either era.

``python asking_server.py`` speaks over pipes; ``server()`` is for an HTTP server.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import InputRequiredResult

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"sure": {"type": "boolean"}}}
WANTED: dict[str, Any] = {
    "elicit": types.ElicitRequest(
        params=types.ElicitRequestFormParams(message="Are you sure?", requested_schema=SCHEMA)
    ),
    "sample": types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(
            messages=[
                types.SamplingMessage(
                    role="user", content=types.TextContent(type="text", text="Say hi")
                )
            ],
            max_tokens=10,
        )
    ),
    "roots": types.ListRootsRequest(),
}


Answer = types.CallToolResult | InputRequiredResult


async def asked(kind: str, ctx: Context) -> Any:
    """The answer, or what asks for it."""
    if (ctx.protocol_version or "") >= "2026":
        answers = ctx.input_responses
        if answers is None:
            return InputRequiredResult(input_requests={kind: WANTED[kind]}, request_state="state-1")
        return answers[kind]
    session = ctx.session
    with warnings.catch_warnings(action="ignore"):
        if kind == "elicit":
            return await session.elicit_form("Are you sure?", SCHEMA, ctx.request_id)
        if kind == "sample":
            params = WANTED[kind].params
            return await session.create_message(
                params.messages, max_tokens=10, related_request_id=ctx.request_id
            )
        return await session.list_roots()


def shown(answer: Any) -> Answer:
    """As text, unless it is a question."""
    if isinstance(answer, InputRequiredResult):
        return answer
    text = json.dumps(answer.model_dump(mode="json", by_alias=True, exclude_none=True))
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def server() -> MCPServer:
    """A new one."""
    made = MCPServer("demo", log_level="CRITICAL")

    @made.tool()
    async def elicit(ctx: Context) -> Answer:
        return shown(await asked("elicit", ctx))

    @made.tool()
    async def sample(ctx: Context) -> Answer:
        return shown(await asked("sample", ctx))

    @made.tool()
    async def roots(ctx: Context) -> Answer:
        return shown(await asked("roots", ctx))

    @made.tool()
    async def tell(ctx: Context) -> str:
        await ctx.report_progress(1, 2, "half")
        with warnings.catch_warnings(action="ignore"):
            await ctx.warning("careful")
        return "told"

    @made.tool()
    def capabilities(ctx: Context) -> list[str]:
        can = ctx.client_capabilities
        return sorted(can.model_dump(exclude_none=True)) if can is not None else []

    return made


if __name__ == "__main__":
    server().run("stdio")
