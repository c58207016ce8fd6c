"""The older transport, with a stream and an address for messages: the official client, and what no
client should do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, ClientSession
from mcp.client.sse import sse_client
from mcp_types import ElicitResult

from gateway.app import create_app
from gateway.settings import Settings
from gateway.testing import FakeGateway
from mcp_bridge.exchange import Timing
from tests.gateway.upstreams.conftest import listening, until
from tests.mcp_bridge.conftest import described
from tests.mcp_bridge.sockets import served
from tests.mcp_bridge.wire import Door, Live
from tests.patience import PATIENCE_SECONDS

STREAM = "/ws-lab/mcp/calc/sse"
HOST = ("host", "localhost:9527")
JSON = [HOST, ("content-type", "application/json")]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}


@asynccontextmanager
async def address(gateway: FakeGateway) -> AsyncIterator[str]:
    async with asyncio.timeout(60), served(gateway, mcp_sse=True) as url:
        yield url.removesuffix("/mcp") + "/sse"


async def test_the_official_client_lists_calls_and_hears_of_failures(gateway: FakeGateway) -> None:
    async with (
        address(gateway) as url,
        sse_client(url, timeout=60) as streams,
        ClientSession(*streams) as ours,
    ):
        opened = await ours.initialize()
        assert opened.server_info.name
        assert [t.name for t in (await ours.list_tools()).tools] == [
            "add", "math_add", "echo", "fail",
        ]  # fmt: skip
        result: Any = await ours.call_tool("add", {"a": 2, "b": 3})
        assert result.content[0].text == "5"
        assert (await ours.call_tool("fail", {})).is_error
        echoed: Any = await ours.call_tool("echo", {"value": {"x": 1}})
        assert echoed.structured_content == {"x": 1}


async def test_a_client_that_tries_the_newer_era_first_falls_back(gateway: FakeGateway) -> None:
    async with address(gateway) as url, Client(sse_client(url, timeout=60), mode="auto") as client:
        assert client.protocol_version == "2025-11-25"
        result: Any = await client.call_tool("add", {"a": 2, "b": 3})
        assert result.content[0].text == "5"


async def test_calls_run_side_by_side_and_progress_comes_meanwhile(gateway: FakeGateway) -> None:
    going = asyncio.Event()
    seen: asyncio.Queue[str | None] = asyncio.Queue()

    async def steps() -> AsyncIterator[str]:
        yield "first"
        await going.wait()
        yield "second"

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        await seen.put(message)

    gateway.add_service(
        "ws-lab/worker:calc", {"steps": steps, "go": going.set}, visibility="public"
    )
    async with (
        address(gateway) as url,
        sse_client(url, timeout=60) as streams,
        ClientSession(*streams) as ours,
    ):
        await ours.initialize()
        call = asyncio.create_task(ours.call_tool("steps", {}, progress_callback=on_progress))
        assert await seen.get() == "first"
        await ours.call_tool("go", {})
        result: Any = await call
        assert result.structured_content == {"result": ["first", "second"]}


async def test_with_sessions_the_client_is_asked_and_told_of_changes(gateway: FakeGateway) -> None:
    async def ask(interaction: Any = None) -> Any:
        answer = await interaction["ask"]("Sure?", {"type": "object", "properties": {"sure": {}}})
        return str(answer["sure"])

    async def answer(context: Any, params: Any) -> Any:
        return ElicitResult(action="accept", content={"sure": True})

    told = asyncio.Event()

    async def on_message(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            told.set()

    takes = {"type": "object", "properties": {"interaction": {}}}
    asking = described(ask, takes)
    config = {"mcp": {"stateful": True}}
    gateway.add_service("ws-lab/worker:calc", {"ask": asking}, visibility="public", config=config)
    async with (
        address(gateway) as url,
        sse_client(url, timeout=60) as (read, write),
        ClientSession(read, write, elicitation_callback=answer, message_handler=on_message) as ours,
    ):
        await ours.initialize()
        result: Any = await ours.call_tool("ask", {})
        assert result.content[0].text == "True"
        gateway.add_service(
            "ws-lab/worker:calc", {"ask": asking, "two": asking}, visibility="public", config=config
        )
        await told.wait()


async def test_large_messages_take_up_no_room_once_they_are_answered() -> None:
    app = create_app(Settings(port=9527, ephemeral=True, mcp_sse=True))
    bodies = app.state.parts.bounds.bodies
    async with (
        asyncio.timeout(60),
        listening(app, timeout_graceful_shutdown=0) as port,
        sse_client(f"http://127.0.0.1:{port}/public/mcp/mcp-servers/sse", timeout=60) as streams,
        ClientSession(*streams) as ours,
    ):
        await ours.initialize()
        for _ in range(3):
            await ours.call_tool("list", {"workspace": "x" * 200_000})
        await until(lambda: not bodies.held_bytes)


def opened(door: Door, **headers: str) -> Live:
    return door.start(b"", method="GET", path=STREAM, headers=[HOST, *headers.items()])


async def messages_at(live: Live) -> str:
    """The query of the address that the first event names."""
    await live.until_body_has("\n\n")
    text = live.response.body.decode()
    event, data = text.split("\n")[:2]
    assert event == "event: endpoint"
    path, _, query = data.removeprefix("data: ").partition("?")
    assert path == f"{STREAM}/messages/"
    return query


async def post(door: Door, query: str, message: Any, **headers: str) -> Any:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    live = door.start(
        body, path=f"{STREAM}/messages/", query=query, headers=[*JSON, *headers.items()]
    )
    return await live.finished()


async def test_what_is_cancelled_or_left_behind_stops(gateway: FakeGateway) -> None:
    began, ended = asyncio.Queue[None](), asyncio.Queue[None]()

    async def wait() -> None:
        began.put_nowait(None)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.put_nowait(None)

    gateway.add_service("ws-lab/worker:calc", {"wait": wait}, visibility="public")
    door = Door(gateway, mcp_sse=True)
    live = opened(door)
    query = await messages_at(live)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for request_id in (1, "two"):
            call = {**CALL, "id": request_id, "params": {"name": "wait"}}
            assert (await post(door, query, call)).status == 202
            await began.get()
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await post(door, query, cancel)).status == 202
        await ended.get()
        assert ended.empty()
        live.leave()
        await ended.get()
    assert (await post(door, query, CALL)).status == 404


async def test_a_stream_is_only_for_the_credential_that_opened_it(gateway: FakeGateway) -> None:
    door = Door(gateway, mcp_sse=True)
    live = opened(door)
    query = await messages_at(live)
    ping = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    for wrong in ("", "session_id=", "session_id=abc", query + "x"):
        assert (await post(door, wrong, ping)).status == 404
    assert (await post(door, query, ping, authorization="Bearer root")).status in (401, 404)
    assert (await post(door, query, ping)).status == 202
    await live.until_body_has('"id":7')
    live.leave()


async def test_nothing_is_on_the_stream_but_the_answers(gateway: FakeGateway) -> None:
    door = Door(gateway, mcp_sse=True)
    live = opened(door)
    query = await messages_at(live)
    params = {
        "protocolVersion": "2024-11-05",
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }
    opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    ping = {"jsonrpc": "2.0", "id": "last", "method": "ping"}
    wide = {**CALL, "id": 3, "params": {"name": "echo", "arguments": {"value": 2**64}}}
    for message in (opening, ready, wide, ping):
        assert (await post(door, query, message)).status == 202
        if "id" in message:
            await live.until_body_has(f'"id":{json.dumps(message["id"])}')
    live.leave()
    data = [line[6:] for line in live.response.body.decode().split("\n") if line[:6] == "data: "]
    assert [json.loads(text)["id"] for text in data[1:]] == [0, 3, "last"]
    assert json.loads(data[1])["result"]["protocolVersion"] == "2024-11-05"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5"])
async def test_what_is_no_message_is_refused_at_once(gateway: FakeGateway, body: bytes) -> None:
    door = Door(gateway, mcp_sse=True)
    live = opened(door)
    query = await messages_at(live)
    assert (await post(door, query, body)).status == 400
    live.leave()


async def test_a_service_that_is_not_there_has_no_stream(gateway: FakeGateway) -> None:
    door = Door(gateway, mcp_sse=True)
    live = door.start(b"", method="GET", path="/ws-lab/mcp/nothing/sse", headers=[HOST])
    assert (await live.finished()).status == 404


async def test_streams_are_limited_and_end_with_the_server(gateway: FakeGateway) -> None:
    door = Door(gateway, mcp_sse=True, max_mcp_streams=1)
    live = opened(door)
    await messages_at(live)
    assert (await opened(door).finished()).status == 429
    for stop in door.context.on_stop:
        stop()
    assert (await live.finished()).status == 200


async def test_silence_is_broken_by_comments(gateway: FakeGateway) -> None:
    live = opened(Door(gateway, mcp_sse=True, timing=Timing(keep_alive_seconds=0.01)))
    await live.until_body_has(": keep-alive")
    live.leave()


async def test_the_older_transport_is_there_for_who_asks_for_it(gateway: FakeGateway) -> None:
    live = Door(gateway).start(b"", method="GET", path=STREAM, headers=[HOST])
    assert (await live.finished()).status == 404
