"""Services of type ``mcp``, in the forms that people who come from Hypha have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.testing import FakeGateway
from tests.mcp_bridge.conftest import INTEGERS, described
from tests.mcp_bridge.wire import LEGACY, MODERN, Door

LAB = "/ws-lab/mcp/lab/mcp"
HELLO = [{"role": "user", "content": {"type": "text", "text": "hello"}}]


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


def serve(api: dict[str, Any], **info: Any) -> Door:
    gateway = FakeGateway()
    gateway.add_service("ws-lab/worker:lab", api, visibility="public", type="mcp", **info)
    return Door(gateway)


async def ask(door: Door, method: str, version: str = MODERN, **params: Any) -> Any:
    return (await door.request(version, method, params, path=LAB)).result


async def test_functions_in_a_list_are_tools_by_their_names() -> None:
    door = serve({"tools": [described(add, INTEGERS)], "other": described(lambda: 1)})
    tools = (await ask(door, "tools/list"))["tools"]
    assert [tool["name"] for tool in tools] == ["add", "other"]
    assert tools[0]["inputSchema"]["required"] == ["a", "b"]
    result = await ask(door, "tools/call", name="add", arguments={"a": 2, "b": 3})
    assert result["content"] == [{"type": "text", "text": "5"}]


async def test_an_entry_says_what_its_handler_does() -> None:
    entry = {
        "name": "sum",
        "title": "Sum",
        "description": "Adds.",
        "inputSchema": INTEGERS,
        "annotations": {"readOnlyHint": True},
        "tags": ["maths"],
        "handler": add,
    }
    door = serve({"tools": [entry]})
    (tool,) = (await ask(door, "tools/list"))["tools"]
    assert tool["name"] == "sum"
    assert tool["description"] == "Adds."
    assert tool["inputSchema"]["properties"] == INTEGERS["properties"]
    assert tool["annotations"] == {"readOnlyHint": True}
    result = await ask(door, "tools/call", name="sum", arguments={"a": 2, "b": 3})
    assert result["content"][0]["text"] == "5"
    assert (await ask(door, "tools/call", name="sum", arguments={"a": "x"}))["isError"]


async def test_two_entries_of_one_name_are_not_mixed_up(caplog: pytest.LogCaptureFixture) -> None:
    first = {"name": "same", "handler": lambda: "first"}
    second = {"name": "same", "handler": lambda: "second"}
    door = serve({"tools": [first, second]})
    assert len((await ask(door, "tools/list"))["tools"]) == 1
    assert (await ask(door, "tools/call", name="same"))["content"][0]["text"] == "first"
    assert "mcp_tool_omitted" in caplog.text


async def test_functions_that_list_and_call_are_asked() -> None:
    called: list[Any] = []

    def list_tools() -> list[Any]:
        fields = {"name": "clock", "description": "Tells.", "input_schema": {"type": "object"}}
        return [{"_rtype": "pydantic_model", "_rvalue": {**fields, "title": None}, "_rschema": {}}]

    def call_tool(name: str, arguments: dict[str, Any]) -> list[Any]:
        called.append((name, arguments))
        block = {"type": "text", "text": "noon", "annotations": None}
        return [{"_rtype": "pydantic_model", "_rvalue": block, "_rschema": {}}]

    door = serve(
        {
            "list_tools": list_tools,
            "call_tool": call_tool,
            "list_resources": lambda: {"resources": [{"uri": "a://b", "name": "b"}]},
            "read_resource": described(lambda uri: f"read {uri}"),
            "list_prompts": lambda: [{"name": "p", "arguments": [{"name": "x"}]}],
            "get_prompt": lambda name, arguments: {"messages": HELLO},
        }
    )
    (tool,) = (await ask(door, "tools/list"))["tools"]
    assert (tool["name"], tool["description"]) == ("clock", "Tells.")
    result = await ask(door, "tools/call", name="clock", arguments={"zone": "UTC"})
    assert result["content"] == [{"type": "text", "text": "noon"}]
    assert called == [("clock", {"zone": "UTC"})]
    read = await ask(door, "resources/read", uri="a://b")
    assert read["contents"] == [{"uri": "a://b", "mimeType": "text/plain", "text": "read a://b"}]
    assert (await ask(door, "prompts/get", name="p", arguments={"x": "1"}))["messages"] == HELLO


async def test_a_service_may_list_by_functions_without_listing_tools() -> None:
    """Each pair of functions stands for itself, and what is not part of one is a tool."""
    prompts = {
        "list_prompts": lambda: [{"name": "p"}],
        "get_prompt": lambda name, arguments: {"messages": HELLO},
    }
    door = serve({**prompts, "add": described(add, INTEGERS), "read_resource": lambda uri: uri})
    assert (await ask(door, "prompts/list"))["prompts"] == [{"name": "p"}]
    assert (await ask(door, "prompts/get", name="p"))["messages"] == HELLO
    tools = (await ask(door, "tools/list"))["tools"]
    assert [tool["name"] for tool in tools] == ["add", "read_resource"]
    resources = {
        "list_resources": lambda: [{"uri": "a://b", "name": "b"}],
        "read_resource": described(lambda uri: f"read {uri}"),
    }
    families = lambda: [{"uriTemplate": "a://{x}", "name": "a"}]  # noqa: E731
    unread = serve({"list_resource_templates": families, "list_tools": lambda: []})
    listed = (await ask(unread, "resources/templates/list"))["resourceTemplates"]
    assert listed == [{"uriTemplate": "a://{x}", "name": "a"}]
    error = (await unread.request(MODERN, "resources/read", {"uri": "a://b"}, path=LAB)).error
    assert "read_resource" in error["message"]
    assert [t["name"] for t in (await ask(unread, "tools/list"))["tools"]] == ["list_tools"]
    door = serve(resources)
    assert (await ask(door, "resources/list"))["resources"] == [{"uri": "a://b", "name": "b"}]
    assert (await ask(door, "resources/read", uri="a://b"))["contents"][0]["text"] == "read a://b"
    assert (await ask(door, "tools/list"))["tools"] == []


async def test_texts_of_entries_are_no_resources_of_their_own() -> None:
    page = {"uri": "lab://page", "name": "Page", "description": "One.", "read": lambda: "page"}
    prompt = {"name": "p", "description": "Asks.", "read": lambda: "hello"}
    tool = {"name": "sum", "description": "Adds.", "handler": add}
    api = {"tools": {"sum": tool}, "resources": {"page": page}, "prompts": {"p": prompt}}
    listed = await ask(serve({**api, "readme": "Read me."}), "resources/list")
    assert [entry["uri"] for entry in listed["resources"]] == [
        "lab://page",
        "polyport://lab/readme",
    ]


@pytest.mark.parametrize("version", [MODERN, *LEGACY])
@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda: "text", {"mimeType": "text/plain", "text": "text"}),
        (lambda: b"\x89PNG\r\n\x1a\n", {"mimeType": "image/png", "blob": "iVBORw0KGgo="}),
        (lambda: {"a": 1}, {"mimeType": "application/json", "text": '{"a":1}'}),
        (lambda: {"text": "t", "mime_type": "text/x"}, {"mimeType": "text/x", "text": "t"}),
        (lambda: {"contents": [{"text": "t"}]}, {"text": "t"}),
    ],
)
async def test_a_resource_is_read_whatever_its_function_returns(
    version: str, read: Callable[[], Any], expected: dict[str, Any]
) -> None:
    door = serve({"resources": [{"uri": "lab://x", "name": "X", "read": read}]})
    listed = await ask(door, "resources/list", version)
    assert listed["resources"] == [{"uri": "lab://x", "name": "X"}]
    result = await ask(door, "resources/read", version, uri="lab://x")
    assert result["contents"] == [{"uri": "lab://x", **expected}]
    assert ("ttlMs" in result) == (version == MODERN)


async def test_a_template_hands_the_variables_of_an_address_to_its_function() -> None:
    def read(name: str, uri: str) -> str:
        return f"{name} at {uri}"

    properties = {"name": {"type": "string"}, "uri": {"type": "string"}}
    function = described(read, {"type": "object", "properties": properties})
    door = serve({"resources": [{"uri": "lab://{name}/data", "name": "Data", "read": function}]})
    assert (await ask(door, "resources/list"))["resources"] == []
    listed = (await ask(door, "resources/templates/list"))["resourceTemplates"]
    assert listed == [{"uriTemplate": "lab://{name}/data", "name": "Data"}]
    result = await ask(door, "resources/read", uri="lab://a%20b/data")
    assert result["contents"][0]["text"] == "a b at lab://a%20b/data"


@pytest.mark.parametrize("version", [MODERN, LEGACY[-1]])
async def test_an_unknown_address_is_an_error_that_names_it(version: str) -> None:
    door = serve({"resources": [{"uri": "lab://x", "name": "X", "read": lambda: ""}]})
    response = await door.request(version, "resources/read", {"uri": "lab://y"}, path=LAB)
    is_modern = version == MODERN
    assert response.status == (400 if is_modern else 200)
    assert response.error["code"] == (-32602 if is_modern else -32002)
    assert response.error["data"] == {"uri": "lab://y"}


async def test_a_prompt_is_filled_in() -> None:
    def read(task: str, level: str = "easy") -> dict[str, Any]:
        text = f"Help with {task}, {level}"
        return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}

    level = {"type": "string", "enum": ["easy", "hard"], "description": "How hard"}
    schema = {
        "type": "object",
        "properties": {"task": {"type": "string"}, "level": level},
        "required": ["task"],
    }
    entry = {"name": "help", "description": "Helps.", "read": described(read, schema)}
    door = serve({"prompts": [entry]})
    (prompt,) = (await ask(door, "prompts/list"))["prompts"]
    assert prompt == {
        "name": "help",
        "description": "Helps.",
        "arguments": [
            {"name": "task", "required": True},
            {"name": "level", "required": False, "description": "How hard"},
        ],
    }
    result = await ask(door, "prompts/get", name="help", arguments={"task": "this"})
    assert result["description"] == "Helps."
    assert result["messages"][0]["content"]["text"] == "Help with this, easy"
    argument = {"name": "level", "value": "h"}
    ref = {"type": "ref/prompt", "name": "help"}
    completed = await ask(door, "completion/complete", ref=ref, argument=argument)
    assert completed["completion"] == {"values": ["hard"], "total": 1, "hasMore": False}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "params.name"),
        ({"name": "nobody"}, "Unknown prompt"),
        ({"name": "help"}, "Missing arguments: task"),
        ({"name": "help", "arguments": [1]}, "must be an object"),
        ({"name": "help", "arguments": {"task": 1}}, "must be text"),
    ],
)
async def test_a_prompt_asked_for_wrongly_is_an_error(params: dict[str, Any], says: str) -> None:
    schema = {"type": "object", "properties": {"task": {}}, "required": ["task"]}
    door = serve({"prompts": [{"name": "help", "read": described(lambda task: task, schema)}]})
    response = await door.request(MODERN, "prompts/get", params, path=LAB)
    assert (response.status, response.error["code"]) == (400, -32602)
    assert says in response.error["message"]


async def test_a_text_is_a_message_of_the_user() -> None:
    door = serve({"prompts": {"ask": lambda: "Why?"}})
    assert (await ask(door, "prompts/get", name="ask"))["messages"] == [
        {"role": "user", "content": {"type": "text", "text": "Why?"}}
    ]


async def test_what_a_function_raises_is_told() -> None:
    def read() -> None:
        raise LookupError("the disk is gone")

    door = serve({"resources": [{"uri": "lab://x", "read": read}]})
    response = await door.request(MODERN, "resources/read", {"uri": "lab://x"}, path=LAB)
    assert response.error == {"code": -32603, "message": "LookupError: the disk is gone"}


async def test_texts_of_any_service_and_its_documentation_are_resources(
    gateway: FakeGateway,
) -> None:
    notes = {"readme": "Read me.", "deep": {"hint": "A hint."}, "f": described(add, INTEGERS)}
    gateway.add_service("ws-lab/worker:notes", notes, visibility="public", docs="How to.")
    door = Door(gateway)
    path = "/ws-lab/mcp/notes/mcp"
    listed = (await door.request(MODERN, "resources/list", path=path)).result["resources"]
    read = {}
    for resource in listed:
        params = {"uri": resource["uri"]}
        answer = (await door.request(MODERN, "resources/read", params, path=path)).result
        read[resource["uri"]] = answer["contents"][0]["text"]
    assert read == {
        "polyport://notes/docs": "How to.",
        "polyport://notes/readme": "Read me.",
        "polyport://notes/deep.hint": "A hint.",
    }


async def test_only_what_there_is_is_advertised() -> None:
    async def capabilities(api: dict[str, Any]) -> set[str]:
        return set((await ask(serve(api), "server/discover"))["capabilities"])

    resource = {"uri": "lab://x", "read": lambda: ""}
    assert await capabilities({"tools": [add]}) == {"tools"}
    assert await capabilities({"resources": [resource]}) == {"tools", "resources"}
    family = {**resource, "uri": "lab://{x}"}
    assert await capabilities({"resources": [family]}) == {"tools", "resources", "completions"}
    prompts = {"prompts": {"p": lambda: ""}}
    assert await capabilities(prompts) == {"tools", "prompts", "completions"}
