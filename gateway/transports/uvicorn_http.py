"""uvicorn's HTTP protocol, with the head and the first bytes of a response in one write.

ASGI sends them as two messages and uvicorn writes each to the socket; for a small answer the second
system call costs as much as the rest of sending it.

It also offers the application what ASGI does not: to end a connection whose peer does not read. And
it ends what uvicorn would wait for without an end: a request whose head has no end or does not
come, and one whose body stops in the middle.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ABORT: Final = "polyport.abort"
"""Key in ``scope["extensions"]``: a function that ends the connection and drops what is unsent."""

MAX_HEAD_BYTES: Final = 65536
"""Size of the request line and the headers that are waited for."""

HEAD_SECONDS: Final = 30.0
"""How long a head may take, from the connection or from its first byte after another request."""

BODY_SECONDS: Final = 60.0
"""How long nothing may come of a body that is incomplete, while its answer has not begun."""

_HEAD: Final = b"HTTP/1."


class _HeadHolder:
    """A transport that keeps the head of a response until the next write, or the next turn of the
    event loop if none follows."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.actual = transport
        self._loop = loop
        self._head: bytes | None = None
        self._flush_soon: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        head = self._head
        if head is not None:
            self._release()
            self.actual.write(head + data)
        elif data.startswith(_HEAD):
            self._head = data
            self._flush_soon = self._loop.call_soon(self.flush)
        else:
            self.actual.write(data)

    def flush(self) -> None:
        head = self._head
        if head is not None:
            self._release()
            self.actual.write(head)

    def close(self) -> None:
        self.flush()
        self.actual.close()

    def _release(self) -> None:
        self._head = None
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.actual, name)


class OneWriteHttpProtocol(HttpToolsProtocol):
    """See the module."""

    _in_head = False
    _head_bytes = 0
    _head_timeout: asyncio.TimerHandle | None = None
    _body_timeout: asyncio.TimerHandle | None = None
    _heard_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _HeadHolder(transport, self.loop)  # type: ignore[assignment]
        self._head_timeout = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting_for_head()
        if self._body_timeout is not None:
            self._body_timeout.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
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
        self._head_bytes = 0
        extensions: dict[str, Any] = {ABORT: self.transport.abort}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting_for_head()
        hosts = [name for name, _ in self.headers if name == b"host"]
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            # Whoever stands in front may have gone by another one (RFC 9112, section 3.2). The
            # parser stops at an exception, and the answer is 400.
            raise ValueError("A request has one Host")
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        holder = self.transport
        if isinstance(holder, _HeadHolder):
            holder.flush()
            self.transport = holder.actual
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

    def _refuse(self, status: int, reason: str) -> None:
        """End the connection, with a word if no answer of the application is on its way."""
        if self.transport.is_closing():
            return
        cycle = self._latest
        if cycle is None or cycle.response_complete or not cycle.response_started:
            head = f"HTTP/1.1 {status} {reason}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode("ascii"))
        self.transport.close()
