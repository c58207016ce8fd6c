"""A function learns that its caller has left, with the client library as it is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.clients.conftest import Connect

AT_ONCE_SECONDS = 1.0


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


@pytest.mark.parametrize("door", ["http", "mcp"])
async def test_a_cancellable_function_is_cancelled_when_its_caller_leaves(
    connect: Connect, http: httpx.AsyncClient, door: str
) -> None:
    working = Working()
    workspace, name = await offered(connect, working)
    call: dict[str, Any] = {"name": "work", "arguments": {}}
    path, body = {
        "http": (f"/{workspace}/services/{name}/work", {}),
        "mcp": (
            f"/{workspace}/mcp/{name}/mcp",
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
        ),
    }[door]
    headers = {"accept": "application/json, text/event-stream"}
    calling = asyncio.create_task(http.post(path, json=body, headers=headers))
    async with asyncio.timeout(10):
        await working.started.wait()
    calling.cancel()
    async with asyncio.timeout(AT_ONCE_SECONDS):
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
