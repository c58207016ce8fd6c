"""Opening a connection and being shaped for a revision, in both eras."""

from __future__ import annotations

import mcp_types
import pytest
from mcp_types import jsonrpc, version

from gateway.testing import FakeGateway
from mcp_bridge import errors, revisions
from tests.mcp_bridge.conftest import described
from tests.mcp_bridge.wire import CALC, LEGACY, META, MODERN, Door

CLIENT = {"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def test_constants_are_those_of_the_official_types() -> None:
    assert tuple(revisions.KNOWN) == version.KNOWN_PROTOCOL_VERSIONS
    assert tuple(revisions.MODERN) == version.MODERN_PROTOCOL_VERSIONS
    assert revisions.LATEST_LEGACY.name == version.LATEST_HANDSHAKE_VERSION
    assert revisions.PROTOCOL_VERSION_KEY == mcp_types.PROTOCOL_VERSION_META_KEY
    assert revisions.CLIENT_CAPABILITIES_KEY == mcp_types.CLIENT_CAPABILITIES_META_KEY
    assert revisions.SERVER_INFO_KEY == mcp_types.SERVER_INFO_META_KEY
    names = {
        "PARSE_ERROR": errors.PARSE_ERROR,
        "INVALID_REQUEST": errors.INVALID_REQUEST,
        "METHOD_NOT_FOUND": errors.METHOD_NOT_FOUND,
        "INVALID_PARAMS": errors.INVALID_PARAMS,
        "INTERNAL_ERROR": errors.INTERNAL_ERROR,
        "HEADER_MISMATCH": errors.HEADER_MISMATCH,
        "MISSING_REQUIRED_CLIENT_CAPABILITY": errors.MISSING_CLIENT_CAPABILITY,
        "UNSUPPORTED_PROTOCOL_VERSION": errors.UNSUPPORTED_VERSION,
    }
    assert {name: getattr(jsonrpc, name) for name in names} == names


async def test_discover_names_only_stateless_versions_and_what_is_served(door: Door) -> None:
    response = await door.request(MODERN, "server/discover")
    result = response.result
    info = result["_meta"].pop(f"{META}serverInfo")
    assert result == {
        "supportedVersions": [MODERN],
        "capabilities": {"tools": {"listChanged": True}},
        "instructions": "Adds.",
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "public",
        "_meta": {},
    }
    assert (info["name"], info["title"]) == ("calc", "Calculator")


@pytest.mark.parametrize("asked", LEGACY)
async def test_initialize_agrees_to_every_handshake_version(door: Door, asked: str) -> None:
    params = {"protocolVersion": asked, **CLIENT}
    response = await door.request(None, "initialize", params)
    result = response.result
    assert result["protocolVersion"] == asked
    assert result["capabilities"] == {"tools": {}}
    assert result["instructions"] == "Adds."
    assert ("title" in result["serverInfo"]) == (asked >= "2025-06-18")
    assert not {"resultType", "ttlMs", "cacheScope", "_meta"} & result.keys()
    assert "mcp-session-id" not in response.headers


@pytest.mark.parametrize("asked", ["2020-01-01", MODERN, "nonsense"])
async def test_initialize_answers_other_versions_with_the_newest(door: Door, asked: str) -> None:
    params = {"protocolVersion": asked, **CLIENT}
    result = (await door.request(None, "initialize", params)).result
    assert result["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"protocolVersion": 5, **CLIENT},
        {"protocolVersion": "2025-06-18", "clientInfo": CLIENT["clientInfo"]},
        {"protocolVersion": "2025-06-18", "capabilities": {}},
        {**CLIENT, "protocolVersion": "2025-06-18", "clientInfo": {"name": "x"}},
    ],
)
async def test_initialize_without_its_parameters_is_refused(
    door: Door, params: dict[str, object]
) -> None:
    response = await door.request(None, "initialize", params)
    assert (response.status, response.error["code"]) == (200, -32602)


