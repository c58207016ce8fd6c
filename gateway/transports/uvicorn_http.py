"""uvicorn's HTTP protocol, with the head and the first bytes of a response in one write.

ASGI sends them as two messages and uvicorn writes each to the socket; for a small answer the second
system call costs as much as the rest of sending it.

It also offers the application what ASGI does not: to end a connection whose peer does not read.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT: Final = "polyport.abort"
"""Key in ``scope["extensions"]``: a function that ends the connection and drops what is unsent."""

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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _HeadHolder(transport, self.loop)  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {ABORT: self.transport.abort}
        self.scope["extensions"] = extensions

    def handle_websocket_upgrade(self) -> None:
        holder = self.transport
        if isinstance(holder, _HeadHolder):
            holder.flush()
            self.transport = holder.actual
        super().handle_websocket_upgrade()
