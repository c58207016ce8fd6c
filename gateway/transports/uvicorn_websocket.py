"""uvicorn's sans-IO websocket protocol, with a shorter way in for relayed messages.

By ASGI a message is queued, reading stops, a task wakes to take it, reading starts again: two
turns of the event loop and two changes of the poll set for every message. A relay does nothing in
between that has to wait, so this protocol offers the application to call it directly, where the
bytes arrive. Under any other server the door falls back to ASGI's ``receive``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

DIRECT_FRAMES: Final = "polyport.direct_frames"
"""Key in ``scope["extensions"]``: a function that takes a sink for binary messages, or None."""

Sink = Callable[[bytes], None]
"""Called with every binary message, in order, from the event loop. Must not raise or block."""


class RelayWebSocketProtocol(WebSocketsSansIOProtocol):
    """See the module."""

    _sink: Sink | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # not for a request that was refused
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[DIRECT_FRAMES] = self._set_sink

    def handle_bytes(self, event: Frame) -> None:
        # What came before and still waits for the application must not be overtaken.
        if self._sink is not None and event.fin and not self.close_sent and self.queue.empty():
            self._sink(bytes(event.data))
        else:
            super().handle_bytes(event)

    def send_receive_event_to_app(self) -> None:
        direct = self._sink if self.curr_msg_data_type == "bytes" else None
        if direct is not None and not self.close_sent and self.queue.empty():
            data, self.frames = b"".join(self.frames), []
            direct(data)
        else:
            super().send_receive_event_to_app()

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink = None
        super().connection_lost(exc)

    def _set_sink(self, sink: Sink | None) -> None:
        self._sink = sink
