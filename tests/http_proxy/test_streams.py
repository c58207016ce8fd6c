"""Streams: order and time of items, their three framings, failures, and clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import msgpack
import pytest
from starlette.applications import Starlette

from gateway.testing import FakeGateway
from http_proxy import streams
from schema.errors import ProviderGone
from tests.http_proxy.asgi import Exchange
from tests.http_proxy.conftest import MAX_RESPONSE
from tests.patience import PATIENCE_SECONDS

URL = "/ws-lab/services/flow/items"

Offer = Callable[[Callable[[], Any]], None]


@pytest.fixture
def offer(gateway: FakeGateway) -> Offer:
    """Offer a generator function as ``flow.items``."""

    def offer(items: Callable[[], Any]) -> None:
        gateway.add_service("ws-lab/worker:flow", {"items": items}, visibility="public")

    return offer


class Gate:
    """A generator that makes an item each time it is told to."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = asyncio.Event()
        self._permits = asyncio.Semaphore(0)

    def allow(self, items: int = 1) -> None:
        for _ in range(items):
            self._permits.release()

    async def items(self) -> AsyncIterator[int]:
        try:
            while True:
                await self._permits.acquire()
                self.made += 1
                yield self.made
        finally:
            self.closed.set()

    async def is_closed(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.closed.wait()


def failing() -> Iterator[Any]:
    yield {"n": 1}
    raise ValueError("bad")


def made_of(*items: Any) -> Iterator[Any]:
    yield from items


async def test_items_come_as_events_and_end_with_done(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer(lambda: made_of(0, "two\nlines", {"a": 1}, None, b"\x00", float("nan")))
    answer = await client.get(URL)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert answer.text == (
        "data: 0\n\n"
        'data: "two\\nlines"\n\n'
        'data: {"a":1}\n\n'
        "data: null\n\n"
        'data: {"_rtype":"bytes","_rvalue":"AA=="}\n\n'
        "data: null\n\n"
        "data: [DONE]\n\n"
    )


async def test_a_stream_without_items_is_only_done(client: httpx.AsyncClient, offer: Offer) -> None:
    offer(lambda: made_of())
    assert (await client.post(URL)).text == "data: [DONE]\n\n"


async def test_items_come_as_ndjson_to_those_who_ask(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer(lambda: made_of(1, {"a": "b\n"}))
    answer = await client.get(URL, headers={"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == '1\n{"a":"b\\n"}\n'


async def test_items_come_as_msgpack_to_those_who_speak_it(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer(lambda: made_of(1, b"\x00", {"a": 2}))
    answer = await client.post(
        URL, content=msgpack.packb({}), headers={"Content-Type": "application/msgpack"}
    )
    assert answer.headers["content-type"] == "application/msgpack"
    unpacker = msgpack.Unpacker()
    unpacker.feed(answer.content)
    assert list(unpacker) == [1, b"\x00", {"a": 2}]


async def test_a_failure_in_the_middle_is_the_last_event(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer(failing)
    answer = await client.get(URL)
    assert answer.status_code == 200
    assert answer.text == (
        'data: {"n":1}\n\n'
        'data: {"error":"ValueError: bad","code":"service_error","type":"ValueError"}\n\n'
        "data: [DONE]\n\n"
    )


async def test_a_failure_in_the_middle_is_a_map_in_the_other_framings(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer(failing)
    lines = (await client.get(URL, headers={"Accept": "application/x-ndjson"})).text.splitlines()
    assert lines[1] == '{"error":"ValueError: bad","code":"service_error","type":"ValueError"}'
    unpacker = msgpack.Unpacker()
    unpacker.feed((await client.get(URL, headers={"Accept": "application/msgpack"})).content)
    assert list(unpacker)[1]["error"] == "ValueError: bad"


async def test_an_item_that_json_cannot_express_ends_the_stream_with_its_error(
    client: httpx.AsyncClient, gateway: FakeGateway, offer: Offer
) -> None:
    offer(lambda: made_of(1, object(), 3))
    answer = await client.get(URL)
    assert answer.text.count("data: ") == 3
    assert '"code":"not_acceptable"' in answer.text
    assert gateway.streams[0].closed


async def test_an_unexpected_failure_in_the_middle_is_logged_and_not_told(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken:
        def __init__(self) -> None:
            self.items = iter([1])

        async def __anext__(self) -> Any:
            for item in self.items:
                return item
            raise RuntimeError("secret detail")

        async def aclose(self) -> None:
            raise ProviderGone("left")

    async def call(*args: Any) -> Any:
        return Broken()

    monkeypatch.setattr(gateway, "call", call)
    answer = await client.get("/ws-lab/services/calc/add")
    assert '"code":"internal_error"' in answer.text
    assert "secret" not in answer.text
    assert "http_stream_failed" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("bad"), 400), (ProviderGone("left"), 502)]
)
async def test_a_failure_before_the_first_item_has_its_own_status(
    client: httpx.AsyncClient, gateway: FakeGateway, offer: Offer, error: Exception, status: int
) -> None:
    def items() -> Iterator[int]:
        raise error
        yield 1

    offer(items)
    answer = await client.get(URL)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["success"] is False
    assert gateway.streams[0].closed


async def test_an_item_that_is_too_large_ends_the_stream_with_its_error(
    client: httpx.AsyncClient, gateway: FakeGateway, offer: Offer
) -> None:
    offer(lambda: made_of("x" * (MAX_RESPONSE // 2), "x" * MAX_RESPONSE, 3))
    answer = await client.get(URL)
    assert '"code":"result_too_large"' in answer.text[MAX_RESPONSE // 2 :]
    assert len(answer.text) < MAX_RESPONSE
    assert gateway.streams[0].closed


async def test_each_item_is_sent_when_it_is_made(app: Starlette, offer: Offer) -> None:
    gate = Gate()
    offer(gate.items)
    async with Exchange(app, URL) as http:
        for number in (1, 2, 3):
            gate.allow()
            if number == 1:
                assert (await http.start())[0] == 200
            assert await http.part() == b"data: %d\n\n" % number
            assert (gate.made, http.unread) == (number, 0)


@pytest.mark.parametrize(
    "accept", ["text/event-stream", "application/x-ndjson", "application/msgpack"]
)
async def test_a_client_that_leaves_closes_the_generator(
    app: Starlette, gateway: FakeGateway, offer: Offer, accept: str
) -> None:
    gate = Gate()
    offer(gate.items)
    gate.allow()
    async with Exchange(app, URL, headers={"Accept": accept}) as http:
        await http.start()
        await http.part()
        http.disconnect()
        await http.finished()
        await gate.is_closed()
    assert gateway.streams[0].closed


async def test_a_client_that_leaves_before_the_first_item_closes_the_generator(
    app: Starlette, gateway: FakeGateway, offer: Offer
) -> None:
    gate = Gate()
    offer(gate.items)
    async with Exchange(app, URL, method="POST") as http:
        http.disconnect()
        await http.finished()
        await gate.is_closed()
        assert http.unread == 0
    assert gateway.streams[0].closed


async def test_a_request_that_is_cancelled_closes_the_generator(
    app: Starlette, gateway: FakeGateway, offer: Offer
) -> None:
    gate = Gate()
    offer(gate.items)
    gate.allow()
    async with Exchange(app, URL) as http:
        await http.start()
        await http.part()
    await gate.is_closed()
    assert gateway.streams[0].closed


async def test_a_client_that_reads_slowly_slows_the_generator(app: Starlette, offer: Offer) -> None:
    gate = Gate()
    offer(gate.items)
    gate.allow()
    async with Exchange(app, URL) as http:
        await http.start()
        await http.part()
        http.reading.clear()
        gate.allow(1000)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await http.blocked.wait()
        made = gate.made
        for _ in range(100):  # turns of the event loop, in which nothing may happen
            await asyncio.sleep(0)
        assert gate.made == made < 1000
        http.reading.set()
        await http.part()


class Handfuls:
    """A stream whose items have come in handfuls: what is there beside the one that is read."""

    def __init__(self, *handfuls: list[Any]) -> None:
        self._handfuls = iter(handfuls)
        self._there: list[Any] = []
        self.closed = False

    async def __anext__(self) -> Any:
        if not self._there:
            for handful in self._handfuls:
                if isinstance(handful[0], Exception):
                    raise handful[0]
                self._there = list(handful)
                break
            else:
                raise StopAsyncIteration
        return self._there.pop(0)

    def ready(self) -> list[Any]:
        there, self._there = self._there, []
        return there

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def offer_handfuls(gateway: FakeGateway, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Offer such a stream as ``flow.items``."""
    offer(lambda: made_of())

    def offer_handfuls(*handfuls: list[Any]) -> Handfuls:
        stream = Handfuls(*handfuls)

        async def call(*args: Any) -> Any:
            return stream

        monkeypatch.setattr(gateway, "call", call)
        return stream

    return offer_handfuls


def events(*numbers: int) -> bytes:
    return b"".join(b"data: %d\n\n" % number for number in numbers)


async def test_items_that_have_come_together_go_out_together_and_in_order(
    app: Starlette, offer_handfuls: Any
) -> None:
    stream = offer_handfuls([1, 2, 3], [4], [5, 6])
    async with Exchange(app, URL) as http:
        await http.start()
        assert await http.part() == events(1, 2, 3)
        assert await http.rest() == events(4, 5, 6) + b"data: [DONE]\n\n"
        await http.finished()
    assert stream.closed


async def test_a_failure_comes_after_the_items_that_have_come_before_it(
    client: httpx.AsyncClient, offer_handfuls: Any
) -> None:
    offer_handfuls([1, 2], [ProviderGone("left")])
    answer = await client.get(URL)
    assert answer.content.startswith(events(1, 2) + b'data: {"error":"left"')
    assert answer.content.endswith(b"}\n\ndata: [DONE]\n\n")


async def test_an_item_that_cannot_be_told_does_not_take_those_before_it_along(
    client: httpx.AsyncClient, offer_handfuls: Any
) -> None:
    offer_handfuls([1, 2, object(), 4], [5])
    answer = await client.get(URL)
    assert answer.content.startswith(events(1, 2) + b'data: {"error":')
    assert b'"code":"not_acceptable"' in answer.content
    assert answer.content.count(b"data: ") == 4


async def test_a_first_item_that_is_long_in_coming_does_not_hold_back_the_status(
    app: Starlette, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "FIRST_ITEM_SECONDS", 0.0)
    gate = Gate()
    offer(gate.items)
    async with Exchange(app, URL) as http:
        assert (await http.start())[0] == 200
        assert await http.part() == b": ping\n\n"
        gate.allow()
        assert await http.part() == b"data: 1\n\n"


async def test_an_idle_stream_of_events_shows_that_it_is_alive(
    app: Starlette, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert streams.PING_SECONDS <= 15
    monkeypatch.setattr(streams, "PING_SECONDS", 0.1)
    gate = Gate()
    offer(gate.items)
    gate.allow()
    async with Exchange(app, URL) as http:
        await http.start()
        assert await http.part() == b"data: 1\n\n"
        assert await http.part() == b": ping\n\n"
        assert await http.part() == b": ping\n\n"


async def test_head_of_a_stream_is_only_its_headers(
    client: httpx.AsyncClient, gateway: FakeGateway, offer: Offer
) -> None:
    gate = Gate()
    offer(gate.items)
    gate.allow()
    answer = await client.head(URL)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert gateway.streams[0].closed
    assert gate.made == 1


async def test_a_server_that_cannot_send_closes_the_generator(
    app: Starlette, gateway: FakeGateway, offer: Offer
) -> None:
    gate = Gate()
    offer(gate.items)
    gate.allow(5)
    exchange = Exchange(app, URL)
    never = asyncio.Event()

    async def receive() -> Any:
        await never.wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    async with asyncio.timeout(PATIENCE_SECONDS):
        await app(exchange.scope, receive, send)
    assert gateway.streams[0].closed
