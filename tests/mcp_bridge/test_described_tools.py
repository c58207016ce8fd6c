"""What a provider can say about its tools: results, hints, titles, icons."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import FakeGateway
from tests.mcp_bridge.conftest import INTEGERS, described
from tests.mcp_bridge.wire import LEGACY, MODERN, Door

PATH = "/ws-lab/mcp/told/mcp"
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
}


def told(gateway: FakeGateway, functions: dict[str, Any], **config: Any) -> Door:
    gateway.add_service(
        "ws-lab/worker:told", functions, config={"visibility": "public", "mcp": config}
    )
    return Door(gateway)


async def tools(door: Door, version: str = MODERN) -> dict[str, Any]:
    result = (await door.request(version, "tools/list", path=PATH)).result
    return {tool["name"]: tool for tool in result["tools"]}


async def called(door: Door, name: str, version: str = MODERN, **arguments: Any) -> Any:
    params = {"name": name, "arguments": arguments}
    return (await door.request(version, "tools/call", params, path=PATH)).result


@pytest.mark.parametrize("key", ["outputSchema", "returns"])
async def test_a_declared_result_is_shown_and_structured(gateway: FakeGateway, key: str) -> None:
    door = told(gateway, {"at": described(lambda: {"x": 1}, {}, **{key: POINT})})
    assert (await tools(door))["at"]["outputSchema"] == POINT
    assert (await called(door, "at"))["structuredContent"] == {"x": 1}


async def test_a_result_unlike_its_declaration_keeps_its_text_alone(gateway: FakeGateway) -> None:
    door = told(gateway, {"at": described(lambda: {"y": 1}, {}, outputSchema=POINT)})
    result = await called(door, "at")
    assert "structuredContent" not in result
    assert result["content"] == [{"type": "text", "text": '{"y":1}'}]


async def test_a_result_that_is_no_object_is_wrapped_for_older_clients(
    gateway: FakeGateway,
) -> None:
    number = {"type": "integer"}
    door = told(gateway, {"count": described(lambda: 3, {}, returns=number)})
    assert (await tools(door))["count"]["outputSchema"] == number
    assert (await called(door, "count"))["structuredContent"] == 3
    old = LEGACY[-1]
    wrapped = {"type": "object", "properties": {"result": number}, "required": ["result"]}
    assert (await tools(door, old))["count"]["outputSchema"] == wrapped
    assert (await called(door, "count", old))["structuredContent"] == {"result": 3}


async def test_a_bad_output_schema_costs_only_itself(gateway: FakeGateway) -> None:
    bad = {"$ref": "https://example.com/schema.json"}
    door = told(gateway, {"at": described(lambda: 1, {}, outputSchema=bad)})
    assert "outputSchema" not in (await tools(door))["at"]
    assert (await called(door, "at"))["content"] == [{"type": "text", "text": "1"}]


async def test_hints_title_icons_and_meta_come_from_the_function(gateway: FakeGateway) -> None:
    icons = [{"src": "https://example.com/a.png", "mimeType": "image/png"}]
    declared = {
        "title": "Remove a file",
        "annotations": {"destructiveHint": True, "readOnlyHint": "no", "other": 1},
        "icons": icons,
        "_meta": {"vendor/key": 1},
    }
    door = told(gateway, {"remove": described(lambda: None, {}, **declared)})
    tool = (await tools(door))["remove"]
    assert tool["title"] == "Remove a file"
    assert tool["annotations"] == {"destructiveHint": True}
    assert tool["icons"] == icons
    assert tool["_meta"] == {"vendor/key": 1}


async def test_they_can_be_set_in_the_configuration_of_the_service(gateway: FakeGateway) -> None:
    override = {"annotations": {"readOnlyHint": True}, "description": "Better.", "title": "Add"}
    door = told(gateway, {"add": described(lambda a, b: a + b, INTEGERS)}, tools={"add": override})
    tool = (await tools(door))["add"]
    assert tool["annotations"] == {"readOnlyHint": True}
    assert (tool["description"], tool["title"]) == ("Better.", "Add")


async def test_a_function_of_one_value_takes_it_as_input(gateway: FakeGateway) -> None:
    numbers = {"type": "array", "items": {"type": "integer"}}
    door = told(gateway, {"total": described(lambda values: sum(values), numbers)})
    schema = (await tools(door))["total"]["inputSchema"]
    assert schema["properties"] == {"input": numbers}
    assert (await called(door, "total", input=[1, 2]))["content"][0]["text"] == "3"


async def test_the_one_value_is_missed_also_where_arguments_are_too_large_to_be_checked(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_bridge.arguments._MAX_CHECKED", 0)
    door = told(gateway, {"total": described(lambda values: sum(values), {"type": "array"})})
    result = await called(door, "total", other=[1])
    assert result["isError"] is True
    assert '"input" is a required property' in result["content"][0]["text"]


async def test_html_in_a_description_is_taken_out(gateway: FakeGateway) -> None:
    door = told(
        gateway, {"f": described(lambda: 1, {}, description="<p>Says <b>x</b>, a < b.</p>")}
    )
    assert (await tools(door))["f"]["description"] == "Says x, a < b."
