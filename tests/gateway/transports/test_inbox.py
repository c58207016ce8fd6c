"""The inbox of a connection, and the gate that its senders wait at."""

from __future__ import annotations

import asyncio

import pytest

from gateway.transports.inbox import Gate, Inbox
from tests.patience import PATIENCE_SECONDS


async def test_messages_are_taken_in_order_before_and_after_waiting_for_them() -> None:
    inbox = Inbox()
    assert inbox.empty()
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    for message in "abc":
        inbox.put_nowait(message)
    assert [await reader, await inbox.get(), await inbox.get()] == ["a", "b", "c"]
    assert inbox.empty()


async def test_a_reader_that_gave_up_takes_no_message_along() -> None:
    inbox = Inbox()
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait("a")
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await inbox.get() == "a"


async def test_a_gate_lets_all_pass_that_waited_even_if_it_shuts_at_once() -> None:
    gate = Gate(is_open=True)
    await gate.wait()
    gate.clear()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, False]
    gate.set()
    gate.clear()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*waiting)
    assert not gate.is_set()
