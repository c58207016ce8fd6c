"""A call that may take long: what ends it, and that nothing of it is left then."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Send

from mcp_bridge.exchange import Exchange, Reply, Timing
from mcp_bridge.headers import Accepts

AT_ONCE = Timing(settle_seconds=0, commit_seconds=0)
"""Every call is a long one."""


class Work:
    """A method that does not end by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self, exchange: Exchange) -> Reply:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        raise AssertionError


def exchange(receive: Receive, send: Send) -> Exchange:
    return Exchange(receive, send, Accepts(json=True, events=True), timing=AT_ONCE)


async def stays() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def leaves() -> Message:
    return {"type": "http.disconnect"}


async def unwatched(message: Message) -> None:
    """Send to a client that is not looked at."""


async def broken(message: Message) -> None:
    raise OSError("the connection is broken")


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_client_that_leaves_ends_the_work_and_nothing_else() -> None:
    work = Work()
    before = others()
    await exchange(leaves, unwatched).serve(work)
    assert work.was_cancelled
    assert others() == before
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_whoever_cancels_the_request_cancels_the_work() -> None:
    work = Work()
    before = others()
    request = asyncio.get_running_loop().create_task(exchange(stays, unwatched).serve(work))
    await work.begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert work.was_cancelled
    assert others() == before


async def test_a_client_that_leaves_does_not_hide_that_the_request_is_cancelled() -> None:
    work = Work()
    left = asyncio.Event()

    async def leaves_then() -> Message:
        request.cancel()
        left.set()
        return {"type": "http.disconnect"}

    request = asyncio.get_running_loop().create_task(exchange(leaves_then, unwatched).serve(work))
    await left.wait()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert work.was_cancelled


async def test_a_response_that_cannot_be_written_ends_the_work() -> None:
    work = Work()
    before = others()
    with pytest.raises(OSError, match="broken"):
        await exchange(stays, broken).serve(work)
    assert work.was_cancelled
    assert others() == before
