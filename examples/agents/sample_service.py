"""A sample service. Types, defaults and descriptions become the MCP tools and the HTTP API.

python examples/agents/sample_service.py --server-url http://127.0.0.1:9527
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from typing import Any

from hypha_rpc import connect_to_server
from hypha_rpc.utils.schema import schema_function
from pydantic import Field


@schema_function
def greet(
    name: str = Field(..., description="Who to greet", examples=["Ada"]),
    greeting: str = Field("Hello", description="The first word"),
) -> str:
    """Greet a person by name."""
    return f"{greeting}, {name}!"


@schema_function
def add(
    a: float = Field(..., description="First number", examples=[2]),
    b: float = Field(..., description="Second number", examples=[3]),
) -> float:
    """Add two numbers."""
    return a + b


@schema_function
async def countdown(
    start: int = Field(..., description="First number", ge=0, le=60, examples=[3]),
) -> AsyncIterator[int]:
    """Count down to zero, five numbers a second; each one reaches the caller as it is made."""
    for number in range(start, -1, -1):
        yield number
        await asyncio.sleep(0.2)


@schema_function
def count_words(text: str = Field(..., description="Any text", examples=["so far so good"])) -> int:
    """Count the words of a text."""
    return len(text.split())


SERVICE_ID = "sample"
SERVICE = {
    "id": SERVICE_ID,
    "name": "Sample",
    "description": "Functions to try the gateway with.",
    "config": {"visibility": "public"},
    "greet": greet,
    "add": add,
    "countdown": countdown,
    "text": {"count_words": count_words},  # nested: its path is text.count_words
}


async def register(server: Any) -> str:
    """Offer the service; returns the workspace that this connection was given."""
    await server.register_service(SERVICE)
    return str(server.config.workspace)


async def main(server_url: str) -> None:
    async with connect_to_server({"server_url": server_url}) as server:
        workspace = await register(server)
        print(f"{server_url}/{workspace}/mcp/{SERVICE_ID}/mcp", flush=True)
        await server.serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Offer the sample service.")
    parser.add_argument("--server-url", default="http://127.0.0.1:9527")
    asyncio.run(main(parser.parse_args().server_url))
