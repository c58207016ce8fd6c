"""Providers that fall silent or die in the middle of a call, seen through HTTP and MCP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from mcp import Client
from mcp_types import TextContent

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import Program, running

SCRIPT = Path(__file__).parent / "scripts" / "waiting_provider.py"
SILENCE_SECONDS = 4.0
"""A provider that dies is told from a silent one by the error that its caller gets."""
MCP_MODES = ["auto", "legacy", "2026-07-28"]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {
        "POLYPORT_SILENCE_TIMEOUT_SECONDS": f"{SILENCE_SECONDS:g}",
        "POLYPORT_RECONNECT_GAP_SECONDS": "0.8",
    }


@pytest.fixture
async def provider(gateway: Gateway) -> AsyncIterator[Program]:
    async with running(sys.executable, SCRIPT, gateway.url) as program:
        yield program


async def offered(provider: Program) -> tuple[str, str]:
    """The paths of its function and of its MCP endpoint."""
    workspace, _, service = (await provider.value())["id"].partition("/")
    return f"/{workspace}/services/{service}/wait", f"/{workspace}/mcp/{service}/mcp"


async def called(provider: Program) -> None:
    """Return when a call has arrived at the provider."""
    assert await provider.value() == {"called": "wait"}


async def call_tool(gateway: Gateway, path: str, mode: str = "auto") -> list[str]:
    """Call the tool, which must fail, and return what the model is told."""
    async with Client(gateway.url + path, mode=mode) as client:
        result = await client.call_tool("wait")
    assert result.is_error
    return [block.text for block in result.content if isinstance(block, TextContent)]


async def test_a_silent_provider_is_given_up_while_a_slow_one_is_waited_for(
    gateway: Gateway, http: httpx.AsyncClient, provider: Program, connect: Connect
) -> None:
    answer = asyncio.Event()

    async def wait() -> str:
        await answer.wait()
        return "worth the wait"

    service = {"id": "slow", "config": {"visibility": "public"}, "wait": wait}
    slow_id = (await (await connect()).register_service(service))["id"]
    path, mcp_path = await offered(provider)
    async with asyncio.TaskGroup() as calls:
        slow = calls.create_task(http.get(f"/{slow_id.replace('/', '/services/')}/wait"))
        over_http = calls.create_task(http.get(path))
        await called(provider)
        over_mcp = calls.create_task(call_tool(gateway, mcp_path))
        await called(provider)
        provider.freeze()

        response = await over_http
        assert response.status_code == 504
        assert (response.json()["code"], response.json()["type"]) == ("timeout", "CallTimeout")
        (text,) = await over_mcp
        assert text.startswith("TimeoutError: ")
        assert not slow.done()
        answer.set()
    assert slow.result().json() == "worth the wait"


async def test_a_provider_that_dies_in_mid_call_is_a_bad_gateway(
    http: httpx.AsyncClient, provider: Program
) -> None:
    path, _ = await offered(provider)
    call = asyncio.ensure_future(http.get(path))
    await called(provider)
    provider.kill()
    response = await call
    assert response.status_code == 502
    assert (response.json()["code"], response.json()["type"]) == ("provider_gone", "ProviderGone")

    gone = await http.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "service_not_found")


@pytest.mark.parametrize("mode", MCP_MODES)
async def test_a_provider_that_dies_in_mid_call_is_told_to_the_model(
    gateway: Gateway, provider: Program, mode: str
) -> None:
    _, mcp_path = await offered(provider)
    call = asyncio.ensure_future(call_tool(gateway, mcp_path, mode))
    await called(provider)
    provider.kill()
    (text,) = await call
    assert text.startswith("ConnectionError: ")


async def test_a_stream_whose_provider_dies_ends_with_an_error(
    http: httpx.AsyncClient, connect: Connect
) -> None:
    provider = await connect()

    async def count() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    service = {"id": "offer", "config": {"visibility": "public"}, "count": count}
    workspace, _, id = (await provider.register_service(service))["id"].partition("/")
    async with http.stream("GET", f"/{workspace}/services/{id}/count") as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "data: 1"
        await provider.disconnect()
        rest = [line async for line in lines if line.startswith("data: ")]
    assert len(rest) == 2
    assert '"code":"provider_gone"' in rest[0]
    assert rest[1] == "data: [DONE]"


async def test_a_service_without_its_provider_is_gone_from_mcp(
    gateway: Gateway, http: httpx.AsyncClient, connect: Connect
) -> None:
    provider = await connect()
    service = {"id": "offer", "config": {"visibility": "public"}, "answer": lambda: 42}
    await provider.register_service(service)
    path = f"/{provider.config.workspace}/mcp/offer/mcp"
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    listed = (await http.post(path, json=ask)).json()
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["answer"]
    await provider.disconnect()
    gone = await http.post(path, json=ask)
    assert gone.status_code == 404
    assert gone.json()["error"]["data"]["code"] == "service_not_found"
