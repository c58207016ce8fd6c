"""MCP clients that people use, each against a running gateway: they list tools and call them.

The official Python clients have files of their own (``test_three_doors``, ``test_mcp_130``).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypha_rpc.utils.schema import schema_function
from mcp import Client, StdioServerParameters
from pydantic_ai import Agent, models
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.test import TestModel

from gateway.testing import FakeGateway
from mcp_bridge.exchange import Timing
from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import output
from tests.mcp_bridge.sockets import served

HERE = Path(__file__).parent
NODE = HERE / "mcp_node"
REQUEST_TIMEOUT = -32001
"""What the TypeScript SDK makes of an answer that does not come."""
USED = {"tools": ["greet", "count"], "greeted": "Hello Ada!", "refused": True}


@pytest.fixture
async def url(gateway: Gateway, connect: Connect) -> AsyncIterator[str]:
    """The endpoint of a service with a function and a generator."""

    @schema_function
    def greet(name: str, greeting: str = "Hello") -> str:
        """Greet somebody."""
        return f"{greeting} {name}!"

    @schema_function
    def count(n: int) -> Iterator[int]:
        """Count from 0."""
        yield from range(n)

    provider = await connect()
    await provider.register_service(
        {"id": "offer", "config": {"visibility": "public"}, "greet": greet, "count": count}
    )
    yield f"{gateway.url}/{provider.config.workspace}/mcp/offer/mcp"


@pytest.mark.parametrize("script", ["langchain_session.py", "openai_agents_session.py"])
async def test_a_framework_in_python_uses_the_tools(
    url: str, mcp1_python: Path, script: str
) -> None:
    assert json.loads(await output(mcp1_python, HERE / "scripts" / script, url)) == USED


async def test_pydantic_ai_uses_the_tools(url: str) -> None:
    models.ALLOW_MODEL_REQUESTS = False
    agent = Agent(TestModel(call_tools=["greet"]), toolsets=[MCPToolset(url)])
    result = await agent.run("Greet somebody")
    assert json.loads(result.output)["greet"].startswith("Hello ")


async def test_the_typescript_sdk_uses_the_tools(url: str, programs: Path) -> None:
    assert json.loads(await output("node", NODE / "session.mjs", url)) == {
        **USED,
        "counted": "[0,1]",
        "progress": "0\n1",
    }


@pytest.mark.parametrize(
    ("mode", "version"),
    [("auto", "2026-07-28"), ("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")],
)
async def test_the_second_typescript_sdk_uses_the_tools_in_either_era(
    url: str, programs: Path, mode: str, version: str
) -> None:
    assert json.loads(await output("node", NODE / "session2.mjs", url, mode)) == {
        **USED,
        "version": version,
        "counted": "[0,1]",
        "progress": "0\n1",
    }


async def test_a_call_outlasts_the_time_limit_of_the_typescript_sdk(programs: Path) -> None:
    may_end = asyncio.Event()

    async def wait() -> str:
        await may_end.wait()
        return "at last"

    fake = FakeGateway()
    functions = {"wait": wait, "end": may_end.set}
    fake.add_service("ws-lab/worker:calc", functions, visibility="public")
    often = Timing(commit_seconds=0.1, keep_alive_seconds=0.1)
    async with served(fake, often) as url:
        # Usually 60 s and every 15 s; here 4 s, and 5 s of waiting.
        told = json.loads(await output("node", NODE / "patient.mjs", url, "4000", "50"))
    assert told.pop("ms") > 4_000
    assert told == {"patient": "at last", "impatient": REQUEST_TIMEOUT}


async def test_the_inspector_lists_and_calls(url: str, programs: Path) -> None:
    async def ask(*words: str) -> Any:
        inspector = (programs / "mcp-inspector", "--cli", url, "--transport", "http")
        return json.loads(await output("node", *inspector, *words))

    listed = await ask("--method", "tools/list")
    assert [tool["name"] for tool in listed["tools"]] == USED["tools"]
    call = ("--method", "tools/call", "--tool-name", "greet", "--tool-arg", "name=Ada")
    assert (await ask(*call))["content"] == [{"type": "text", "text": USED["greeted"]}]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_remote_connects_a_client_that_starts_programs(
    url: str, programs: Path, mode: str, tmp_path: Path
) -> None:
    server = StdioServerParameters(
        command="node",
        args=[str(programs / "mcp-remote"), url, "--allow-http", "--silent"],
        env={**os.environ, "MCP_REMOTE_CONFIG_DIR": str(tmp_path)},
    )
    async with Client(server, mode=mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == USED["tools"]
        result = await client.call_tool("greet", {"name": "Ada"})
        assert result.content[0].model_dump()["text"] == USED["greeted"]
