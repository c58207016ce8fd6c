"""Steps of a generator: made one by one for a slow reader, ahead of one that waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest

from gateway.app import Parts
from gateway.rpc import steps as steps_module
from gateway.rpc.steps import MAX_AHEAD, Steps
from schema.errors import InvalidMessage, ProviderGone, ServiceError
from tests.gateway.peer import Peer
from tests.gateway.rpc.test_endpoint import endpoint_of, msgpack_values
from tests.patience import PATIENCE_SECONDS

NEXT = "stream.next"


class Generator:
    """What a peer offers as ``stream.next``; it makes an item when it is allowed to."""

    def __init__(self, parts: Parts, peer: Peer) -> None:
        self.made = 0
        self.asked = asyncio.Semaphore(0)
        self.allowed = asyncio.Semaphore(0)
        self.last: int | None = None
        endpoint = endpoint_of(parts)
        identity = endpoint.manager_identity(peer.workspace)
        self.steps: Steps = endpoint.steps(identity, peer.address, NEXT)
        peer.functions[NEXT] = self._make

    async def _make(self) -> Any:
        self.asked.release()
        await self.allowed.acquire()
        if self.made == self.last:
            return {"_rtype": "stop_iteration"}
        self.made += 1
        return self.made

    def allow(self, items: int = 1) -> None:
        for _ in range(items):
            self.allowed.release()

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.steps.next()


@pytest.fixture
async def peer(parts: Parts) -> Peer:
    return await Peer.join(parts)


@pytest.fixture
def generator(parts: Parts, peer: Peer) -> Generator:
    return Generator(parts, peer)


async def test_items_come_in_order_and_are_each_asked_for_once(
    peer: Peer, generator: Generator
) -> None:
    generator.allow(100)
    assert [await generator.next() for _ in range(100)] == list(range(1, 101))
    sessions = [
        header["session"]
        for header, *_ in map(msgpack_values, peer.frames)
        if header.get("method") == NEXT
    ]
    assert len(set(sessions)) == len(sessions) >= 100
    assert len({len(session) for session in sessions}) == 1


async def test_items_that_do_not_come_in_a_rush_are_made_when_they_are_asked_for(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "RUSH_SECONDS", 0.0)
    generator.allow(100)
    for number in range(1, 5):
        assert await generator.next() == number
        for _ in range(20):  # turns of the event loop, in which nothing may happen
            await asyncio.sleep(0)
        assert generator.made == number


async def test_in_a_rush_some_are_made_ahead_and_not_too_many(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "RUSH_SECONDS", 3600.0)
    generator.allow(1000)
    assert await generator.next() == 1  # long after nothing, and so not in a rush
    generator.steps._came_at = float("inf")
    assert await generator.next() == 2
    assert generator.made == 1 + MAX_AHEAD
    assert [await generator.next() for _ in range(MAX_AHEAD - 1)] == list(range(3, MAX_AHEAD + 2))


async def test_large_items_are_not_made_ahead(
    parts: Parts, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "RUSH_SECONDS", 3600.0)
    generator = Generator(parts, peer)
    made = 0

    def large() -> bytes:
        nonlocal made
        made += 1
        return b"x" * steps_module.MAX_AHEAD_BYTES

    peer.functions[NEXT] = large
    generator.steps._came_at = float("inf")
    await generator.next()
    assert made == 1


async def test_a_rush_that_ends_hands_over_what_there_is(generator: Generator) -> None:
    generator.allow(2)
    generator.steps._came_at = float("inf")
    assert [await generator.next(), await generator.next()] == [1, 2]


async def test_the_end_is_not_waited_for_and_nothing_is_asked_after_it(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "RUSH_SECONDS", 3600.0)
    generator.steps._came_at = float("inf")
    generator.last = 3
    generator.allow(10)
    assert [await generator.next() for _ in range(3)] == [1, 2, 3]
    assert await generator.next() == {"_rtype": "stop_iteration"}
    assert generator.allowed._value == 6


async def test_a_failure_comes_after_the_items_before_it(
    peer: Peer, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "RUSH_SECONDS", 3600.0)
    generator.steps._came_at = float("inf")
    items = iter([1, 2])

    def make() -> int:
        for item in items:
            return item
        raise ValueError("bad")

    peer.functions[NEXT] = make
    assert [await generator.next(), await generator.next()] == [1, 2]
    for _ in range(2):
        with pytest.raises(ServiceError, match="bad"):
            await generator.next()


async def test_a_provider_that_leaves_ends_the_waiting(peer: Peer, generator: Generator) -> None:
    waiting = asyncio.create_task(generator.next())
    await generator.asked.acquire()
    peer.leave()
    with pytest.raises(ProviderGone):
        await waiting
    with pytest.raises(ProviderGone):
        await generator.next()


async def test_a_reader_that_is_cancelled_leaves_nothing_behind(
    parts: Parts, generator: Generator
) -> None:
    waiting = asyncio.create_task(generator.next())
    await generator.asked.acquire()
    assert endpoint_of(parts).calls_in_flight == 1
    waiting.cancel()
    await asyncio.wait([waiting])
    assert endpoint_of(parts).calls_in_flight == 0


async def test_a_reader_goes_on_after_it_was_cancelled(generator: Generator) -> None:
    waiting = asyncio.create_task(generator.next())
    await generator.asked.acquire()
    waiting.cancel()
    await asyncio.wait([waiting])
    generator.allow(2)
    assert await generator.next() == 2  # the first one was for who has left


async def test_who_waits_when_it_is_closed_has_come_to_the_end(
    parts: Parts, generator: Generator
) -> None:
    waiting = asyncio.create_task(generator.next())
    await generator.asked.acquire()
    generator.steps.close()
    assert await waiting == await generator.next() == {"_rtype": "stop_iteration"}
    assert endpoint_of(parts).calls_in_flight == 0


async def test_what_has_come_is_given_out_together(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "RUSH_SECONDS", 3600.0)
    generator.steps._came_at = float("inf")
    generator.last = MAX_AHEAD + 2
    generator.allow(1000)
    assert await generator.next() == 1
    assert generator.steps.ready() == list(range(2, MAX_AHEAD + 1))
    assert generator.steps.ready() == []
    assert await generator.next() == MAX_AHEAD + 1
    assert generator.steps.ready() == [MAX_AHEAD + 2]
    assert await generator.next() == {"_rtype": "stop_iteration"}


class Replies:
    """A provider whose replies the test writes, byte by byte if it wants to."""

    def __init__(self, parts: Parts, peer: Peer) -> None:
        peer.mute = True
        self.peer = peer
        endpoint = endpoint_of(parts)
        self.to = endpoint.manager_identity(peer.workspace).address
        self.steps = endpoint.steps(endpoint.manager_identity(peer.workspace), peer.address, NEXT)

    async def asked(self) -> tuple[asyncio.Task[Any], str]:
        """A reader that waits, and the session of what the provider has been asked for."""
        count = len(self.peer.frames)
        reading = asyncio.ensure_future(self.steps.next())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.peer.frames) == count:
                await asyncio.sleep(0)
        return reading, msgpack_values(self.peer.frames[-1])[0]["session"]

    def reply(self, session: str, *bodies: Any, sender: Peer | None = None, **header: Any) -> None:
        method = {"type": "method", "to": self.to, "method": f"{session}.resolve"}
        packed = b"".join(map(msgpack.packb, (method | header, *bodies)))
        peer = sender or self.peer
        peer.parts.router.route(peer.session, packed)

    async def read(self, value: Any, **header: Any) -> None:
        """Have an item read."""
        reading, session = await self.asked()
        self.reply(session, {"args": [value]}, **header)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await reading == value


@pytest.fixture
def replies(parts: Parts, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Replies:
    monkeypatch.setattr(steps_module, "RUSH_SECONDS", 0.0)  # nothing is asked for ahead
    return Replies(parts, peer)


async def test_replies_may_begin_with_other_bytes_from_one_to_the_next(replies: Replies) -> None:
    for number in range(3):
        await replies.read({"n": number})
        await replies.read(number, parent="0")
        await replies.read(number, parent="1")


async def test_replies_that_begin_alike_are_known_without_their_headers(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replies.read(1)
    router = replies.peer.parts.router
    monkeypatch.setattr(router, "_split", lambda frame: pytest.fail("a header was decoded"))
    for value in ("two", None, [3], b"4" * 1000):
        await replies.read(value)


async def test_a_reply_with_more_than_a_value_is_refused_and_the_right_one_still_counts(
    replies: Replies,
) -> None:
    await replies.read(1)
    reading, session = await replies.asked()
    with pytest.raises(InvalidMessage):
        replies.reply(session, {"args": [2]}, {"args": [3]})
    replies.reply(session, {"args": [4]})
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reading == 4


async def test_nobody_else_can_give_the_reply_that_is_expected(
    parts: Parts, replies: Replies
) -> None:
    other = await Peer.join(parts)
    await replies.read(1)
    reading, session = await replies.asked()
    replies.reply(session, {"args": ["forged"]}, sender=other)
    assert not reading.done()
    replies.reply(session, {"args": [2]})
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reading == 2


async def test_an_answer_that_comes_too_late_is_not_the_next_ones(replies: Replies) -> None:
    await replies.read(1)
    reading, late = await replies.asked()
    reading.cancel()
    await asyncio.wait([reading])
    reading, session = await replies.asked()
    replies.reply(late, {"args": ["late"]})
    replies.reply(session, {"args": [3]})
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reading == 3


async def test_nothing_is_expected_of_a_provider_when_its_stream_is_closed(
    replies: Replies,
) -> None:
    await replies.read(1)
    reading, session = await replies.asked()
    replies.steps.close()
    await reading
    expected = replies.peer.session.expected
    assert expected is not None
    assert not expected._by_size
    replies.reply(session, {"args": ["late"]})
    assert await replies.steps.next() == {"_rtype": "stop_iteration"}
