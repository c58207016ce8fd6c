"""Steps of a generator: made one by one for a slow reader, ahead of one that waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.app import Parts
from gateway.rpc import steps as steps_module
from gateway.rpc.steps import MAX_AHEAD, Steps
from schema.errors import ProviderGone, ServiceError
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
