"""uvicorn's HTTP protocol, with the head and the first bytes of a response in one write.

ASGI sends them as two messages and uvicorn writes each to the socket; for a small answer the second
system call costs as much as the rest of sending it.

It also offers the application what ASGI does not: to end a connection whose peer does not read. It
ends what uvicorn would wait for without an end: a request whose head has no end or does not come,
one whose body stops in the middle, and a peer that takes nothing of its answer. And it counts
connections by their address, and refuses what is one too many.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.edge.answers import PAUSE_SECONDS
from gateway.edge.connections import STRANGER, Connections, Stranger
from schema.errors import Overloaded

ABORT: Final = "polyport.abort"
"""Key in ``scope["extensions"]``: a function that ends the connection and drops what is unsent."""

MAX_HEAD_BYTES: Final = 65536
"""Size of the request line and the headers that are waited for."""

HEAD_SECONDS: Final = 30.0
"""How long a head may take, from the connection or from its first byte after another request."""

BODY_SECONDS: Final = 60.0
"""How long nothing may come of a body that is incomplete, while its answer has not begun."""

STALLED_SECONDS: Final = 60.0
"""How long a peer may take nothing of what waits for it, unless the operator has another wish."""

REFUSED_SECONDS: Final = 5.0
"""How long a connection that is one too many may wait with the request that tells it so."""

_HEAD: Final = b"HTTP/1."


class _HeldHeads:
    """The connections of an event loop that keep the head of a response. One callback for all of
    them costs less than one each, and nearly always there is nothing left for it to do."""

    def __init__(self) -> None:
        self._holders: list[_HeadHolder] = []

    def add(self, holder: _HeadHolder, loop: asyncio.AbstractEventLoop) -> None:
        if not self._holders:
            loop.call_soon(self._flush)
        self._holders.append(holder)

    def _flush(self) -> None:
        holders, self._holders = self._holders, []
        for holder in holders:
            holder.flush()


_held_heads: WeakKeyDictionary[asyncio.AbstractEventLoop, _HeldHeads] = WeakKeyDictionary()


class _HeadHolder:
    """A transport that keeps the head of a response until the next write, or the next turn of the
    event loop if none follows."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.actual = transport
        self.is_closing = transport.is_closing  # asked after each response
        self._loop = loop
        self._held = _held_heads.setdefault(loop, _HeldHeads())
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        head = self._head
        if head is not None:
            self._head = None
            self.actual.write(head + data)
        elif data.startswith(_HEAD):
            self._head = data
            self._held.add(self, self._loop)
        else:
            self.actual.write(data)

    def flush(self) -> None:
        head = self._head
        if head is not None:
            self._head = None
            if not self.is_closing():
                self.actual.write(head)

    def close(self) -> None:
        self.flush()
        self.actual.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.actual, name)


