"""What ``tools/list`` shows of a service."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import pytest
from mcp_types import ListToolsResult

from gateway.testing import FakeGateway
from mcp_bridge.catalogues import Catalogues
from schema.identity import anonymous_http_caller
from tests.mcp_bridge.conftest import INTEGERS, described
from tests.mcp_bridge.wire import META, MODERN, Door

PATH = "/ws-lab/mcp/many/mcp"


def many(count: int, prefix: str = "f") -> dict[str, Any]:
    return {f"{prefix}{i}": described(lambda: None, INTEGERS) for i in range(count)}


async def pages(door: Door, version: str) -> list[Any]:
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while not found or "nextCursor" in found[-1]:
        found.append((await door.request(version, "tools/list", cursor, path=PATH)).result)
        cursor = {"cursor": found[-1].get("nextCursor", "")}
    return found


async def test_functions_are_tools_in_declared_order(door: Door) -> None:
    result = (await door.request(MODERN, "tools/list")).result
    assert [tool["name"] for tool in result["tools"]] == ["add", "math_add", "echo", "fail"]
    assert result["tools"][0] == {
        "name": "add",
        "description": "Add two integers.",
        "inputSchema": INTEGERS,
    }
    assert (result["resultType"], result["ttlMs"], result["cacheScope"]) == (
        "complete",
        0,
        "public",
    )
    assert result["_meta"][f"{META}serverInfo"]["name"] == "calc"
    ListToolsResult.model_validate(result)


async def test_a_function_without_schema_takes_anything_and_says_so(door: Door) -> None:
    result = (await door.request(MODERN, "tools/list")).result
    (tool,) = [tool for tool in result["tools"] if tool["name"] == "echo"]
    assert tool["inputSchema"] == {"type": "object", "properties": {}}
    assert tool["_meta"] == {"polyport/schema": "none"}
    assert "did not describe" in tool["description"]


async def test_a_list_of_a_protected_service_is_private(door: Door) -> None:
    headers = {"authorization": "Bearer good"}
    path = "/ws-lab/mcp/private/mcp"
    result = (await door.request(MODERN, "tools/list", path=path, headers=headers)).result
    assert result["cacheScope"] == "private"


async def test_the_same_list_is_the_same_bytes(door: Door) -> None:
    first, second = [(await door.request(MODERN, "tools/list")).body for _ in range(2)]
    assert first == second


@pytest.mark.parametrize("version", [MODERN, "2025-06-18"])
async def test_long_lists_come_in_pages(gateway: FakeGateway, version: str) -> None:
    gateway.add_service("ws-lab/worker:many", many(1201), visibility="public")
    found = await pages(Door(gateway), version)
    assert [len(page["tools"]) for page in found] == [500, 500, 201]
    names = [tool["name"] for page in found for tool in page["tools"]]
    assert names == [f"f{i}" for i in range(1201)]
    assert len({page.get("cacheScope") for page in found}) == 1


async def test_exactly_one_page_has_no_cursor(gateway: FakeGateway) -> None:
    gateway.add_service("ws-lab/worker:many", many(500), visibility="public")
    assert [len(page["tools"]) for page in await pages(Door(gateway), MODERN)] == [500]


async def test_a_service_without_functions_has_an_empty_list(gateway: FakeGateway) -> None:
    gateway.add_service("ws-lab/worker:many", {"pi": 3.14}, visibility="public")
    assert [page["tools"] for page in await pages(Door(gateway), MODERN)] == [[]]


async def test_a_cursor_of_an_earlier_registration_is_refused(gateway: FakeGateway) -> None:
    gateway.add_service("ws-lab/worker:many", many(600), visibility="public")
    door = Door(gateway)
    cursor = (await door.request(MODERN, "tools/list", path=PATH)).result["nextCursor"]
    gateway.add_service("ws-lab/worker:many", many(600, "g"), visibility="public")
    response = await door.request(MODERN, "tools/list", {"cursor": cursor}, path=PATH)
    assert response.error["code"] == -32602


async def test_a_new_registration_is_listed_at_once(gateway: FakeGateway) -> None:
    door = Door(gateway)
    for prefix in ("old", "new"):
        gateway.add_service("ws-lab/worker:many", many(1, prefix), visibility="public")
        (page,) = await pages(door, MODERN)
        assert [tool["name"] for tool in page["tools"]] == [f"{prefix}0"]


async def test_nothing_is_kept_of_a_service_that_is_gone(gateway: FakeGateway) -> None:
    catalogues, caller = Catalogues(gateway), anonymous_http_caller()
    service = gateway.add_service("ws-lab/worker:many", many(3), visibility="public")
    catalogue = await catalogues.of(caller, service)
    assert await catalogues.of(caller, service) is catalogue
    gone = ref(catalogue)
    gateway.remove_service("ws-lab/worker:many")
    del service, catalogue
    gc.collect()
    assert gone() is None


async def test_a_bad_schema_costs_only_its_own_tool(
    gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    bad: dict[str, dict[str, Any]] = {
        "wrong_type": {"type": "object", "properties": {"a": {"type": "integr"}}},
        "remote": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}},
        "mirrored": {"type": "object", "x-mcp-header": "A"},
    }
    api = {name: described(lambda: None, schema) for name, schema in bad.items()}
    api["good"] = described(lambda: None, INTEGERS)
    gateway.add_service("ws-lab/worker:many", api, visibility="public")
    (page,) = await pages(Door(gateway), MODERN)
    assert [tool["name"] for tool in page["tools"]] == ["good"]
    assert [name for name in bad if f"'{name}'" not in caplog.text] == []


async def test_two_functions_never_share_a_tool_name(gateway: FakeGateway) -> None:
    api = {
        "math_add": described(lambda: "flat", {"type": "object"}),
        "math": {"add": described(lambda: "nested", {"type": "object"})},
    }
    gateway.add_service("ws-lab/worker:many", api, visibility="public")
    door = Door(gateway)
    (page,) = await pages(door, MODERN)
    flat, nested = (tool["name"] for tool in page["tools"])
    assert flat == "math_add"
    assert nested.startswith("math_add_")
    for name, said in ((flat, "flat"), (nested, "nested")):
        response = await door.request(MODERN, "tools/call", {"name": name}, path=PATH)
        assert response.result["content"] == [{"type": "text", "text": said}]
