"""The service that the benchmark calls, offered by the unmodified hypha-rpc client.

Run as ``python provider.py SERVER_URL``; prints one line of JSON when the service can be called.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from hypha_rpc import connect_to_server
from hypha_rpc.utils.schema import schema_function


@schema_function
def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


@schema_function
def upper(text: str) -> str:
    """Turn a text into capitals."""
    return text.upper()


@schema_function
def repeat(text: str, times: int = 2) -> str:
    """Say a text several times."""
    return text * times


def blob(data: Any) -> Any:
    """Give back what came."""
    return data


async def main(server_url: str) -> None:
    async with connect_to_server({"server_url": server_url}) as server:
        service = {"id": "bench", "config": {"visibility": "public"}, "blob": blob}
        tools = {"add": add, "upper": upper, "repeat": repeat}
        registered = await server.register_service({**service, **tools})
        line = {"workspace": server.config.workspace, "id": registered.id}
        print(json.dumps(line), flush=True)
        await server.serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
