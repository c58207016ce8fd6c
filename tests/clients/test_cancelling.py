"""A function learns that its caller has left, with the client library as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypha_rpc.utils.schema import schema_function

from tests.clients.conftest import NODE, Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import running
from tests.patience import PATIENCE_SECONDS


class Working:
    """A function that works until somebody stops it."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def work(self, seconds: float = 60) -> str:
        self.started.set()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "done"


async def offered(connect: Connect, working: Working) -> tuple[str, str]:
    """The workspace and the name of a service with the function ``work``."""
    provider = await connect()
    config = {"visibility": "public", "cancellable": True}
    service = await provider.register_service(
        {"id": "worker", "config": config, "work": working.work}
    )
    workspace, _, name = service.id.partition("/")
    return workspace, name


def begun(
    http: httpx.AsyncClient, workspace: str, name: str, door: str
) -> asyncio.Task[httpx.Response]:
    """A call of ``work`` through a door."""
    call: dict[str, Any] = {"name": "work", "arguments": {}}
    path, body = {
        "http": (f"/{workspace}/services/{name}/work", {}),
        "mcp": (
            f"/{workspace}/mcp/{name}/mcp",
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
        ),
    }[door]
    headers = {"accept": "application/json, text/event-stream"}
    return asyncio.create_task(http.post(path, json=body, headers=headers))


@pytest.mark.parametrize("door", ["http", "mcp"])
async def test_a_cancellable_function_is_cancelled_when_its_caller_leaves(
    connect: Connect, http: httpx.AsyncClient, door: str
) -> None:
    working = Working()
    workspace, name = await offered(connect, working)
    calling = begun(http, workspace, name, door)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await working.started.wait()
    calling.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await working.cancelled.wait()


async def test_a_cancellable_function_that_is_waited_for_ends_by_itself(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    working = Working()
    workspace, name = await offered(connect, working)
    url = f"/{workspace}/services/{name}/work"
    answer = await http.post(url, json={"seconds": 1.5})  # three heartbeats
    assert answer.json() == "done"
    assert not working.cancelled.is_set()


@pytest.mark.parametrize("door", ["http", "mcp"])
async def test_a_function_is_told_that_its_caller_has_left(
    connect: Connect, http: httpx.AsyncClient, door: str
) -> None:
    started, told = asyncio.Event(), asyncio.Event()

    @schema_function
    async def work(interaction: Any = None) -> None:
        """Work until the caller leaves."""
        leaving = asyncio.ensure_future(interaction["left"]())
        leaving.add_done_callback(lambda _: told.set())
        started.set()
        await asyncio.Event().wait()

    provider = await connect()
    service = await provider.register_service(
        {"id": "worker", "config": {"visibility": "public"}, "work": work}
    )
    workspace, _, name = service.id.partition("/")
    calling = begun(http, workspace, name, door)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await started.wait()
    calling.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await told.wait()


@pytest.mark.parametrize("door", ["http", "mcp"])
async def test_a_function_in_javascript_is_told_as_well(
    node: tuple[str | Path, ...], gateway: Gateway, http: httpx.AsyncClient, door: str
) -> None:
    async with running(*node, NODE / "stopping.mjs", gateway.url) as provider:
        workspace, _, name = (await provider.line(":worker")).strip('"').partition("/")
        calling = begun(http, workspace, name, door)
        await provider.line("started")
        calling.cancel()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await provider.line("stopped")
        assert await provider.end() == 0


async def test_a_cancellable_generator_is_cancelled_while_it_waits(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    ended = asyncio.Event()

    async def watch() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(1.2)  # two heartbeats
            yield 2
            await asyncio.Event().wait()
        finally:
            ended.set()

    config = {"visibility": "public", "cancellable": True}
    service = await (await connect()).register_service(
        {"id": "watcher", "config": config, "watch": watch}
    )
    workspace, _, name = service.id.partition("/")
    async with http.stream("GET", f"/{workspace}/services/{name}/watch") as answer:
        lines = (line async for line in answer.aiter_lines() if line)
        assert [await anext(lines), await anext(lines)] == ["data: 1", "data: 2"]
        assert not ended.is_set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await ended.wait()
