"""Parts of a body that are there at the same time, in one write: handing a part to the socket costs
more than making it. The first one waits for nothing, the others for the turn of the event loop.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Send

MAX_PARTS: Final = 64
MAX_BYTES: Final = 16 * 1024
"""What is written without waiting for more, so that a slow reader slows who writes."""


class Body:
    """Writes the body of one response by ASGI's ``send``; used by one task."""

    __slots__ = ("_loop", "_parts", "_send", "_size", "_turn", "_writing")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0
        self._turn: asyncio.Handle | None = None
        """The end of the turn in which something was written."""
        self._writing: asyncio.Task[None] | None = None

    async def write(self, part: bytes) -> None:
        """Take a part. Waits while the connection is full, and raises what ``send`` does."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing
        self._parts.append(part)
        self._size += len(part)
        if self._turn is None:
            self._turn = self._loop.call_soon(self._end_turn)
            await self._flush()
        elif len(self._parts) >= MAX_PARTS or self._size >= MAX_BYTES:
            await self._flush()

    async def end(self, part: bytes = b"") -> None:
        """Write what is left, a last part, and the end of the body."""
        if self._writing is not None:
            await self._writing
        self._parts.append(part)
        await self._flush(is_last=True)

    def cancel(self) -> None:
        """Write no more. Does nothing after ``end``."""
        if self._turn is not None:
            self._turn.cancel()
        if self._writing is not None:
            self._writing.cancel()

    def _end_turn(self) -> None:
        self._turn = None
        if self._parts:
            # A task, because ``send`` may have to wait.
            self._writing = self._loop.create_task(self._flush())
            self._writing.add_done_callback(_look_at)

    async def _flush(self, *, is_last: bool = False) -> None:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})


def _look_at(writing: asyncio.Task[None]) -> None:
    """Whoever writes next is told of a failure; if nobody does, nobody wants to know."""
    if not writing.cancelled():
        writing.exception()
