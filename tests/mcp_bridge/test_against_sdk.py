"""The same requests to our door and to the server of the official SDK get the same kind of answer.

Only what the specification leaves no choice about; where ours differs on purpose (``Accept``,
content types, requests whose header was dropped), ``test_bad_input`` says what it does.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types
import pytest
from mcp.server.lowlevel import Server

from tests.mcp_bridge.conftest import INTEGERS
from tests.mcp_bridge.wire import META, MODERN, Door, Response, Wire, message

TOOL = types.Tool(name="add", description="Add two integers.", input_schema=INTEGERS)


async def _list(_ctx: Any, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[TOOL], ttl_ms=0, cache_scope="public")


async def _call(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    given = params.arguments or {}
    text = types.TextContent(type="text", text=str(given["a"] + given["b"]))
    return types.CallToolResult(content=[text], structured_content=given["a"] + given["b"])


def broken(**change: Any) -> dict[str, Any]:
    return {"change": change}


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a list": ("tools/list", {}, {}),
    "a call": ("tools/call", {"name": "add", "arguments": {"a": 2, "b": 3}}, {}),
    "discovery": ("server/discover", {}, {}),
    "an unknown method": ("tools/destroy", {}, {}),
    "ping": ("ping", {}, {}),
    "a log level": ("logging/setLevel", {"level": "info"}, {}),
    "no Mcp-Method": ("tools/list", {}, {"headers": {"mcp-method": None}}),
    "another Mcp-Method": ("tools/list", {}, {"headers": {"mcp-method": "ping"}}),
    "no Mcp-Name": ("tools/call", {"name": "add"}, {"headers": {"mcp-name": None}}),
    "another Mcp-Name": ("tools/call", {"name": "add"}, {"headers": {"mcp-name": "sub"}}),
    "another version in the header": (
        "tools/list",
        {"_meta": {f"{META}protocolVersion": "2099-01-01"}},
        {},
    ),
    "an unknown version": (
        "tools/list",
        {"_meta": {f"{META}protocolVersion": "2099-01-01"}},
        {"headers": {"mcp-protocol-version": "2099-01-01"}},
    ),
    "no capabilities": ("tools/list", {"_meta": {f"{META}clientCapabilities": None}}, {}),
    "a null id": ("tools/list", {}, broken(id=None)),
    "a fractional id": ("tools/list", {}, broken(id=1.5)),
    "a boolean id": ("tools/list", {}, broken(id=True)),
    "another JSON-RPC": ("tools/list", {}, broken(jsonrpc="1.0")),
    "params that are no object": ("tools/list", {}, broken(params=[])),
    "a version twice": ("tools/list", {}, {"more": [("mcp-protocol-version", MODERN)]}),
    "a foreign host": ("tools/list", {}, {"headers": {"host": "evil.example"}}),
    "a foreign origin": ("tools/list", {}, {"headers": {"origin": "https://evil.example"}}),
}


def outcome(response: Response) -> tuple[int, object, object]:
    """Status, error code, and the keys of the result."""
    try:
        body = json.loads(response.body)
    except json.JSONDecodeError:  # the SDK answers some transport errors in plain text
        return response.status, "refused", None
    if "error" in body:
        code = body["error"]["code"] if response.status not in (403, 421) else "refused"
        return response.status, code, None
    # The SDK writes out the default, false.
    return response.status, None, sorted(body["result"].keys() - {"isError"})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_answer_is_of_the_same_kind(
    door: Door, case: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    method, params, change = case
    body, headers = message(MODERN, method, params, change.get("headers"))
    if body["params"]["_meta"].get(f"{META}clientCapabilities", 0) is None:
        del body["params"]["_meta"][f"{META}clientCapabilities"]
    body |= change.get("change", {})
    ours = await door.send(body, headers=headers, more=change.get("more"))

    server: Server[Any] = Server(
        "sdk", version="1", instructions="Adds.", on_list_tools=_list, on_call_tool=_call
    )
    app = server.streamable_http_app(json_response=True, stateless_http=True)
    async with app.router.lifespan_context(app):
        theirs = await Wire(app, "/mcp").send(body, headers=headers, more=change.get("more"))
    assert outcome(ours) == outcome(theirs)
