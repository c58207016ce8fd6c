"""One endpoint for all services of a workspace."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import FakeGateway
from tests.mcp_bridge.conftest import INTEGERS, add, described
from tests.mcp_bridge.wire import LEGACY, MODERN, Door

LAB = "/ws-lab/mcp"
TOKEN = {"authorization": "Bearer good"}


async def names(door: Door, query: str = "", **more: Any) -> list[str]:
    live = door.begin(more.pop("version", MODERN), "tools/list", path=LAB + query, **more)
    return [tool["name"] for tool in (await live.finished()).result["tools"]]


async def called(door: Door, name: str, arguments: Any, path: str = LAB, **more: Any) -> Any:
    params = {"name": name, "arguments": arguments}
    return (await door.request(MODERN, "tools/call", params, path=path, **more)).result


@pytest.mark.parametrize("path", [LAB, LAB + "/"])
@pytest.mark.parametrize("version", [MODERN, *LEGACY])
async def test_every_service_is_there_under_its_name(door: Door, path: str, version: str) -> None:
    result = (await door.request(version, "tools/list", path=path)).result
    assert [tool["name"] for tool in result["tools"]] == [
        "calc__add",
        "calc__math_add",
        "calc__echo",
        "calc__fail",
    ]


async def test_a_tool_keeps_its_own_name_beside_the_new_one(door: Door) -> None:
    result = (await door.request(MODERN, "tools/list", path=LAB)).result
    tool = result["tools"][1]
    assert tool["title"] == "math.add"
    assert tool["_meta"] == {"polyport/service": "calc", "polyport/function": "math.add"}
    assert result["cacheScope"] == "private"


async def test_a_call_reaches_the_service(door: Door) -> None:
    result = await called(door, "calc__add", {"a": 2, "b": "3"})
    assert result["content"] == [{"type": "text", "text": "5"}]
    assert door.gateway.calls[-1][1:3] == ("ws-lab/worker:calc", "add")


async def test_each_caller_sees_and_calls_what_it_may(door: Door) -> None:
    assert "private__add" in await names(door, headers=TOKEN)
    result = await called(door, "private__add", {"a": 1, "b": 1}, headers=TOKEN)
    assert result["content"][0]["text"] == "2"
    params = {"name": "private__add", "arguments": {"a": 1, "b": 1}}
    hidden = await door.request(MODERN, "tools/call", params, path=LAB)
    assert (hidden.status, hidden.error["code"]) == (400, -32602)


async def test_a_workspace_without_anything_for_a_stranger_is_not_there(
    gateway: FakeGateway,
) -> None:
    gateway.add_service("ws-dark/worker:calc", {"add": described(add, INTEGERS)})
    door = Door(gateway)
    answers = [
        await door.request(MODERN, "tools/list", path=f"/{workspace}/mcp")
        for workspace in ("ws-dark", "ws-none")
    ]
    assert [answer.status for answer in answers] == [404, 404]
    texts = [str(answer.error["message"]).replace("ws-dark", "ws-none") for answer in answers]
    assert texts[0] == texts[1]


async def test_replicas_of_a_service_are_one_tool(gateway: FakeGateway) -> None:
    gateway.add_service("ws-lab/other:calc", {"add": described(add, INTEGERS)}, visibility="public")
    door = Door(gateway)
    assert (await names(door)).count("calc__add") == 1
    for _ in range(30):
        await called(door, "calc__add", {"a": 1, "b": 1})
    assert {call[1] for call in gateway.calls} == {"ws-lab/worker:calc", "ws-lab/other:calc"}


async def test_a_replica_with_another_function_of_the_name_does_not_take_it(
    gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    other = described(lambda a, b: "stolen", INTEGERS, description="Not the same.")
    gateway.add_service("ws-lab/thief:calc", {"add": other}, visibility="public")
    door = Door(gateway)
    for _ in range(10):
        result = await called(door, "calc__add", {"a": 1, "b": 1})
        assert result["content"][0]["text"] == "2"
    assert "ws-lab/thief:calc.add" in caplog.text


async def test_a_service_that_comes_is_there_at_once(door: Door, gateway: FakeGateway) -> None:
    assert "late__add" not in await names(door)
    gateway.add_service("ws-lab/w:late", {"add": described(add, INTEGERS)}, visibility="public")
    assert "late__add" in await names(door)
    gateway.remove_service("ws-lab/w:late")
    assert "late__add" not in await names(door)


async def test_clients_hear_of_services_that_come(door: Door, gateway: FakeGateway) -> None:
    wanted = {"notifications": {"toolsListChanged": True}}
    live = door.begin(MODERN, "subscriptions/listen", wanted, path=LAB)
    await live.until_body_has("acknowledged")
    gateway.add_service("ws-lab/w:late", {"add": described(add, INTEGERS)}, visibility="public")
    await live.until_body_has("notifications/tools/list_changed")
    live.leave()
    await live.finished()


async def test_texts_and_prompts_come_along(gateway: FakeGateway) -> None:
    def greet(who: str) -> str:
        """Greet."""
        return f"Hello {who}"

    who = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    gateway.add_service(
        "ws-lab/worker:notes",
        {"motto": "Measure.", "prompts": [{"name": "greet", "handler": described(greet, who)}]},
        type="mcp",
        visibility="public",
    )
    door = Door(gateway)
    listed = (await door.request(MODERN, "resources/list", path=LAB)).result["resources"]
    assert [resource["uri"] for resource in listed] == ["polyport://notes/motto"]
    read = await door.request(MODERN, "resources/read", {"uri": listed[0]["uri"]}, path=LAB)
    assert read.result["contents"][0]["text"] == "Measure."
    params = {"name": "notes__greet", "arguments": {"who": "you"}}
    prompt = (await door.request(MODERN, "prompts/get", params, path=LAB)).result
    assert prompt["messages"][0]["content"]["text"] == "Hello you"


async def test_an_address_that_two_services_have_leads_to_each(gateway: FakeGateway) -> None:
    for name in ("one", "two"):
        gateway.add_service(
            f"ws-lab/worker:{name}",
            {"resources": [{"uri": "test://text", "name": "t", "text": name}]},
            type="mcp",
            visibility="public",
        )
    door = Door(gateway)
    for name in ("one", "two"):
        uri = f"polyport://{name}/at/test://text"
        read = (await door.request(MODERN, "resources/read", {"uri": uri}, path=LAB)).result
        assert read["contents"][0]["text"] == name


def with_query(door: Door, query: str, method: str, params: dict[str, Any] | None = None) -> Any:
    return door.ask(MODERN, method, params, path=LAB, query=query)


async def test_a_client_can_ask_for_less(gateway: FakeGateway) -> None:
    gateway.add_service(
        "ws-lab/worker:files",
        {name: described(add, INTEGERS) for name in ("read", "write")},
        config={"visibility": "public", "mcp": {"toolsets": {"safe": ["read"]}, "group": "disk"}},
    )
    door = Door(gateway)

    async def listed(query: str) -> list[str]:
        response = await with_query(door, query, "tools/list")
        return [tool["name"] for tool in response.result["tools"]]

    assert await listed("tools=files__read,calc__add") == ["calc__add", "files__read"]
    assert await listed("services=files") == ["files__read", "files__write"]
    assert await listed("toolset=safe") == ["files__read"]
    assert await listed("group=disk") == ["files__read", "files__write"]
    params = {"name": "calc__add", "arguments": {"a": 1, "b": 1}}
    left_out = await with_query(door, "services=files", "tools/call", params)
    assert left_out.error["code"] == -32602


async def test_a_workspace_names_toolsets_over_its_services(gateway: FakeGateway) -> None:
    gateway.add_service("ws-lab/worker:files", {"read": print, "write": print}, visibility="public")
    door = Door(gateway)

    async def listed(name: str) -> list[str]:
        response = await door.ask(MODERN, "tools/list", path=LAB, query=f"toolset={name}")
        return [tool["name"] for tool in response.json.get("result", {}).get("tools", ())]

    assert await listed("daily") == []
    members = ["files/read", "calc__add", "calc__nothing", "private"]
    gateway.configure("ws-lab", {"mcp": {"toolsets": {"daily": members, "all": "calc"}}})
    assert await listed("daily") == ["calc__add", "files__read"]
    assert await listed("all") == ["calc__add", "calc__math_add", "calc__echo", "calc__fail"]
    gateway.configure("ws-lab", {"mcp": {"toolsets": [1]}})
    assert await listed("daily") == []


@pytest.mark.parametrize("query", ["toolset=none", "schema=huge", "mode=some"])
async def test_what_cannot_be_asked_for_is_said(door: Door, query: str) -> None:
    response = await with_query(door, query, "tools/list")
    assert (response.status, response.error["data"]["code"]) == (400, "invalid_request")


async def test_the_page_of_a_workspace_names_its_endpoint(door: Door) -> None:
    page = (await door.send(method="GET", path=LAB)).json
    assert page["endpoint"].endswith("/ws-lab/mcp")
    assert page["tools"][0]["name"] == "calc__add"


async def test_the_introduction_names_the_services(door: Door) -> None:
    result = (await door.request(MODERN, "server/discover", path=LAB)).result
    assert "- calc: Adds." in result["instructions"]
    assert len(result["instructions"]) <= 2_000
