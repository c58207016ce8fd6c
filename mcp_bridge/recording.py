"""A response that is kept while it is made, so that its client can go on reading it on another
connection.

Who makes it writes ASGI messages into it and need not know. Each event gets an id when it is
written; a client that has lost its connection says which one it has seen. Source: revision
2025-11-25, Streamable HTTP, resumability and redelivery.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive, Send

from mcp_bridge import sse

MAX_EVENTS: Final = 1_000
MAX_BYTES: Final = 4 * 1024 * 1024
"""What is kept of one response; of more, the oldest events go."""
RETURN_SECONDS: Final = 60.0
"""How long a client may be away before what it asked for is given up."""


class Recording:
    """One response. It has one reader at a time; a new one takes over from the last."""

    def __init__(
        self,
        name: str,
        *,
        primes: bool = False,
        poll_seconds: float | None = None,
        abandon: Callable[[], None] | None = None,
        keep_alive_seconds: float | None = None,
    ) -> None:
        """``primes``: begin the events with an empty one, so that a client that is cut off early
        has an id to come back with. ``poll_seconds``: end connections that last longer, so that the
        client comes back for the rest. ``abandon`` is called if nobody comes back.
        ``keep_alive_seconds``: break silences that last longer, if whoever makes it does not."""
        self.name = name
        self.is_complete = False
        self.primes = primes
        self._poll = poll_seconds if primes else None
        self._abandon = abandon
        self._keep_alive = keep_alive_seconds
        self._start: Message | None = None
        self._is_events = False
        self._count = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._read = 0
        self._comment = b""
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._given_up = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    # Who makes it

    async def receive(self) -> Message:
        """Nothing comes from the client but that it has gone for good."""
        await self._given_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take the start or a part of the body; each part of events is one of them."""
        if message["type"] == "http.response.start":
            self._start = message
            self._is_events = sse.HEADERS[0] in message["headers"]
            if self._is_events and self.primes:
                self._keep(_PRIMING)
        else:
            data: bytes = message.get("body", b"")
            if data.startswith(b":"):
                self._comment = data
            elif data:
                self._keep(data)
            self.is_complete = not message.get("more_body")
        self._news.set()

    def begin(self) -> None:
        """Begin a response of events that has no end."""
        if self._start is None:
            self._start = _EVENTS
            self._is_events = True
            self._news.set()

    def push(self, event: bytes) -> None:
        """Add an event to such a response."""
        self.begin()
        self._keep(event)
        self._news.set()

    def end(self) -> None:
        """There is nothing more."""
        self.begin()
        self.is_complete = True
        self._news.set()

    def give_up(self) -> None:
        """Nobody wants it any more: tell who makes it."""
        self._given_up.set()

    def _keep(self, data: bytes) -> None:
        self._count += 1
        if self._is_events:
            data = f"id: {self.name}.{self._count}\n".encode() + data
        self._kept.append((self._count, data))
        self._size += len(data)
        while len(self._kept) > MAX_EVENTS or (self._size > MAX_BYTES and len(self._kept) > 1):
            self._size -= len(self._kept.popleft()[1])

    # Who reads it

    @property
    def is_read(self) -> bool:
        """Whether all of it has been handed to a client."""
        return self.is_complete and self._read >= self._count

    def has_had(self, number: int) -> bool:
        """Whether it has come as far as the event of this number."""
        return number <= self._count

    @property
    def has_reader(self) -> bool:
        """Whether a client is reading it."""
        return self._reader is not None

    async def read(self, receive: Receive, send: Send, after: int | None = None) -> None:
        """Hand it to a client, from the event after ``after`` on or from where the last one
        stopped, until it is complete or the client leaves."""
        if self._reader is not None:
            self._reader.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if after is not None:
            self._read = after
        loop = asyncio.get_running_loop()
        self._reader = mine = loop.create_task(self._copy(send))
        leaving = loop.create_task(_departure(receive))
        try:
            done, _ = await asyncio.wait(
                {mine, leaving}, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                mine.cancel()
                await asyncio.wait({mine})
                await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            mine.cancel()
            if self._reader is mine:
                self._reader = None
                if not self.is_read and self._abandon is not None:
                    self._timer = loop.call_later(RETURN_SECONDS, self._abandon)
        if mine.done() and not mine.cancelled():
            mine.result()

    async def _copy(self, send: Send) -> None:
        while self._start is None:
            await self._more()
        await send(self._start)
        while not self.is_read:
            for number, data in list(self._kept):
                if number > self._read:
                    self._read = number
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            if self._comment:
                data, self._comment = self._comment, b""
                await send({"type": "http.response.body", "body": data, "more_body": True})
            if not self.is_read:
                await self._more()
        await send({"type": "http.response.body", "body": b""})

    async def _more(self) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(self._keep_alive):
                await self._news.wait()
        except TimeoutError:
            self._comment = sse.KEEP_ALIVE


_PRIMING: Final = b"retry: 1000\ndata: \n\n"
"""An empty event, and after how many milliseconds to come back."""

_EVENTS: Final[Message] = {
    "type": "http.response.start",
    "status": 200,
    "headers": list(sse.HEADERS),
}


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
