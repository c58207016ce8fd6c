"""One connection of HTTP/1.1 (RFC 9112) to an upstream, one exchange at a time.

A general HTTP client costs most of what a call of an upstream takes. This one writes a request that
somebody else has put together, parses what comes back with a parser in C, and holds the server up
while nobody reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import httptools

HIGH_WATER: Final = 1024 * 1024
"""Bytes that may lie here unread before the server is made to wait."""
MAX_HEADER_BYTES: Final = 64 * 1024
LINGER_SECONDS: Final = 1.0
"""For the end of an answer of which all that matters has come."""
_CHALLENGES: Final = "www-authenticate"


class ConnectionFailed(Exception):
    """The exchange cannot be completed. ``began``: something of the answer had come."""

    def __init__(self, reason: str, *, began: bool = False) -> None:
        super().__init__(reason)
        self.began = began


class AnswerTooLarge(Exception):
    """The answer is larger than whoever asked can take."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The answer is larger than {limit} bytes")


class Connection(asyncio.Protocol):
    """See the module. Owned by a pool."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._failure: ConnectionFailed | None = None
        self._woken: asyncio.Future[None] | None = None
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_paused = False
        self._header_bytes = 0
        self._has_head = False
        self._is_complete = True
        self._is_exchanging = False
        self._has_body = True
        self._keeps_alive = False
        self._is_ending = False
        self._ended: Callable[[], None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        """By name in lower case; of one that comes several times, the last, but all challenges."""

    @property
    def is_usable(self) -> bool:
        """Whether another exchange can begin."""
        transport = self._transport
        return (
            self._failure is None
            and self._is_complete
            and transport is not None
            and not transport.is_closing()
        )

    async def exchange(self, request: bytes, *, has_body: bool = True) -> None:
        """Send a whole request and wait for the head of its answer, which is all of it unless it
        ``has_body``. Raises ConnectionFailed."""
        assert self._transport is not None  # noqa: S101 - it is connected
        self._has_body = has_body
        self._has_head = self._is_complete = self._keeps_alive = False
        self._is_exchanging = True
        self._is_ending = False
        self._ended = None
        self._header_bytes = 0
        self.headers = {}
        self._transport.write(request)
        while not self._has_head:
            await self._wait()

    async def chunk(self) -> bytes | None:
        """The next piece of the body as it comes; None after the last. Raises ConnectionFailed."""
        while not self._chunks:
            if self._is_complete:
                return None
            await self._wait()
        piece = self._chunks.popleft()
        self._waiting_bytes -= len(piece)
        if self._is_paused and self._waiting_bytes < HIGH_WATER // 2:
            self._resume()
        return piece

    async def body(self, limit: int) -> bytes:
        """All of it. Raises AnswerTooLarge and ConnectionFailed."""
        if self._is_complete and len(self._chunks) == 1 and len(self._chunks[0]) <= limit:
            self._waiting_bytes = 0
            return self._chunks.popleft()
        parts: list[bytes] = []
        size = 0
        while (chunk := await self.chunk()) is not None:
            size += len(chunk)
            if size > limit:
                raise AnswerTooLarge(limit)
            parts.append(chunk)
        return b"".join(parts)

    def will_end(self) -> None:
        """What matters of the answer has come, and the server is about to end it."""
        self._is_ending = True

    def finish(self, keep: Callable[[], None]) -> None:
        """The exchange is over for whoever began it. ``keep`` is called when there may be another
        one, which can be a moment later."""
        if self._is_ending and not self._is_complete and self._failure is None:
            self._chunks.clear()
            self._waiting_bytes = 0
            if self._is_paused:
                self._resume()
            lingering = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.close)

            def ended() -> None:
                lingering.cancel()
                self._settle(keep)

            self._ended = ended
            return
        self._settle(keep)

    def _settle(self, keep: Callable[[], None]) -> None:
        self._is_exchanging = False
        if (self._chunks and not self._is_ending) or not self.is_usable or not self._keeps_alive:
            self.close()
            return
        self._chunks.clear()
        self._waiting_bytes = 0
        keep()

    def close(self) -> None:
        """Hang up at once, which is how a server learns that nobody waits any more."""
        self._fail(ConnectionFailed("It was closed"))
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._woken = asyncio.get_running_loop().create_future()
        try:
            await self._woken
        finally:
            self._woken = None

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _fail(self, failure: ConnectionFailed) -> None:
        if self._failure is None:
            self._failure = failure
        self._wake()

    def _resume(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_exchanging:  # nobody has asked for anything
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ConnectionFailed("What came is not HTTP/1.1", began=self._has_head))
            self.close()
        if self._waiting_bytes > HIGH_WATER and not self._is_paused and self._transport:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if self._has_head and not self._is_complete and not self._has_length:
            self._is_complete = True  # it lasts until the server hangs up
        self._fail(ConnectionFailed("The server hung up", began=self._has_head))

    @property
    def _has_length(self) -> bool:
        return "content-length" in self.headers or "transfer-encoding" in self.headers

    # What the parser says

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise ValueError("too many headers")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == _CHALLENGES and key in self.headers:
            text = f"{self.headers[key]}, {text}"  # each is another way to log in
        self.headers[key] = text

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status >= 200:  # else another head follows
            self._has_head = True
            self._is_complete = not self._has_body

    def on_body(self, body: bytes) -> None:
        if self._ended is not None:  # nobody reads it
            return
        self._chunks.append(body)
        self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.status < 200:
            self.headers = {}
            return
        self._is_complete = True
        self._keeps_alive = self._parser.should_keep_alive()
        if self._ended is not None:
            asyncio.get_running_loop().call_soon(self._ended)