@pytest.mark.parametrize("asked", [None, *LEGACY])
async def test_ping_and_log_level_have_empty_results_for_handshake_clients(
    door: Door, asked: str | None
) -> None:
    assert (await door.request(asked, "ping")).result == {}
    assert (await door.request(asked, "logging/setLevel", {"level": "info"})).result == {}
    bad = await door.request(asked, "logging/setLevel", {"level": "loud"})
    assert bad.error["code"] == -32602


async def test_a_body_with_a_version_is_not_served_as_a_handshake_client(door: Door) -> None:
    meta = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}}
    response = await door.request("2025-11-25", "tools/list", {"_meta": meta})
    assert (response.status, response.error["code"]) == (400, -32020)


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_trailing_slash_is_served_without_redirect(door: Door, slash: str) -> None:
    assert (await door.request(MODERN, "tools/list", path=CALC + slash)).status == 200


RICH = {
    "content": [
        {"type": "text", "text": "hi", "_meta": {"k": 1}},
        {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "x://y", "name": "Y"},
    ],
    "structuredContent": {"n": 1},
    "_meta": {"own": True},
}


@pytest.mark.parametrize("asked", [*LEGACY, MODERN])
async def test_a_result_has_only_what_the_revision_knows(gateway: FakeGateway, asked: str) -> None:
    gateway.add_service("ws-lab/worker:rich", {"rich": lambda: RICH}, visibility="public")
    door = Door(gateway)
    path = "/ws-lab/mcp/rich/mcp"
    response = await door.request(asked, "tools/call", {"name": "rich"}, path=path)
    result = response.result
    kinds = [block["type"] for block in result["content"]]
    if asked == "2024-11-05":
        assert kinds == ["text", "resource", "text"]
    elif asked == "2025-03-26":
        assert kinds == ["text", "audio", "text"]
        assert result["content"][2]["text"] == "Y: x://y"
        assert "_meta" not in result["content"][0]
    else:
        assert result["content"] == RICH["content"]
    assert ("structuredContent" in result) == (asked >= "2025-06-18")
    assert ("resultType" in result) == (asked == MODERN)
    assert result["_meta"]["own"] is True
    assert (f"{META}serverInfo" in result["_meta"]) == (asked == MODERN)


@pytest.mark.parametrize("asked", [*LEGACY, MODERN])
async def test_a_tool_has_only_what_the_revision_knows(gateway: FakeGateway, asked: str) -> None:
    def look() -> None: ...

    hints = {"readOnlyHint": True, "unknownHint": True, "idempotentHint": "yes"}
    function = described(look, {"type": "object", "properties": {}}, annotations=hints)
    gateway.add_service("ws-lab/worker:eye", {"a.b": function}, visibility="public")
    response = await Door(gateway).request(asked, "tools/list", path="/ws-lab/mcp/eye/mcp")
    (tool,) = response.result["tools"]
    expected = {
        "name": "a_b",
        "description": "a_b",
        "inputSchema": {"type": "object", "properties": {}},
    }
    if asked >= "2025-03-26":
        expected["annotations"] = {"readOnlyHint": True}
    if asked >= "2025-06-18":
        expected["title"] = "a.b"
        expected["_meta"] = {"polyport/function": "a.b"}
    assert tool == expected


@pytest.mark.parametrize("value", [5, 1.5, True, [1], {"a": 1}, None, "text"])
@pytest.mark.parametrize("asked", ["2025-03-26", "2025-11-25", MODERN])
async def test_structured_content_is_an_object_before_the_stateless_era(
    door: Door, asked: str, value: object
) -> None:
    result = await door.call("echo", {"value": value}, version=asked)
    has = not isinstance(value, str) and value is not None
    if asked == "2025-03-26" or (asked == "2025-11-25" and not isinstance(value, dict)):
        has = False
    assert result.get("structuredContent", "absent") == (value if has else "absent")
