"""Streams: the items of a generator as Server-Sent Events, NDJSON or msgpack, as they are made.

The next item is asked for when the last one has been taken by the transport, so a slow reader slows
its generator. Items that have come together go out together: handing them to the socket costs more
than making them. None waits for another. A client that leaves closes the generator.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message, Receive, Scope, Send

from gateway.api import ValueStream
from http_proxy.encoding import to_json, to_msgpack
from http_proxy.errors import ResultTooLarge, defect, describe, is_defect
from http_proxy.gathering import Body
from http_proxy.negotiation import Media
from http_proxy.replies import ANY_ORIGIN
from http_proxy.request import ClientGone, Request
from schema.errors import GatewayError

FIRST_ITEM_SECONDS = 5.0
"""How long a status waits for the first item, so that a generator that fails at once is answered
with the status of its error. Later errors are told inside the stream."""

PING_SECONDS = 15
"""Proxies drop connections that stay silent for a minute, some for half of that."""

CLOSE_SECONDS = 5.0
"""How long a provider may take to close its generator."""

_HEADERS = {
    ANY_ORIGIN[0].decode(): ANY_ORIGIN[1].decode(),
    "cache-control": "no-cache",
    # Asks nginx not to gather the parts of the body.
    "x-accel-buffering": "no",
}
_PING = ServerSentEvent(comment="ping", sep="\n")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Framing:
    """How items are laid out in the body."""

    media_type: str
    frame: Callable[[Any], bytes]
    end: bytes = b""
    """What follows the last item; with it a reader can tell the end from a broken connection."""
    ping: ServerSentEvent | None = None
    """What an idle stream sends; None where the format has no room for it."""


FRAMINGS = {
    Media.EVENTS: Framing(
        "text/event-stream",
        lambda item: b"data: " + to_json(item) + b"\n\n",
        end=b"data: [DONE]\n\n",
        ping=_PING,
    ),
    Media.NDJSON: Framing("application/x-ndjson", lambda item: to_json(item) + b"\n"),
    Media.MSGPACK: Framing("application/msgpack", to_msgpack),
}


class _EventStream(EventSourceResponse):
    """The library's response, with pings, the watch for a leaving client and the end at shutdown;
    its loop over the items costs more than making them. ``write`` takes its place: it writes the
    items and returns what follows the last one."""

    def __init__(
        self, write: Callable[[Body], Awaitable[bytes]], framing: Framing, ping_seconds: float
    ) -> None:
        super().__init__(
            iter(()),
            headers=_HEADERS,
            media_type=framing.media_type,
            ping=ping_seconds if framing.ping else 0,
            ping_message_factory=lambda: _PING,
        )
        self._write = write

    async def _stream_response(self, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        body = Body(send)
        try:
            rest = await self._write(body)
            async with self._send_lock:
                self.active = False
                await body.end(rest)
        finally:
            body.cancel()


def is_stream(value: Any) -> TypeGuard[ValueStream]:
    """Whether the result of a call is a generator's."""
    return hasattr(value, "__anext__")


async def open_stream(
    stream: ValueStream, request: Request, framing: Framing | None = None
) -> StreamReply:
    """A response for a stream, once its first item is there or is long in coming; ``framing`` in
    place of the one that the caller accepts.

    Raises the GatewayError of a generator that fails before its first item, and ClientGone.
    """
    first = asyncio.ensure_future(stream.__anext__())
    gone = asyncio.ensure_future(disconnected(request.receive))
    framing = framing or FRAMINGS[request.formats.stream]
    reply = StreamReply(stream, framing, request.max_response_bytes, first, gone)
    try:
        await reply.begin()
    except BaseException:
        await reply.close()
        raise
    return reply


class StreamReply:
    """The response, as an ASGI application. It owns the stream and closes it."""

    def __init__(
        self,
        stream: ValueStream,
        framing: Framing,
        max_item_bytes: int | None,
        first: asyncio.Future[Any],
        gone: asyncio.Future[Message],
    ) -> None:
        """``first`` will hold the first item, ``gone`` the message that the client has left."""
        self._stream = stream
        self._ready: Callable[[], Sequence[Any]] = getattr(stream, "ready", tuple)
        self._framing = framing
        self._max_item_bytes = max_item_bytes or sys.maxsize
        self._first = first
        self._gone = gone

    async def begin(self) -> None:
        """Wait for the first item; see ``open_stream``."""
        await asyncio.wait(
            (self._first, self._gone),
            timeout=FIRST_ITEM_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._first.done():
            error = self._first.exception()
            if error is not None and not isinstance(error, StopAsyncIteration):
                raise error
        elif self._gone.done():
            raise ClientGone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = _EventStream(self._write, self._framing, PING_SECONDS)
        try:
            await response(scope, self._receive, send)
        except OSError:
            pass  # how an ASGI server says on sending that the client has left
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop waiting and close the generator at its provider."""
        for task in (self._first, self._gone):
            task.cancel()
        await asyncio.gather(self._first, self._gone, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._stream.aclose()
        except (GatewayError, TimeoutError) as error:
            logger.info("http_stream_not_closed error=%r", error)

    async def _receive(self) -> Message:
        return await self._gone

    async def _write(self, body: Body) -> bytes:
        """Write the items. Returns what has to follow them."""
        if self._framing.ping and not self._first.done():
            await body.write(self._framing.ping.encode())
        part, is_last = await self._together(self._first)
        while not is_last:
            await body.write(part)
            part, is_last = await self._together(self._stream.__anext__())
        return part

    async def _together(self, item: Awaitable[Any]) -> tuple[bytes, bool]:
        """An item, once it is there, and those that have come with it, in one part. And whether it
        is the last part, with which the stream or its failure ends."""
        framing, parts = self._framing, list[bytes]()
        try:
            parts.append(self._framed(await item))
            for following in self._ready():
                parts.append(self._framed(following))
        except StopAsyncIteration:
            return framing.end, True
        except Exception as error:
            if is_defect(error):
                logger.exception("http_stream_failed")
            last = _last(error if isinstance(error, GatewayError) else defect())
            return b"".join([*parts, framing.frame(last), framing.end]), True
        return b"".join(parts), False

    def _framed(self, item: Any) -> bytes:
        part = self._framing.frame(item)
        if len(part) > self._max_item_bytes:
            raise ResultTooLarge(self._max_item_bytes)
        return part


def _last(error: GatewayError) -> dict[str, Any]:
    """The last item of a stream that failed; the key ``error`` is the HTTP contract."""
    told = describe(error)
    return {"error": told["detail"], "code": told["code"], "type": told["type"]}


async def disconnected(receive: Receive) -> Message:
    """The message that the client has left, when it has."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return message
