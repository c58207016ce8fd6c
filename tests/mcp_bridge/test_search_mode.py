"""Search mode: three tools in place of many, with the same access and the same answers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import FakeGateway
from mcp_bridge.search import ToolSearch
from mcp_bridge.tools import build
from schema.functions import FunctionInfo
from tests.mcp_bridge.conftest import INTEGERS, add, described
from tests.mcp_bridge.wire import MODERN, Door
from tests.patience import cpu_seconds

LAB = "/ws-lab/mcp"
META = ["search_tools", "describe_tool", "call_tool"]


async def ask(door: Door, method: str, params: Any = None, query: str = "mode=search") -> Any:
    return (await door.ask(MODERN, method, params, path=LAB, query=query)).result


async def call(door: Door, tool: str, **given: Any) -> Any:
    return await ask(door, "tools/call", {"name": tool, "arguments": given})


async def test_three_tools_are_listed(door: Door) -> None:
    result = await ask(door, "tools/list")
    assert [tool["name"] for tool in result["tools"]] == META
    assert "search_tools" in (await ask(door, "server/discover"))["instructions"]


async def test_a_tool_is_found_with_its_schema_and_called(door: Door) -> None:
    found = (await call(door, "search_tools", query="add two integers"))["structuredContent"]
    assert found["tools"][0]["name"] == "calc__add"
    assert found["tools"][0]["inputSchema"] == INTEGERS
    given = {"a": 1, "b": 2}
    result = await call(door, "call_tool", name="calc__add", arguments=given)
    direct = await ask(door, "tools/call", {"name": "calc__add", "arguments": given}, "")
    assert result == direct


async def test_a_tool_is_described_in_full(door: Door) -> None:
    result = await call(door, "describe_tool", name="calc__add")
    assert result["structuredContent"]["title"] == "add"


async def test_what_a_caller_may_not_see_is_neither_found_nor_called(door: Door) -> None:
    found = (await call(door, "search_tools", query="add", limit=50))["structuredContent"]
    assert not [tool for tool in found["tools"] if tool["name"].startswith("private")]
    for name in ("private__add", "nothing__add"):
        result = await call(door, "call_tool", name=name, arguments={"a": 1, "b": 1})
        assert result["isError"] is True
        assert "Unknown tool" in result["content"][0]["text"]
        assert (await call(door, "describe_tool", name=name))["isError"] is True


async def test_arguments_are_checked_as_in_a_direct_call(door: Door) -> None:
    result = await call(door, "call_tool", name="calc__add", arguments={"a": "x", "b": 1})
    assert result["isError"] is True
    assert "calc__add" in result["content"][0]["text"]
    assert (await call(door, "search_tools"))["isError"] is True


async def test_the_three_tools_check_their_arguments_however_much_comes_along(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_bridge.arguments._MAX_CHECKED", 0)  # as of a body of many megabytes
    door = Door(gateway)
    for tool, given in (
        ("search_tools", {}),
        ("search_tools", {"query": 7}),
        ("search_tools", {"query": "add", "limit": 10**6}),
        ("describe_tool", {"name": ["x"]}),
        ("call_tool", {"arguments": {}}),
        ("call_tool", {"name": "calc__add", "arguments": [1]}),
    ):
        result = await call(door, tool, **given)
        assert result["isError"] is True
        assert f"Invalid arguments for tool {tool}" in result["content"][0]["text"]


async def test_pinned_tools_stay_listed(gateway: FakeGateway) -> None:
    gateway.add_service(
        "ws-lab/worker:files",
        {name: described(add, INTEGERS) for name in ("read", "write")},
        config={"visibility": "public", "mcp": {"pinned": ["read"]}},
    )
    result = await ask(Door(gateway), "tools/list")
    assert [tool["name"] for tool in result["tools"]] == ["files__read", *META]


@pytest.mark.parametrize(("count", "searches"), [(30, False), (60, True)])
async def test_it_switches_on_where_there_are_many(
    gateway: FakeGateway, count: int, searches: bool
) -> None:
    functions = {f"f{i}": described(lambda: None, INTEGERS) for i in range(count)}
    gateway.add_service("ws-lab/worker:many", functions, visibility="public")
    door = Door(gateway)
    listed = (await ask(door, "tools/list", query=""))["tools"]
    assert (len(listed) == 3) is searches
    assert len((await ask(door, "tools/list", query="mode=all"))["tools"]) == count + 4


async def test_a_service_can_be_searched_too(gateway: FakeGateway) -> None:
    response = await Door(gateway).ask(MODERN, "tools/list", query="mode=search")
    assert [tool["name"] for tool in response.result["tools"]] == META


def tools(count: int) -> dict[str, Any]:
    words = ("read", "write", "list", "delete", "copy", "move")
    functions = (
        FunctionInfo(f"{words[i % 6]}_{i}", f"{words[i % 6]} the item number {i}", INTEGERS, {})
        for i in range(count)
    )
    return dict(build(functions).tools)


def test_five_thousand_tools_are_searched_in_milliseconds() -> None:
    index = ToolSearch(tools(5_000))

    def search() -> None:
        for number in range(20):
            assert index.find(f"delete the item number {number * 6 + 3}", 8)[0] == (
                f"delete_{number * 6 + 3}"
            )

    assert cpu_seconds(search) / 20 < 0.01


def test_parts_of_compound_names_are_words() -> None:
    table = build(
        [FunctionInfo("getUserName", "", None, {}), FunctionInfo("list_files", "", None, {})]
    ).tools
    index = ToolSearch(table)
    assert list(index.find("user", 8)) == ["getUserName"]
    assert list(index.find("file", 8)) == ["list_files"]
    assert list(index.find("nothing", 8)) == []
    assert list(ToolSearch({}).find("user", 8)) == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("größe", "size"),
        ("Résumé", "cv"),
        ("queries", "sql"),
        ("缩放", "scale"),
        ("图像", "scale"),
        ("число", "number"),
    ],
)
def test_words_of_other_languages_are_words_too(query: str, name: str) -> None:
    described = {
        "size": "Die Größe der Datei",
        "cv": "Read a résumé",
        "sql": "Run a query",
        "scale": "缩放图像",
        "number": "Случайное число",
        "other": "ä ö ü é",
    }
    functions = [FunctionInfo(name, text, None, {}) for name, text in described.items()]
    table = build(functions).tools
    assert list(ToolSearch(table).find(query, 8)) == [name]
