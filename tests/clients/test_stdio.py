"""`polyport stdio` as a client starts it: a program, its standard streams, a gateway behind."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypha_rpc.utils.schema import schema_function
from mcp import Client, StdioServerParameters

from tests.clients.conftest import Connect
from tests.clients.gateways import ROOT, Gateway
from tests.patience import PATIENCE_SECONDS

MODES = pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "c", "version": "1"},
}


@pytest.fixture
async def target(gateway: Gateway, connect: Connect) -> AsyncIterator[list[str]]:
    """The words behind ``polyport stdio`` that name a running service."""

    @schema_function
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Hello {name}!"

    @schema_function
    async def wait() -> None:
        """Never end."""
        await asyncio.Event().wait()

    provider = await connect()
    service = await provider.register_service(
        {"id": "offer", "config": {"visibility": "public"}, "greet": greet, "wait": wait}
    )
    yield [service.id.replace("*", provider.config.workspace), "--server", gateway.url]


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "stdio", *arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ask(process: Process, method: str, params: Any = None, id: int = 1) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}
    process.stdin.write(json.dumps(message).encode() + b"\r\n")
    return json.loads(await process.stdout.readline())


@MODES
async def test_the_official_client_lists_and_calls_tools(target: list[str], mode: str) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "gateway", "stdio", *target], cwd=ROOT
    )
    async with Client(server, mode=mode) as client:
        assert [t.name for t in (await client.list_tools()).tools] == ["greet", "wait"]
        result = await client.call_tool("greet", {"name": "Ada"})
        assert result.content[0].model_dump()["text"] == "Hello Ada!"
        assert (await client.call_tool("greet", {})).is_error


async def test_it_ends_with_its_input_although_a_call_is_running(target: list[str]) -> None:
    async with started(*target) as process:
        assert "result" in await ask(process, "initialize", INITIALIZE)
        assert process.stdin is not None
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "wait"}}
        process.stdin.write(json.dumps(call).encode() + b"\n")
        assert "result" in await ask(process, "ping", id=3)
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == 0
        assert process.stdout is not None
        assert await process.stdout.read() == b""


async def test_it_ends_when_it_is_told_to(target: list[str]) -> None:
    async with started(*target) as process:
        assert "result" in await ask(process, "initialize", INITIALIZE)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == 0


async def test_without_a_gateway_it_introduces_itself_and_then_says_why() -> None:
    async with started("public/x", "--server", "http://127.0.0.1:1") as process:
        assert "result" in await ask(process, "initialize", INITIALIZE)
        message = await ask(process, "tools/list", id=2)
        assert (
            "http://127.0.0.1:1/public/mcp/x/mcp cannot be reached" in message["error"]["message"]
        )


async def test_nothing_but_messages_is_written_and_both_eras_share_the_pipe(
    target: list[str],
) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    async with started(*target) as process:
        discovered = await ask(process, "server/discover", {"_meta": meta})
        assert discovered["result"]["supportedVersions"] == ["2026-07-28"]
        opened = await ask(process, "initialize", INITIALIZE)
        assert opened["result"]["protocolVersion"] == "2025-06-18"
        call = {"name": "greet", "arguments": {"name": "Ada"}}
        assert "resultType" not in (await ask(process, "tools/call", call))["result"]
        modern = await ask(process, "tools/call", {**call, "_meta": meta})
        assert modern["result"]["resultType"] == "complete"


SERVER = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("upstream")


@server.tool()
def add(a: int, b: int) -> int:
    \"\"\"Add.\"\"\"
    return a + b


server.run("stdio")
"""


async def test_it_offers_the_servers_of_a_file_without_a_gateway(tmp_path: Path) -> None:
    program, config = tmp_path / "server.py", tmp_path / "mcp.json"
    program.write_text(SERVER)
    upstream = {"command": sys.executable, "args": [str(program)]}
    config.write_text(json.dumps({"mcpServers": {"sums": upstream}}))
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "gateway", "stdio", "--mcp-config", str(config), "--service", "sums"],
        cwd=ROOT,
    )
    async with Client(server, mode="auto") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["add"]
        result = await client.call_tool("add", {"a": 2, "b": 3})
        assert result.content[0].model_dump()["text"] == "5"


async def test_a_file_that_cannot_be_read_is_told() -> None:
    async with started("--mcp-config", "/nowhere/mcp.json") as process:
        assert "result" in await ask(process, "initialize", INITIALIZE)
        message = await ask(process, "tools/list", id=2)
        assert "could not be started" in message["error"]["message"]
