"""An MCP server as a service: what it offers, what its functions return, how it keeps running."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.api import CallOptions
from schema.errors import FunctionNotFound, InvalidArguments, ProviderGone, ServiceError
from tests.gateway.peer import Peer
from tests.gateway.upstreams.conftest import CONTENT, ROOT, Run, call, find, program, status, until


async def test_its_tools_are_functions_with_all_that_it_says_about_them(run: Run) -> None:
    parts = await run({"demo": program()})
    service = await find(parts)
    assert service.type == "mcp"
    assert service.name == "Demo"
    assert service.docs == "Add before you multiply."
    add = service.functions["add"].declared
    assert add["description"] == "Add two numbers."
    assert add["title"] == "Addition"
    assert add["annotations"]["readOnlyHint"] is True
    assert add["parameters"]["properties"]["a"]["description"] == "first"
    assert add["outputSchema"]["properties"]["result"]["type"] == "integer"
    assert "get-user" in service.functions


async def test_functions_return_values(run: Run) -> None:
    parts = await run({"demo": program()})
    assert await call(parts, "add", a=1, b=2) == 3
    assert await call(parts, "power", n=200) == 2**200
    assert await call(parts, "get-user", id="7") == {"id": "7"}
    assert await call(parts, "point", x=1) == {"x": 1, "y": None}
    assert await call(parts, "text", value="hi") == "hi"
    assert (await call(parts, "picture")).startswith(b"\x89PNG")
    with pytest.raises(ServiceError, match="the disk is full") as caught:
        await call(parts, "fail")
    assert caught.value.remote_type == "ToolError"
    with pytest.raises(FunctionNotFound):
        await call(parts, "nothing")


async def test_a_door_that_shows_content_gets_the_whole_result(run: Run) -> None:
    parts = await run({"demo": program()})
    result = await call(parts, "point", CONTENT, x=1)
    assert result["structuredContent"] == {"x": 1, "y": None}
    assert result["content"][0]["type"] == "text"
    assert (await call(parts, "text", CONTENT, value="hi"))["_meta"]["demo/note"] == "kept"
    [image] = (await call(parts, "picture", CONTENT))["content"]
    assert (image["type"], image["mimeType"]) == ("image", "image/png")
    failed = await call(parts, "fail", CONTENT)
    assert failed["isError"] is True


async def test_resources_templates_and_prompts_are_entries_with_functions(run: Run) -> None:
    parts = await run({"demo": program()})
    service = await find(parts)
    shown = await parts.gateway.read(ROOT, service)
    [resource, _], [template] = shown["resources"], shown["resource_templates"]
    assert (resource["uri"], resource["mimeType"]) == ("demo://greeting", "text/plain")
    assert template["uriTemplate"] == "demo://item/{id}"
    [content] = (await call(parts, "resources.0.read"))["contents"]
    assert content["text"] == "hello"
    [content] = (await call(parts, "resource_templates.0.read", uri="demo://item/3"))["contents"]
    assert content["text"] == "item 3"
    [prompt] = shown["prompts"]
    assert prompt["arguments"] == [{"name": "name", "required": True}]
    got = await call(parts, "prompts.0.get", name="Bo")
    assert got["messages"][0]["content"]["text"] == "This is Bo"
    with pytest.raises((ServiceError, InvalidArguments)):
        await call(parts, "resource_templates.0.read", uri="demo://nothing")


async def test_an_rpc_client_calls_its_tools(run: Run) -> None:
    parts = await run({"demo": program()}, mcp_visibility="public")
    ann = await Peer.join(parts)
    service = await ann.manager("get_service", "public/demo")
    for name in ("add", "get-user", "get_user"):
        assert service[name]["_rtype"] == "method"
    add = service["add"]
    assert await ann.call(add["_rtarget"], add["_rmethod"], 2, 3) == 5
    assert await ann.call(add["_rtarget"], add["_rmethod"], a=2, b=5) == 7
    assert service["power"]["_rtype"] == "method"
    listed = await ann.manager("list_services", {"workspace": "public"})
    assert any(entry["id"].endswith(":demo") and entry["type"] == "mcp" for entry in listed)


async def test_it_gets_the_variables_that_its_entry_names_and_no_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_TOKEN", "canary-1")
    monkeypatch.setenv("OTHER_TOKEN", "canary-2")
    entry = program(env={"TOKEN": "Bearer ${DEMO_TOKEN}", "LEVEL": "${LEVEL:-low}"})
    parts = await run({"demo": entry})
    assert await call(parts, "environment", name="TOKEN") == "Bearer canary-1"
    assert await call(parts, "environment", name="LEVEL") == "low"
    assert await call(parts, "environment", name="OTHER_TOKEN") == ""


async def test_whoever_asks_before_it_has_started_waits_for_it(run: Run) -> None:
    parts = await run({"demo": program()})
    assert status(parts).supervisor.state.value == "starting"
    assert await call(parts, "add", a=1) == 2
    assert status(parts).supervisor.state.value == "running"


async def test_a_server_that_crashes_answers_its_calls_and_is_back_by_itself(run: Run) -> None:
    parts = await run({"demo": program()})
    await find(parts)
    with pytest.raises(ProviderGone):
        await call(parts, "crash")
    # Not there, and there again: the call waits for that.
    assert await call(parts, "add", a=1) == 2
    assert status(parts).supervisor.starts == 2


async def test_what_a_server_writes_beside_the_protocol_is_for_its_operator(run: Run) -> None:
    parts = await run({"demo": program()})
    with pytest.raises(ProviderGone):
        await call(parts, "crash")
    await call(parts, "add", a=1)
    shown = status(parts).status()
    assert shown["garbage_lines"] >= 1
    assert "add" in shown["tools"]


async def test_a_server_that_hangs_at_its_start_is_given_up_and_tried_again(
    run: Run, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.write_text("hang")
    script = str(Path(__file__).parent / "odd_program.py")  # it starts in no time
    shell = f'grep -q hang {state} && exec sleep 60; exec "$0" "$@"'
    arguments = ["-c", shell, sys.executable, script]
    entry = {"command": "/bin/sh", "args": arguments, "startTimeout": 4}
    parts = await run({"demo": entry, "other": program()})
    assert (await find(parts, "other")).name == "Demo"
    service = status(parts)
    await until(lambda: service.supervisor.failures > 0)
    assert service.supervisor.reason == "it did not start in time"
    state.write_text("")
    await service.restart()
    await until(lambda: service.supervisor.state.value == "running")


async def test_a_command_that_does_not_exist_is_said(run: Run) -> None:
    parts = await run({"demo": {"command": "/nowhere/no-such-program"}})
    service = status(parts)
    await until(lambda: service.supervisor.failures > 0)
    reason = service.supervisor.reason
    assert reason == (
        "the program '/nowhere/no-such-program' cannot be started: No such file or directory"
    )


async def test_a_change_of_its_tools_is_seen_at_once(run: Run) -> None:
    parts = await run({"demo": program()})
    before = await find(parts)
    assert "newcomer" not in before.functions
    assert await call(parts, "renew") == "renewed"
    version = parts.gateway.workspace_version("public")
    await until(lambda: parts.gateway.workspace_version("public") != version)
    assert await call(parts, "newcomer") == "new"


async def test_a_call_that_is_given_up_is_cancelled_in_the_server(run: Run, tmp_path: Path) -> None:
    parts = await run({"demo": program()})
    file = tmp_path / "noted"
    calling = asyncio.create_task(call(parts, "wait", file=str(file)))
    await until(lambda: file.exists() and file.read_text() == "began")
    calling.cancel()
    await until(lambda: file.read_text() == "cancelled")


class Interaction:
    """What a door lends to a call."""

    capabilities = ("elicitation",)

    def __init__(self) -> None:
        self.reports: list[tuple[float, float | None, str | None]] = []
        self.questions: list[Any] = []

    async def progress(
        self, value: float, total: float | None = None, message: str | None = None
    ) -> None:
        self.reports.append((value, total, message))

    async def log(self, level: str, data: Any, logger: str | None = None) -> None: ...

    async def request(self, requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        answer = {"action": "accept", "content": {"sure": True}}
        self.questions += requests.values()
        return dict.fromkeys(requests, answer)


async def test_progress_reaches_the_caller(run: Run) -> None:
    parts = await run({"demo": program()})
    interaction = Interaction()
    assert await call(parts, "count", CallOptions(interaction=interaction), n=3) == "3 steps"
    assert interaction.reports == [(i, 3, f"step {i}") for i in (1, 2, 3)]
