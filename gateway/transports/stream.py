"""One answer that never ends: the way of messages to a client of the HTTP door.

Frames are a length of four bytes, big-endian, and a message; the first message describes the
connection, and a ``ping`` comes whenever nothing else has for a while. ``http_stream`` decides who
gets a stream, and takes what the client sends.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from gateway.routing.session import CLOSE_GOING_AWAY, ClientSession
from gateway.transports.intake import Intake
from gateway.transports.uvicorn_http import ABORT
from gateway.wire.codec import pack

logger = logging.getLogger(__name__)

END_SECONDS: Final = 5.0
"""How long a client that does not read may hold up the end of its stream."""

_PING: Final = pack({"type": "ping"})
_HEADERS: Final = (
    (b"content-type", b"application/x-msgpack-stream"),
    # Proxies must not keep frames back: neither to store, nor to compress, nor (nginx) to fill
    # a buffer first.
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class Turns:
    """Lets requests that are read side by side through in the order in which they came.

    A client sends its messages over several connections; a long one must not be overtaken by a
    short one that was sent after it.
    """

    def __init__(self) -> None:
        self._queue: deque[asyncio.Event] = deque()

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[asyncio.Event]:
        """Take a place; the event is set when those before have left theirs."""
        turn = asyncio.Event()
        self._queue.append(turn)
        self._queue[0].set()
        try:
            yield turn
        finally:
            self._queue.remove(turn)
            if self._queue:
                self._queue[0].set()


class Stream:
    """The answer to one GET, as ASGI shows it."""

    intake: Intake
    """Takes what the client of this stream sends; set once it is known who that is."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._abort = (scope.get("extensions") or {}).get(ABORT)
        self._receive = receive
        self._send = send
        self._over = asyncio.Event()
        self._reason: str | None = None
        self.turns = Turns()
        self.needs_token = True
        """What is sent in the name of this client must carry the client's token."""
        self.key = ""
        self.needs_key = True
        """If it had no token: it must carry the key, which the client was given in a cookie."""
        self.client_gone = False

    def admits(self, key: str | None) -> bool:
        """Whether a message with this key may be of this client. Clients that keep no cookies come
        without; the key is needed from the first message on that has it, since a client's id is no
        secret: it is a part of the ids of its services."""
        if key is not None and secrets.compare_digest(key.encode(), self.key.encode()):
            self.needs_key = True
            return True
        return not self.needs_key

    async def begin(self, info: dict[str, Any], headers: Mapping[str, str]) -> None:
        """Send the first message."""
        extra = ((name.encode(), value.encode()) for name, value in headers.items())
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *extra]}
        )
        await self.write(pack(info))

    async def write(self, frame: bytes) -> None:
        """Send a frame. Never returns once the client has gone: by ASGI a write into nowhere looks
        like any other, but what has not been sent is kept for the client's return."""
        if not self.client_gone:
            body = len(frame).to_bytes(4, "big") + frame
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
        if self.client_gone:
            await asyncio.get_running_loop().create_future()

    async def serve(self, session: ClientSession, ping_seconds: float) -> None:
        """Keep the stream alive. Returns when the client has gone or the end was requested."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            while not self._over.is_set():
                try:
                    async with asyncio.timeout(ping_seconds):
                        await self._over.wait()
                except TimeoutError:
                    if not session.outbox.waiting_bytes:
                        session.outbox.put(_PING)
            listening.cancel()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # a GET may have a body
        self.client_gone = True
        self._over.set()

    def request_end(self, code: int, reason: str) -> None:
        """End the stream without waiting; codes are those of websockets."""
        if not self._over.is_set():
            # A client that is only sent away comes back by itself, and need not be alarmed.
            self._reason = reason if code != CLOSE_GOING_AWAY else None
            self._over.set()

    async def end(self) -> None:
        """Complete the answer, if there is still somebody to read it."""
        if self.client_gone:
            return
        try:
            async with asyncio.timeout(END_SECONDS):
                if self._reason is not None:
                    await self.write(pack({"type": "error", "message": self._reason}))
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            logger.debug("stream_not_completed")
            if self._abort is not None:
                self._abort()
                await self._listen()
