"""A call as a stream of events: progress, log, what is asked, and in the end its value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.api import Interaction, ValueStream
from http_proxy.asking.conversation import Conversation, Questions, fail
from http_proxy.asking.register import Owner, Register
from http_proxy.encoding import to_json
from http_proxy.negotiation import Media
from http_proxy.streams import FRAMINGS, is_stream

MAX_WAITING: Final = 256
MAX_WAITING_BYTES: Final = 1024 * 1024
"""Events that a slow reader may be behind; of progress and log it then misses some."""

Start = Callable[[Interaction], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Event:
    """An event that has a name (HTML, server-sent events), as it is sent."""

    text: bytes

    @classmethod
    def of(cls, name: str, data: Mapping[str, Any]) -> Event:
        """Raises NotAcceptable for data that has no JSON form."""
        return cls(b"event: " + name.encode() + b"\ndata: " + to_json(data) + b"\n\n")


def _frame(item: Any) -> bytes:
    return item.text if type(item) is Event else FRAMINGS[Media.EVENTS].frame(item)


FRAMING: Final = replace(FRAMINGS[Media.EVENTS], frame=_frame)


class EventStream:
    """Events of a call and then its value, or the items of its generator, as a ``ValueStream``.
    Closed, it cancels the call."""

    def __init__(self, register: Register, owner: Owner) -> None:
        self._register = register
        self._owner = owner
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._conversation = Conversation(self._tell, self._announce)
        self._waiting_bytes = 0
        self._items: ValueStream | None = None
        self._is_over = False

    def begin(self, start: Start) -> None:
        """Start the function."""
        self._conversation.begin(
            start(self._conversation), ended=lambda: self._queue.put_nowait(None)
        )

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Any:
        if self._items is not None:
            return await self._items.__anext__()
        if self._is_over:
            raise StopAsyncIteration
        event = await self._queue.get()
        if event is not None:
            self._waiting_bytes -= len(event.text)
            return event
        self._is_over = True
        value = self._conversation.result()
        if not is_stream(value):
            return value
        self._items = value
        return await value.__anext__()

    async def aclose(self) -> None:
        self._conversation.cancel()
        if self._items is not None:
            await self._items.aclose()

    def _tell(self, name: str, data: Mapping[str, Any]) -> None:
        if self._queue.qsize() < MAX_WAITING and self._waiting_bytes < MAX_WAITING_BYTES:
            self._put(Event.of(name, data))

    def _put(self, event: Event) -> None:
        self._waiting_bytes += len(event.text)
        self._queue.put_nowait(event)

    @contextmanager
    def _announce(self, asked: Questions) -> Iterator[None]:
        ask = self._register.open(
            self._owner, asked, expire=lambda: fail(asked, "There was no answer in time")
        )
        try:
            self._put(Event.of("ask", ask.told()))
            yield
        finally:
            self._register.close(ask)
