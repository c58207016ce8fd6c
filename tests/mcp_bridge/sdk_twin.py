"""One catalogue served twice: by our door, as a service of a provider, and by the official SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from gateway.testing import FakeGateway
from tests.mcp_bridge.conftest import INTEGERS
from tests.mcp_bridge.wire import MODERN, Door, Wire

POINT: Final = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
}
PIXEL: Final = "iVBORw0KGgo="

RESULTS: Final[dict[str, dict[str, Any]]] = {
    "text": {"content": [{"type": "text", "text": "hello"}]},
    "point": {"content": [{"type": "text", "text": '{"x":1}'}], "structuredContent": {"x": 1}},
    "picture": {"content": [{"type": "image", "data": PIXEL, "mimeType": "image/png"}]},
    "mixed": {
        "content": [
            {"type": "text", "text": "see"},
            {"type": "resource", "resource": {"uri": "demo://a", "text": "A"}},
            {"type": "resource_link", "uri": "demo://b", "name": "b"},
        ]
    },
    "failing": {"content": [{"type": "text", "text": "no luck"}], "isError": True},
}
TOOLS: Final[list[dict[str, Any]]] = [
    {
        "name": name,
        "title": name.title(),
        "description": f"Gives {name}.",
        "inputSchema": INTEGERS if name == "text" else {"type": "object", "properties": {}},
        "annotations": {"readOnlyHint": True},
        **({"outputSchema": POINT} if name == "point" else {}),
    }
    for name in RESULTS
]
RESOURCE: Final = {
    "uri": "demo://note",
    "name": "note",
    "description": "A note.",
    "mimeType": "text/plain",
}
TEMPLATE: Final = {"uriTemplate": "demo://{id}/data", "name": "data", "mimeType": "text/plain"}
PROMPT: Final = {
    "name": "review",
    "description": "Review.",
    "arguments": [{"name": "code", "description": "What to review", "required": True}],
}
INSTRUCTIONS: Final = "Demonstrates."


def messages(code: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": {"type": "text", "text": f"Review {code}"}}]


def ours() -> Door:
    """Our door in front of a provider with this catalogue."""
    gateway = FakeGateway()
    api = {
        "tools": [{**tool, "handler": _giving(RESULTS[tool["name"]])} for tool in TOOLS],
        "resources": [
            {**RESOURCE, "read": lambda: "a note"},
            {**TEMPLATE, "read": _data_of},
        ],
        "prompts": [{**PROMPT, "read": lambda code: messages(code)}],
    }
    gateway.add_service(
        "ws-lab/worker:calc", api, visibility="public", type="mcp", description=INSTRUCTIONS
    )
    return Door(gateway)


def _data_of(id: str) -> str:
    return f"data of {id}"


def _giving(result: dict[str, Any]) -> Any:
    return lambda a=0, b=0: result


@asynccontextmanager
async def theirs() -> AsyncIterator[Wire]:
    """The server of the SDK with the same."""
    server: Server[Any] = Server(
        "sdk",
        version="1",
        instructions=INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
        on_list_resources=_list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=_read_resource,
        on_list_prompts=_list_prompts,
        on_get_prompt=_get_prompt,
        on_completion=_complete,
    )
    app = server.streamable_http_app(json_response=True, stateless_http=True)
    async with app.router.lifespan_context(app):
        yield Wire(app, "/mcp")


CACHE: Final[dict[str, Any]] = {"ttlMs": 0, "cacheScope": "public"}


async def _list_tools(_ctx: Any, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult.model_validate({"tools": TOOLS, **CACHE})


async def _call_tool(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    if params.name not in RESULTS:
        raise MCPError(-32602, f"Unknown tool: {params.name}")
    return types.CallToolResult.model_validate(RESULTS[params.name])


async def _list_resources(_ctx: Any, _params: Any) -> types.ListResourcesResult:
    return types.ListResourcesResult.model_validate({"resources": [RESOURCE], **CACHE})


async def _list_templates(_ctx: Any, _params: Any) -> types.ListResourceTemplatesResult:
    result = {"resourceTemplates": [TEMPLATE], **CACHE}
    return types.ListResourceTemplatesResult.model_validate(result)


async def _read_resource(
    ctx: Any, params: types.ReadResourceRequestParams
) -> types.ReadResourceResult:
    uri = str(params.uri)
    texts = {"demo://note": "a note", "demo://7/data": "data of 7"}
    if uri not in texts:
        is_modern = ctx.protocol_version == MODERN
        raise MCPError(-32602 if is_modern else -32002, "Resource not found", {"uri": uri})
    contents = [{"uri": uri, "mimeType": "text/plain", "text": texts[uri]}]
    return types.ReadResourceResult.model_validate({"contents": contents, **CACHE})


async def _list_prompts(_ctx: Any, _params: Any) -> types.ListPromptsResult:
    return types.ListPromptsResult.model_validate({"prompts": [PROMPT], **CACHE})


async def _get_prompt(_ctx: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    given = params.arguments or {}
    if params.name != "review" or "code" not in given:
        raise MCPError(-32602, "Unknown prompt")
    result = {"description": "Review.", "messages": messages(given["code"])}
    return types.GetPromptResult.model_validate(result)


async def _complete(_ctx: Any, _params: Any) -> types.CompleteResult:
    return types.CompleteResult.model_validate(
        {"completion": {"values": [], "total": 0, "hasMore": False}}
    )
