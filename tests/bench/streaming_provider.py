"""The services that the benchmark of streams uses, offered by the unmodified hypha-rpc client.

Run as ``python streaming_provider.py SERVER_URL``; prints the workspace when they can be called.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from hypha_rpc import connect_to_server

GAP_SECONDS = 0.02
CHUNK, CHUNKS = 1_000_000, 100
FUNCTIONS = 500
PUBLIC = {"visibility": "public"}


async def count(items: int) -> AsyncIterator[int]:
    """So many items, one after the other."""
    for number in range(items):
        yield number


async def clock(items: int) -> AsyncIterator[float]:
    """The time at which each item is made, which is not often."""
    for _ in range(items):
        await asyncio.sleep(GAP_SECONDS)
        yield time.time()


async def serve(args: dict[str, Any]) -> None:
    """An ASGI application that tells how much it has got, and sends as much."""
    scope, receive, send = args["scope"], args["receive"], args["send"]
    size, more = 0, scope["method"] == "PUT"
    while more:
        message = await receive()
        size += len(message.get("body") or b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(CHUNKS if scope["method"] == "GET" else 0):
        await send({"type": "http.response.body", "body": bytes(CHUNK), "more_body": True})
    await send({"type": "http.response.body", "body": str(size).encode()})


def _large() -> dict[str, Any]:
    """A service with many functions, each with a few arguments."""
    names = [f"function_{number}" for number in range(FUNCTIONS)]
    number = {"type": "number", "description": "A number"}
    parameters = {"type": "object", "properties": dict.fromkeys("abcd", number), "required": ["a"]}
    schema = {
        name: {
            "type": "function",
            "function": {"name": name, "description": "Add.", "parameters": parameters},
        }
        for name in names
    }
    functions = dict.fromkeys(names, lambda **given: sum(given.values()))
    return {"id": "bench-large", "config": PUBLIC, "service_schema": schema, **functions}


async def main(server_url: str) -> None:
    async with connect_to_server({"server_url": server_url}) as server:
        await server.register_service(
            {"id": "bench-streams", "config": PUBLIC, "count": count, "clock": clock}
        )
        await server.register_service(
            {"id": "bench-site", "type": "asgi", "config": PUBLIC, "serve": serve}
        )
        await server.register_service(_large())
        print(server.config.workspace, flush=True)
        await server.serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