class OneWriteHttpProtocol(HttpToolsProtocol):
    """See the module."""

    _in_head = False
    _heads_begun = 0
    _head_bytes = 0
    _head_timeout: asyncio.TimerHandle | None = None
    _body_timeout: asyncio.TimerHandle | None = None
    _heard_at = 0.0
    _stranger: Stranger | None = None
    _refusal: Overloaded | None = None
    _extensions: dict[str, Any]
    """Of each request of the connection."""

    _unsent_bytes = 0
    _stall_timeout: asyncio.TimerHandle | None = None

    def __init__(
        self,
        *args: Any,
        connections: Connections | None = None,
        stalled_seconds: float = STALLED_SECONDS,
        **kwargs: Any,
    ) -> None:
        """``connections`` is what they are counted by; by default they are not. A peer that takes
        nothing of an answer for ``stalled_seconds`` is given up."""
        super().__init__(*args, **kwargs)
        self._counted_by = connections
        self._stalled_seconds = stalled_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _HeadHolder(transport, self.loop)  # type: ignore[assignment]
        self._extensions = {ABORT: transport.abort}
        seconds = HEAD_SECONDS
        if self._counted_by is not None and self.client is not None:
            try:
                self._stranger = self._counted_by.enter(self.client[0])
            except Overloaded as error:
                # Told when a request comes: who has not asked yet does not read.
                self._refusal, seconds = error, REFUSED_SECONDS
        if self._stranger is not None:
            self._extensions[STRANGER] = self._stranger
        self._head_timeout = self.loop.call_later(seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting_for_head()
        if self._body_timeout is not None:
            self._body_timeout.cancel()
        self._stop_watching_writes()
        if self._stranger is not None:
            self._stranger.leave()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._stop_watching_writes()
        self._stall_timeout = self.loop.call_later(self._stalled_seconds, self._look_at_writes)

    def resume_writing(self) -> None:
        self._stop_watching_writes()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            more = f"content-type: text/plain\r\nretry-after: {PAUSE_SECONDS}\r\n"
            self._refuse(503, "Service Unavailable", self._refusal.message, more)
            return
        is_between = not self._in_head and ((last := self._latest) is None or not last.more_body)
        begun = self._heads_begun
        super().data_received(data)
        if self._in_head:
            # A head that has begun in the middle of what came is counted from the next time on: the
            # parser does not say where it began, and one read more is no harm.
            if self._heads_begun - begun == (1 if is_between else 0):
                self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, "Request Header Fields Too Large")
            elif self._head_timeout is None:
                self._head_timeout = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        elif (cycle := self._latest) is not None and cycle.more_body:
            self._heard_at = self.loop.time()
            if self._body_timeout is None:
                self._body_timeout = self.loop.call_later(BODY_SECONDS, self._look_at_body)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._heads_begun += 1
        self._head_bytes = 0
        self.scope["extensions"] = self._extensions.copy()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._head_timeout is not None:
            self._stop_waiting_for_head()
        hosts = [name for name, _ in self.headers if name == b"host"]
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            # Whoever stands in front may have gone by another one (RFC 9112, section 3.2). The
            # parser stops at an exception, and the answer is 400.
            raise ValueError("A request has one Host")
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        self._stop_watching_writes()
        holder = self.transport
        if isinstance(holder, _HeadHolder):
            holder.flush()
            self.transport = holder.actual
        if self._stranger is not None:
            # It is the connection of another protocol from here on.
            factory: Any = self.ws_protocol_class
            self.ws_protocol_class = partial(factory, stranger=self._stranger)  # type: ignore[assignment]
        super().handle_websocket_upgrade()

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The request whose head came last, if any did."""
        return self.cycle

    def _stop_waiting_for_head(self) -> None:
        if self._head_timeout is not None:
            self._head_timeout.cancel()
            self._head_timeout = None

    def _head_is_late(self) -> None:
        self._head_timeout = None
        if (cycle := self._latest) is None or cycle.response_complete:
            self._refuse(408, "Request Timeout")
        else:  # an earlier request is still being answered
            self._head_timeout = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _look_at_body(self) -> None:
        self._body_timeout = None
        cycle = self.cycle
        if not cycle.more_body or cycle.response_started:
            return
        now = self.loop.time()
        if self.flow.read_paused:  # the application is slow, not the client
            self._heard_at = now
        if now - self._heard_at >= BODY_SECONDS:
            self._refuse(408, "Request Timeout")
        else:
            self._body_timeout = self.loop.call_at(
                self._heard_at + BODY_SECONDS, self._look_at_body
            )

    def _stop_watching_writes(self) -> None:
        if self._stall_timeout is not None:
            self._stall_timeout.cancel()
            self._stall_timeout = None

    def _look_at_writes(self) -> None:
        """Nothing is written meanwhile, so what waits gets less as long as the peer reads. Without
        an end of this, whoever asks for much and reads nothing would fill the memory; also one who
        is only waited for to close the connection."""
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent_bytes:
            self._unsent_bytes = unsent
            self._stall_timeout = self.loop.call_later(self._stalled_seconds, self._look_at_writes)
        else:
            self.transport.abort()

    def _refuse(self, status: int, reason: str, text: str = "", more: str = "") -> None:
        """End the connection, with a word if no answer of the application is on its way."""
        if self.transport.is_closing():
            return
        cycle = self._latest
        if cycle is None or cycle.response_complete or not cycle.response_started:
            head = f"HTTP/1.1 {status} {reason}\r\ncontent-length: {len(text)}\r\n{more}"
            self.transport.write(f"{head}connection: close\r\n\r\n{text}".encode("ascii"))
        self.transport.close()
