"""The official Python client against the door, over a real socket, in every mode it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp import Client, MCPError

from gateway.testing import FakeGateway
from tests.mcp_bridge.sockets import served
from tests.patience import PATIENCE_SECONDS

MODES = pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])


@MODES
async def test_tools_are_listed_and_called(gateway: FakeGateway, mode: str) -> None:
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        served(gateway) as url,
        Client(url, mode=mode) as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["add", "math_add", "echo", "fail"]
        assert tools["add"].input_schema["required"] == ["a", "b"]
        result = await client.call_tool("add", {"a": 2, "b": 3})
        assert [block.model_dump()["text"] for block in result.content] == ["5"]
        failed = await client.call_tool("fail", {})
        assert failed.is_error
        assert failed.content[0].model_dump()["text"] == "ValueError: bad"
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("nothing", {})


@MODES
async def test_progress_arrives_while_items_are_made(gateway: FakeGateway, mode: str) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    seen: asyncio.Queue[tuple[float, str | None]] = asyncio.Queue()

    async def steps() -> AsyncIterator[str]:
        for number, gate in enumerate(gates):
            await gate.wait()
            yield f"step {number}"

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        await seen.put((progress, message))

    gateway.add_service("ws-lab/worker:calc", {"steps": steps}, visibility="public")
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        served(gateway) as url,
        Client(url, mode=mode) as client,
    ):
        call = asyncio.create_task(client.call_tool("steps", {}, progress_callback=on_progress))
        for number, gate in enumerate(gates):
            assert seen.empty()
            gate.set()
            assert await seen.get() == (number + 1, f"step {number}")
        result: Any = await call
        assert result.structured_content == {"result": ["step 0", "step 1", "step 2"]}


# Before the stateless era a client cancels by a message that names the request's id. Ids are only
# unique within a session, so without sessions that message cannot be acted upon.
@pytest.mark.parametrize("mode", ["auto", "2026-07-28"])
async def test_cancelling_a_call_cancels_the_function(gateway: FakeGateway, mode: str) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    gateway.add_service("ws-lab/worker:calc", {"hang": hang}, visibility="public")
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        served(gateway) as url,
        Client(url, mode=mode) as client,
    ):
        call = asyncio.create_task(client.call_tool("hang", {}))
        await started.wait()
        call.cancel()
        await cancelled.wait()
