from __future__ import annotations

import asyncio

import pytest

from gateway.routing import outbox as routing_outbox
from gateway.routing.outbox import Backlog, Outbox
from tests.patience import PATIENCE_SECONDS


class Wire:
    """A connection whose writes wait while ``full`` is set."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.room = asyncio.Event()
        self.room.set()
        self.fails = False

    async def send(self, frame: bytes) -> None:
        await self.room.wait()
        if self.fails:
            raise ConnectionResetError
        self.written.append(frame)


class Failures(list[str]):
    pass


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def failures() -> Failures:
    return Failures()


def outbox(wire: Wire, failures: Failures, max_bytes: int = 100, stall: float = 5.0) -> Outbox:
    box = Outbox(max_bytes=max_bytes, stall_seconds=stall, on_failure=failures.append)
    box.uncork(wire.send)
    return box


async def test_a_frame_is_written_at_once_while_there_is_room(
    wire: Wire, failures: Failures
) -> None:
    box = outbox(wire, failures)
    box.put(b"a")
    assert wire.written == [b"a"]
    assert box.waiting_bytes == 0


async def test_frames_for_a_full_connection_wait_and_keep_their_order(
    wire: Wire, failures: Failures
) -> None:
    box = outbox(wire, failures)
    wire.room.clear()
    for frame in (b"a", b"b", b"c"):
        box.put(frame)
    assert wire.written == []
    assert box.waiting_bytes == 3
    wire.room.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await box.flushed()
    box.put(b"d")
    assert wire.written == [b"a", b"b", b"c", b"d"]
    assert box.waiting_bytes == 0
    assert failures == []


async def test_many_slow_readers_have_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over it, whoever has much waiting is given up, and who has little is not."""
    monkeypatch.setattr(routing_outbox, "FAIR_BYTES", 20)
    backlog = Backlog(100)

    def slow() -> tuple[Outbox, Failures]:
        wire, failures = Wire(), Failures()
        wire.room.clear()
        box = Outbox(max_bytes=1000, stall_seconds=60, on_failure=failures.append, backlog=backlog)
        box.uncork(wire.send)
        return box, failures

    boxes = [slow() for _ in range(3)]
    for box, _ in boxes:
        box.put(b"x" * 30)
    small, small_failures = slow()
    small.put(b"x" * 10)
    assert backlog.queued_bytes == 100
    small.put(b"y" * 5)
    assert small_failures == [], "it has its share"
    fat, failed = boxes[0]
    fat.put(b"z" * 5)
    assert len(failed) == 1
    assert backlog.queued_bytes == 75
    boxes[1][0].put(b"z" * 5)
    assert boxes[1][1] == [], "there is room again"
    for box, _ in [*boxes, (small, small_failures)]:
        box.close()
    assert backlog.queued_bytes == 0


async def test_s33_a_reader_with_too_much_waiting_is_given_up(
    wire: Wire, failures: Failures
) -> None:
    box = outbox(wire, failures, max_bytes=10)
    wire.room.clear()
    box.put(b"12345")
    box.put(b"12345")
    assert failures == []
    box.put(b"1")
    assert failures == ["too much data is waiting for a client that reads too slowly"]
    wire.room.set()
    box.put(b"x")
    assert wire.written == []


async def test_s33_a_reader_that_takes_nothing_for_long_is_given_up(
    wire: Wire, failures: Failures
) -> None:
    box = outbox(wire, failures, stall=0.01)
    wire.room.clear()
    box.put(b"a")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await box.flushed()
    assert failures == ["the client has stopped reading"]


async def test_what_a_broken_connection_did_not_take_is_kept_for_the_next(
    wire: Wire, failures: Failures
) -> None:
    box = outbox(wire, failures)
    wire.fails = True
    box.put(b"a")
    box.put(b"b")
    assert failures == []
    assert box.waiting_bytes == 2
    repaired = Wire()
    box.uncork(repaired.send)
    assert repaired.written == [b"a", b"b"]


async def test_a_connection_that_breaks_while_it_is_full_loses_nothing(
    wire: Wire, failures: Failures
) -> None:
    box = outbox(wire, failures)
    wire.room.clear()
    box.put(b"a")
    box.put(b"b")
    wire.fails = True
    wire.room.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await box.flushed()
    assert failures == []
    repaired = Wire()
    box.uncork(repaired.send)
    assert repaired.written == [b"a", b"b"]


async def test_a_broken_connection_that_nobody_notices_is_given_up_at_the_limit(
    wire: Wire, failures: Failures
) -> None:
    box = outbox(wire, failures, max_bytes=10)
    wire.fails = True
    for _ in range(11):
        box.put(b"x")
    assert failures == ["too much data is waiting for a client that reads too slowly"]


async def test_a_closed_outbox_drops_what_waits(wire: Wire, failures: Failures) -> None:
    box = outbox(wire, failures)
    wire.room.clear()
    box.put(b"a")
    box.put(b"b")
    box.close()
    wire.room.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await box.flushed()
    assert wire.written == []
    assert failures == []


async def test_a_corked_outbox_keeps_frames_until_it_is_told_where_to_send_them(
    wire: Wire, failures: Failures
) -> None:
    box = Outbox(max_bytes=100, stall_seconds=5, on_failure=failures.append)
    box.put(b"a")
    box.put(b"b")
    assert box.waiting_bytes == 2
    box.uncork(wire.send)
    box.put(b"c")
    assert wire.written == [b"a", b"b", b"c"]
    assert box.waiting_bytes == 0


async def test_what_a_broken_connection_did_not_send_goes_over_the_next_one(
    wire: Wire, failures: Failures
) -> None:
    broken = outbox(wire, failures)
    wire.room.clear()
    for frame in (b"a", b"b", b"c"):
        broken.put(frame)
    fresh = Outbox(max_bytes=100, stall_seconds=5, on_failure=failures.append)
    fresh.adopt(broken)
    wire.room.set()
    fresh.uncork(wire.send)
    assert wire.written == [b"a", b"b", b"c"]
    assert failures == []
