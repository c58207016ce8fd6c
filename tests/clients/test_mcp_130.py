"""The previous generation of the MCP SDK (1.30), in an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypha_rpc.utils.schema import schema_function

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import running

SCRIPT = Path(__file__).parent / "scripts" / "mcp1_session.py"


async def test_a_client_of_the_handshake_era_lists_and_calls_tools(
    gateway: Gateway, connect: Connect, mcp1_python: Path
) -> None:
    @schema_function
    def greet(name: str, greeting: str = "Hello") -> str:
        """Greet somebody."""
        return f"{greeting} {name}!"

    @schema_function
    def fail() -> None:
        """Raise."""
        raise LookupError("no such colour")

    @schema_function
    def count(n: int) -> Iterator[int]:
        """Count from 0."""
        yield from range(n)

    provider = await connect()
    functions = {"greet": greet, "fail": fail, "count": count}
    await provider.register_service(
        {"id": "offer", "config": {"visibility": "public"}, **functions}
    )
    url = f"{gateway.url}/{provider.config.workspace}/mcp/offer/mcp"
    async with running(mcp1_python, SCRIPT, url) as program:
        result = await program.value()
        assert await program.end() == 0

    tools, progress = result.pop("tools"), result.pop("progress")
    assert tools.keys() == {"greet", "fail", "count"}
    assert tools["greet"]["required"] == ["name"]
    assert progress[-1][0] == pytest.approx(3)
    assert "\n".join(message for _, message in progress) == "0\n1\n2"
    assert result == {
        "version": "2025-11-25",
        "server": result["server"],
        "greeted": [False, "Hello Alice!"],
        "refused": True,
        "failed": [True, "LookupError: no such colour"],
        "counted": [False, "[0,1,2]"],
    }
