"""The stdio bridge in front of a door: a line goes in, and lines come out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from mcp_bridge.stdio.connection import Remote
from mcp_bridge.stdio.relay import Relay
from tests.mcp_bridge.wire import CALC, Door
from tests.patience import PATIENCE_SECONDS

LAST = {"jsonrpc": "2.0", "id": "last", "method": "tools/list"}


async def over_stdio(door: Door, line: bytes, *, opening: str | None = None) -> Any:
    """What the bridge answers to a line, None if nothing; ``opening`` is the version that its
    client has agreed on before, if it is one of the handshake era."""
    answers: asyncio.Queue[Any] = asyncio.Queue()
    is_open, is_over = asyncio.Event(), asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        if opening is not None:
            yield orjson.dumps(initialize(opening))
            await is_open.wait()
        if line.strip():  # as the pipes do
            yield line
        yield orjson.dumps(LAST)
        await is_over.wait()

    async def there() -> Remote:
        return Remote(f"http://localhost:9527{CALC}")

    transport = httpx.ASGITransport(door.app, raise_app_exceptions=False)
    async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(transport=transport) as http:
        relay = Relay(there, http, lambda data: answers.put_nowait(orjson.loads(data)))
        running = asyncio.create_task(relay.run(lines()))
        if opening is not None:
            assert (await answers.get())["result"]["protocolVersion"] == opening
            is_open.set()
        found = []
        while (answer := await answers.get())["id"] != LAST["id"]:
            found.append(answer)
        is_over.set()
        await running
    while not answers.empty():
        found.append(answers.get_nowait())
    assert len(found) <= 1, found
    return found[0] if found else None


def initialize(version: str) -> dict[str, Any]:
    """What a client of the handshake era sends first."""
    params = {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }
    return {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
