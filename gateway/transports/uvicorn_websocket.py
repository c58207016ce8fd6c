"""uvicorn's sans-IO websocket protocol, with a short way in and out for relayed messages.

By ASGI a message is queued, reading stops, a task wakes to take it, reading starts again; every
message out is a write of its own. A relay has nothing to wait for in between and often several
messages at once, so this protocol offers the application

- to be called with each binary message directly, where its bytes arrive;
- to write binary messages without a task; those that result from one read of the socket, or that
  the tasks of one turn of the event loop send, go out in one write per receiver.

The rest of the protocol (handshake, text, control frames, closing, errors) is uvicorn's. Under any
other server the door uses ASGI's ``receive`` and ``send``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.edge.connections import STRANGER, Stranger
from gateway.transports.client_frames import FrameCutter, Raw, binary_header
from gateway.transports.inbox import Gate, Inbox

DIRECT_FRAMES: Final = "polyport.direct_frames"
"""Key in ``scope["extensions"]`` under which the protocol offers ``DirectFrames``."""

MAX_BATCH_BYTES: Final = 256 * 1024
"""Output collected for one receiver before it is written without waiting for more."""

Sink = Callable[[bytes], object]
"""Called with every binary message, in order, from the event loop. Must not raise or block."""


@dataclass(frozen=True, slots=True)
class DirectFrames:
    """What the protocol offers. ``write`` returns False if the message has to go by ``send``."""

    set_sink: Callable[[Sink | None], None]
    write: Callable[[bytes], bool]


class _Batch:
    """Connections with output collected while one read of a socket is handled, or else until the
    next turn of the event loop."""

    def __init__(self) -> None:
        self.open = False
        self._waiting: list[RelayWebSocketProtocol] = []

    def add(self, connection: RelayWebSocketProtocol) -> None:
        if not self.open and not self._waiting:
            connection.loop.call_soon(self.close)
        self._waiting.append(connection)

    def close(self) -> None:
        self.open = False
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.flush()


_batches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Batch] = WeakKeyDictionary()


class RelayWebSocketProtocol(WebSocketsSansIOProtocol):
    """See the module."""

    def __init__(self, *args: Any, stranger: Stranger | None = None, **kwargs: Any) -> None:
        """``stranger`` is what the connection is counted as, until it ends or is known."""
        super().__init__(*args, **kwargs)
        self._stranger = stranger
        self.queue = Inbox()  # type: ignore[assignment]  # as much of it as uvicorn uses
        self.writable = Gate(is_open=True)  # type: ignore[assignment]
        self._sink: Sink | None = None
        self._cutter: FrameCutter | None = None
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._batch = _batches.setdefault(self.loop, _Batch())

    # In

    def data_received(self, data: bytes) -> None:
        cutter = self._cutter
        if cutter is None:
            super().data_received(data)
            # From here on this class reads the stream, unless frames came along with the request.
            if self.handshake_initiated and not self.conn.reader.buffer and not self._is_compressed:
                self._cutter = FrameCutter(self.config.ws_max_size)
            return
        batch = self._batch
        batch.open = True
        try:
            for piece in cutter.feed(data):
                # What came before and still waits for the application must not be overtaken.
                if type(piece) is Raw:
                    self.flush()  # it may be answered, or be the end
                    super().data_received(piece)
                elif self._sink is not None and not self.close_sent and self.queue.empty():
                    self._sink(piece)
                else:
                    self.frames, self.curr_msg_data_type = [piece], "bytes"
                    self.send_receive_event_to_app()
        finally:
            batch.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink = None
        self._output.clear()
        if self._stranger is not None:
            self._stranger.leave()
        super().connection_lost(exc)

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = self.scope["extensions"]
        if self._stranger is not None:
            extensions[STRANGER] = self._stranger
        extensions[DIRECT_FRAMES] = DirectFrames(self._set_sink, self._write)
        await super().run_asgi()

    def _set_sink(self, sink: Sink | None) -> None:
        self._sink = sink
        if sink is not None:
            self._forget_handshake()

    def _forget_handshake(self) -> None:
        """The headers of the opening handshake are of no use any more. Most connections are idle,
        and the headers would be a sixth of what each takes."""
        self.request.headers.clear()
        self.response.headers.clear()
        self.scope["headers"] = []

    @property
    def _is_compressed(self) -> bool:
        """The client and uvicorn have agreed on an extension; its frames are not for us."""
        return bool(self.conn.extensions)

    # Out

    def _write(self, frame: bytes) -> bool:
        if (
            not self.writable.is_set()
            or self.close_sent
            or self.disconnected
            or not self.handshake_complete
            or self._is_compressed
        ):
            return False
        self._output += (binary_header(len(frame)), frame)
        self._output_bytes += len(frame)
        if self._output_bytes > MAX_BATCH_BYTES:
            self.flush()
        elif len(self._output) == 2:
            self._batch.add(self)
        return True

    def flush(self) -> None:
        """Write what has been collected."""
        if self._output:
            output, self._output = self._output, []
            self._output_bytes = 0
            if not self.disconnected and not self.transport.is_closing():
                self.transport.writelines(output)

    def shutdown(self) -> None:
        self.flush()
        super().shutdown()

    async def send(self, message: Any) -> None:
        self.flush()  # what was written directly comes first
        await super().send(message)
        if self.close_sent:
            # For uvicorn a handshake that was answered with a status is not complete, and it would
            # log a refusal as a mistake of the application.
            self.handshake_complete = True
