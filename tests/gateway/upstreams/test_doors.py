"""MCP servers behind the gateway, as an MCP client in front of it sees them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from mcp_types import ElicitResult, TextContent, TextResourceContents

from gateway.app import create_app
from gateway.settings import Settings
from tests.gateway.upstreams.conftest import listening, program
from tests.gateway.upstreams.odd_server import OddServer
from tests.patience import PATIENCE_SECONDS

OLD = str(Path(__file__).parent / "legacy_server.py")
AT_ONCE = 0.1
ORIGIN = "http://127.0.0.1:9527"


@asynccontextmanager
async def client(tmp_path: Path, entry: dict[str, Any], **options: Any) -> AsyncIterator[Client]:
    """A client of the upstream ``demo`` at the MCP door."""
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"demo": entry}}))
    app = create_app(Settings(port=9527, ephemeral=True, mcp_config=file))
    upstreams = app.state.parts.upstreams
    await upstreams.start()
    try:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), timeout=30) as http:
            transport = streamable_http_client(f"{ORIGIN}/public/mcp/demo/mcp", http_client=http)
            async with Client(transport, cache=None, **options) as connected:
                yield connected
    finally:
        await upstreams.close()


@asynccontextmanager
async def gateway(tmp_path: Path, entry: dict[str, Any]) -> AsyncIterator[str]:
    """The MCP endpoint of the upstream ``demo``, at a port."""
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"demo": entry}}))
    app = create_app(Settings(port=9527, ephemeral=True, mcp_config=file))
    async with listening(app, timeout_graceful_shutdown=0) as port:
        yield f"http://127.0.0.1:{port}/public/mcp/demo/mcp"


async def test_nothing_is_lost_on_the_way(tmp_path: Path) -> None:
    async with client(tmp_path, program()) as demo:
        assert demo.instructions is not None
        assert "Add before you multiply." in demo.instructions
        tools = {tool.name: tool for tool in (await demo.list_tools()).tools}
        add = tools["add"]
        assert (add.title, add.description) == ("Addition", "Add two numbers.")
        assert add.annotations is not None
        assert add.annotations.read_only_hint is True
        assert add.output_schema is not None
        assert "complete" not in tools
        result = await demo.call_tool("add", {"a": 1, "b": 2})
        assert result.structured_content == {"result": 3}
        text = await demo.call_tool("text", {"value": "hi"})
        assert (text.meta or {})["demo/note"] == "kept"
        assert (await demo.call_tool("picture")).content[0].type == "image"
        assert (await demo.call_tool("fail")).is_error
        uris = [str(resource.uri) for resource in (await demo.list_resources()).resources]
        assert "demo://greeting" in uris
        [template] = (await demo.list_resource_templates()).resource_templates
        assert template.uri_template == "demo://item/{id}"
        [content] = (await demo.read_resource("demo://item/3")).contents
        assert isinstance(content, TextResourceContents)
        assert content.text == "item 3"
        [prompt] = (await demo.list_prompts()).prompts
        assert prompt.name == "introduce"
        [message] = (await demo.get_prompt("introduce", {"name": "Bo"})).messages
        assert isinstance(message.content, TextContent)
        assert message.content.text == "This is Bo"


async def test_the_question_of_an_older_server_reaches_the_user_of_a_newer_client(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    async def answer(_context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"sure": True})

    entry = {"command": sys.executable, "args": [OLD]}
    async with client(tmp_path, entry, elicitation_callback=answer) as demo:
        assert demo.protocol_version == "2026-07-28"
        [content] = (await demo.call_tool("ask")).content
        assert isinstance(content, TextContent)
        assert json.loads(content.text) == {"action": "accept", "content": {"sure": True}}
        assert asked == ["Are you sure?"]


@pytest.mark.parametrize(
    ("entry", "tool", "uris"),
    [
        (program(), "greet", ("demo://greeting", "demo://farewell")),
        ({"command": sys.executable, "args": [OLD]}, "touch", ("old://a", "old://b")),
    ],
    ids=["newer", "older"],
)
async def test_new_contents_of_a_resource_are_told_within_a_second_and_to_nobody_else(
    tmp_path: Path, entry: dict[str, Any], tool: str, uris: tuple[str, str]
) -> None:
    uri, other = uris
    async with (
        gateway(tmp_path, entry) as url,
        Client(url, cache=None) as demo,
        demo.listen(resource_subscriptions=[uri]) as hearing,
        demo.listen(resource_subscriptions=[other], resources_list_changed=True) as deaf,
    ):

        async def told(seconds: float) -> bool:
            await demo.call_tool(tool, {"text": "hey"})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    return await anext(hearing) == ResourceUpdated(uri)
            return False

        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await told(1):
                pass  # the gateway itself has only begun to listen, or others are at work here
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(deaf)


async def test_with_sessions_a_client_of_the_older_era_is_asked_as_well(tmp_path: Path) -> None:
    async def answer(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"sure": params.message == "Are you sure?"})

    entry = {"command": sys.executable, "args": [OLD], "stateful": True, "include": ["ask"]}
    async with (
        gateway(tmp_path, entry) as url,
        Client(url, cache=None, mode="legacy", elicitation_callback=answer) as demo,
    ):
        assert [tool.name for tool in (await demo.list_tools()).tools] == ["ask"]
        [content] = (await demo.call_tool("ask")).content
        assert isinstance(content, TextContent)
        assert json.loads(content.text) == {"action": "accept", "content": {"sure": True}}


async def test_new_tools_are_told_within_a_second(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, program()) as url,
        Client(url, cache=None) as demo,
        demo.listen(tools_list_changed=True) as hearing,
    ):

        async def told() -> bool:
            await demo.call_tool("renew")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    return await anext(hearing) == ToolsListChanged()
            return False

        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await told():
                pass  # the gateway itself has only begun to listen, or others are at work here
        assert "newcomer" in [tool.name for tool in (await demo.list_tools()).tools]


async def test_a_tool_that_is_held_back_says_so_and_is_there_once_it_is_approved(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"demo": program()}}))
    app = create_app(Settings(port=9527, ephemeral=True, mcp_config=file, mcp_quarantine="all"))
    async with (
        listening(app, timeout_graceful_shutdown=0) as port,
        Client(f"http://127.0.0.1:{port}/public/mcp/demo/mcp", cache=None) as demo,
    ):
        with pytest.raises(MCPError, match="'add' is held back") as caught:
            await demo.call_tool("add", {"a": 1})
        assert caught.value.error.data == {"code": "function_held"}
        with pytest.raises(MCPError, match="Unknown tool"):
            await demo.call_tool("nothing", {})
        upstreams = app.state.parts.upstreams
        await upstreams.pins.approve("public/demo", {"add": None}, "root")
        upstreams.get("public", "demo").review()
        assert (await demo.call_tool("add", {"a": 1})).structured_content == {"result": 2}


@pytest.mark.parametrize("is_modern", [True, False], ids=["newer", "older"])
async def test_a_client_that_hangs_up_cancels_the_call_in_the_server_within_a_tenth_of_a_second(
    tmp_path: Path, is_modern: bool
) -> None:
    server = OddServer(is_modern=is_modern)
    body = {"name": "wait", "arguments": {}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": body}
    async with (
        listening(server, timeout_graceful_shutdown=0) as port,
        gateway(tmp_path, {"url": f"http://127.0.0.1:{port}/mcp"}) as url,
    ):
        took: list[float] = []
        while min(took, default=1) > AT_ONCE:  # others may be at work on this machine
            assert len(took) < 20
            server.began.clear()
            server.left.clear()
            async with httpx2.AsyncClient(timeout=30) as http:
                calling = asyncio.create_task(http.post(url, json=call))
                await server.began.wait()
                hung_up = time.perf_counter()
                calling.cancel()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await server.left.wait()
            took.append(time.perf_counter() - hung_up)
