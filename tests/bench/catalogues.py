"""``python -m tests.bench.catalogues``: what large catalogues cost the MCP door, in process.

Raw ASGI over a gateway in memory, so that the figures are those of the door alone.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Mapping
from typing import Any

from gateway.testing import FakeGateway
from tests.mcp_bridge.conftest import INTEGERS, add, described
from tests.mcp_bridge.wire import MODERN, Door

ROUNDS = 300


async def cost(door: Door, path: str, method: str, params: Mapping[str, Any] | None = None) -> str:
    """Median microseconds of a request, and requests per second."""
    await door.request(MODERN, method, params, path=path)
    spent = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        response = await door.request(MODERN, method, params, path=path)
        spent.append(time.perf_counter() - before)
        assert response.status == 200
    median = statistics.median(spent)
    return f"{median * 1e6:.0f} us, {1 / median:.0f} per second"


async def main() -> None:
    gateway = FakeGateway()
    for workspace, count in (("ws-some", 500), ("ws-many", 5_000)):
        tools = {
            f"{verb}_{i}": described(add, INTEGERS, description=f"{verb} the item number {i}")
            for i in range(count)
            for verb in (("read", "write", "list", "move")[i % 4],)
        }
        gateway.add_service(f"{workspace}/worker:items", tools, visibility="public")
    door = Door(gateway)
    own = "/ws-some/mcp/items/mcp"
    call = {"name": "read_0", "arguments": {"a": 1, "b": 2}}
    query = {"query": "write the item number 777"}
    figures = {
        "500 tools, tools/list": await cost(door, own, "tools/list"),
        "500 tools, tools/call": await cost(door, own, "tools/call", call),
        "workspace of 5,000 tools, search_tools": await cost(
            door, "/ws-many/mcp", "tools/call", {"name": "search_tools", "arguments": query}
        ),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
