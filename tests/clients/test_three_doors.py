"""One provider, reached over RPC, HTTP and MCP at the same time: same functions, same answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgpack
import pytest
from hypha_rpc.rpc import RemoteException
from hypha_rpc.utils.schema import schema_function
from mcp import Client
from mcp_types import TextContent

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
MCP_MODES = ["auto", "legacy", "2026-07-28"]
ENDLESS = 10**6
MSGPACK = {"content-type": "application/msgpack"}


class Offer:
    """A service whose generator makes one item for each release."""

    def __init__(self) -> None:
        self.id = ""
        self.releases: asyncio.Queue[int] = asyncio.Queue()
        self.closed = asyncio.Event()

    @property
    def path(self) -> str:
        workspace, _, service = self.id.partition("/")
        return f"/{workspace}/services/{service}"

    @property
    def mcp_path(self) -> str:
        workspace, _, service = self.id.partition("/")
        return f"/{workspace}/mcp/{service}/mcp"

    async def register(self, provider: Any) -> None:
        @schema_function
        def echo(value: Any) -> Any:
            """Return the value."""
            return value

        @schema_function
        def add(a: int, b: int = 10) -> int:
            """Add two numbers."""
            return a + b

        @schema_function
        def fail(message: str) -> None:
            """Raise."""
            raise LookupError(message)

        @schema_function
        async def made(count: int) -> AsyncIterator[int]:
            """Make items, one for each release."""
            try:
                for _ in range(count):
                    yield await self.releases.get()
            finally:
                self.closed.set()

        def who(context: dict[str, Any]) -> list[Any]:
            """Say who calls."""
            return [context["ws"], context["user"]["id"]]

        config = {"visibility": "public", "require_context": ["who"]}
        functions = {f.__name__: f for f in (echo, add, fail, made, who)}
        functions["release"] = self.releases.put_nowait
        service = {"id": "offer", "name": "Offer", "config": config, **functions}
        self.id = (await provider.register_service(service))["id"]


@pytest.fixture
async def offer(connect: Connect) -> Offer:
    offer = Offer()
    await offer.register(await connect())
    return offer


@pytest.fixture
async def rpc(connect: Connect, offer: Offer) -> Any:
    return await (await connect()).get_service(offer.id)


@pytest.mark.parametrize(
    ("function", "arguments", "answer"),
    [
        ("add", {"a": 1, "b": 2}, 3),
        ("add", {"a": 1}, 11),
        ("echo", {"value": "häppy"}, "häppy"),
        ("echo", {"value": ""}, ""),
        ("echo", {"value": 1.5}, 1.5),
        ("echo", {"value": {"deep": [1, None, {"text": "x"}], "flag": True}}, None),
        ("echo", {"value": [2**63 - 1, -(2**63)]}, None),
        ("echo", {"value": None}, None),
    ],
)
async def test_a_function_answers_the_same_through_every_door(
    gateway: Gateway,
    http: httpx.AsyncClient,
    offer: Offer,
    rpc: Any,
    function: str,
    arguments: dict[str, Any],
    answer: Any,
) -> None:
    expected = arguments["value"] if answer is None else answer
    url = f"{offer.path}/{function}"

    posted = await http.post(url, json=arguments)
    packed = await http.post(url, content=msgpack.packb(arguments), headers=MSGPACK)
    async with Client(gateway.url + offer.mcp_path) as client:
        called = await client.call_tool(function, arguments)

    assert await rpc[function](**arguments) == expected
    assert (posted.status_code, posted.json()) == (200, expected)
    assert (packed.status_code, msgpack.unpackb(packed.content)) == (200, expected)
    assert packed.headers["content-type"] == "application/msgpack"
    assert not called.is_error
    (text,) = texts(called.content)
    assert text == expected if isinstance(expected, str) else json.loads(text) == expected


async def test_numbers_and_json_in_a_url_arrive_as_such(
    http: httpx.AsyncClient, offer: Offer
) -> None:
    assert (await http.get(f"{offer.path}/add?a=40&b=2")).json() == 42
    parameters = {"value": '{"deep": [1, null]}'}
    assert (await http.get(f"{offer.path}/echo", params=parameters)).json() == {"deep": [1, None]}


async def test_a_long_body_goes_there_and_back_over_http(
    http: httpx.AsyncClient, offer: Offer
) -> None:
    body = msgpack.packb({"value": bytes(5_000_000)})
    answer = await http.post(f"{offer.path}/echo", content=body, headers=MSGPACK)
    assert msgpack.unpackb(answer.content) == bytes(5_000_000)


async def test_every_door_shows_the_function_who_calls_it(
    gateway: Gateway, http: httpx.AsyncClient, connect: Connect, offer: Offer
) -> None:
    caller = await connect()
    token = await caller.generate_token()
    workspace = caller.config.workspace
    rpc = await caller.get_service(offer.id)
    assert await rpc.who() == [workspace, caller.config.user["id"]]

    assert (await http.get(f"{offer.path}/who")).json() == ["ws-anonymous", "anonymouz-http"]
    bearer = {"authorization": f"Bearer {token}"}
    assert (await http.get(f"{offer.path}/who", headers=bearer)).json()[0] == workspace
    async with Client(gateway.url + offer.mcp_path) as client:
        (text,) = texts((await client.call_tool("who")).content)
    assert json.loads(text) == ["ws-anonymous", "anonymouz-http"]


async def test_a_failure_is_told_through_every_door(
    gateway: Gateway, http: httpx.AsyncClient, offer: Offer, rpc: Any
) -> None:
    arguments = {"message": "no such colour"}
    with pytest.raises(RemoteException, match="LookupError: no such colour"):
        await rpc.fail(**arguments)
    answer = await http.post(f"{offer.path}/fail", json=arguments)
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "code": "service_error",
        "type": "LookupError",
        "detail": "LookupError: no such colour",
    }
    for mode in MCP_MODES:
        async with Client(gateway.url + offer.mcp_path, mode=mode) as client:
            result = await client.call_tool("fail", arguments)
        assert result.is_error
        assert texts(result.content) == ["LookupError: no such colour"]


async def test_items_of_a_generator_are_events_while_they_are_made(
    http: httpx.AsyncClient, offer: Offer, rpc: Any
) -> None:
    await rpc.release(0)
    async with http.stream("GET", f"{offer.path}/made?count=3") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        for number in range(3):
            # The next item cannot be made before this one has been seen.
            assert await next_data(lines) == str(number)
            await rpc.release(number + 1)
        assert await next_data(lines) == "[DONE]"


async def test_who_stops_reading_events_closes_the_generator(
    http: httpx.AsyncClient, offer: Offer, rpc: Any
) -> None:
    await rpc.release(0)
    async with http.stream("GET", f"{offer.path}/made?count={ENDLESS}") as response:
        assert await next_data(response.aiter_lines()) == "0"
        assert not offer.closed.is_set()
    await make_until_closed(offer, rpc)


@pytest.mark.parametrize("mode", MCP_MODES)
async def test_items_of_a_generator_are_progress_while_they_are_made(
    gateway: Gateway, offer: Offer, rpc: Any, mode: str
) -> None:
    seen: asyncio.Queue[tuple[float, str | None]] = asyncio.Queue()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.put_nowait((progress, message))

    async with Client(gateway.url + offer.mcp_path, mode=mode) as client, asyncio.TaskGroup() as g:
        call = g.create_task(client.call_tool("made", {"count": 3}, progress_callback=on_progress))
        for number in range(3):
            assert not call.done()
            await rpc.release(number)
            assert await seen.get() == (number + 1, str(number))
        (text,) = texts((await call).content)
    assert json.loads(text) == [0, 1, 2]


@pytest.mark.parametrize("mode", ["auto", "2026-07-28"])
async def test_who_cancels_a_tool_call_closes_the_generator(
    gateway: Gateway, offer: Offer, rpc: Any, mode: str
) -> None:
    async with Client(gateway.url + offer.mcp_path, mode=mode) as client:
        call = await begin_endless_call(client, rpc)
        assert not offer.closed.is_set()
        call.cancel()
        await make_until_closed(offer, rpc)


async def test_who_leaves_during_a_tool_call_closes_the_generator(
    gateway: Gateway, offer: Offer, rpc: Any
) -> None:
    # The handshake revisions cancel with a message, which a server without sessions cannot match
    # to a call; there, the end of the connection is what counts.
    async with Client(gateway.url + offer.mcp_path, mode="legacy") as client:
        call = await begin_endless_call(client, rpc)
        assert not offer.closed.is_set()
        call.cancel()
    await make_until_closed(offer, rpc)


async def begin_endless_call(client: Client, rpc: Any) -> asyncio.Future[Any]:
    """Call the generator and return once the client has seen an item."""
    made = asyncio.Event()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        made.set()

    call = asyncio.ensure_future(
        client.call_tool("made", {"count": ENDLESS}, progress_callback=on_progress)
    )
    await rpc.release(0)
    await made.wait()
    return call


async def make_until_closed(offer: Offer, rpc: Any) -> None:
    """A generator cannot be closed in the middle of an item, so it is given something to make."""
    while not offer.closed.is_set():
        await rpc.release(0)


async def next_data(lines: AsyncIterator[str]) -> str:
    """The data of the next event; comments keep the connection alive and mean nothing."""
    while not (line := await anext(lines)).startswith("data: "):
        assert not line or line.startswith(":")
    return line.removeprefix("data: ")


def texts(content: object) -> list[str]:
    assert isinstance(content, list)
    return [block.text for block in content if isinstance(block, TextContent)]
