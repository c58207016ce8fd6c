"""Parts of a body that are there at the same time are one write; others wait for nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from http_proxy.gathering import MAX_BYTES, MAX_PARTS, Body
from tests.patience import PATIENCE_SECONDS


class Connection:
    """Takes what is sent while it is ``open``."""

    def __init__(self) -> None:
        self.written: list[tuple[bytes, bool]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()
        """Something is to be written."""
        self.error: Exception | None = None

    async def send(self, message: Any) -> None:
        self.begun.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.written.append((message["body"], message["more_body"]))

    async def write_begins(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.begun.wait()
        self.begun.clear()


@pytest.fixture
async def connection() -> Connection:
    return Connection()


async def begun(connection: Connection) -> Body:
    """A body to which ``1`` has been written in this turn of the event loop."""
    body = Body(connection.send)
    await body.write(b"1")
    await connection.write_begins()
    assert connection.written == [(b"1", True)]
    return body


async def test_parts_that_come_in_one_turn_after_the_first_are_one_write(
    connection: Connection,
) -> None:
    body = await begun(connection)
    for part in (b"2", b"3", b"4"):
        await body.write(part)
    assert connection.written == [(b"1", True)]
    await connection.write_begins()
    assert connection.written[1:] == [(b"234", True)]
    await body.end()
    assert connection.written[2:] == [(b"", False)]


async def test_the_first_part_of_a_turn_waits_for_nothing(connection: Connection) -> None:
    body = await begun(connection)
    await asyncio.sleep(0)
    await body.write(b"2")
    assert connection.written[1:] == [(b"2", True)]


async def test_the_end_takes_along_what_waits_and_a_last_part(connection: Connection) -> None:
    body = await begun(connection)
    await body.write(b"2")
    await body.end(b"3")
    assert connection.written[1:] == [(b"23", False)]


@pytest.mark.parametrize("part", [b"x" * MAX_BYTES, b"x"])
async def test_what_waits_is_bounded(connection: Connection, part: bytes) -> None:
    body = await begun(connection)
    parts = 1 if len(part) == MAX_BYTES else MAX_PARTS
    for _ in range(parts):
        await body.write(part)
    assert connection.written[1:] == [(part * parts, True)]


async def test_a_connection_that_is_full_is_waited_for(connection: Connection) -> None:
    body = await begun(connection)
    connection.open.clear()
    await body.write(b"2")
    await connection.write_begins()
    writing = asyncio.ensure_future(body.write(b"3"))
    await asyncio.sleep(0)
    assert not writing.done()
    connection.open.set()
    await writing
    await body.end()
    assert b"".join(part for part, _ in connection.written) == b"123"


async def test_a_failure_is_told_to_who_writes_next(connection: Connection) -> None:
    body = await begun(connection)
    connection.error = OSError("gone")
    await body.write(b"2")
    await connection.write_begins()
    with pytest.raises(OSError, match="gone"):
        await body.write(b"3")


async def test_nothing_is_written_after_it_is_cancelled(connection: Connection) -> None:
    body = await begun(connection)
    await body.write(b"2")
    body.cancel()
    await asyncio.sleep(0)
    assert connection.written == [(b"1", True)]
