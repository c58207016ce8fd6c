"""Large answers, compressed for those who say that they can read it (RFC 9110 section 12.5.3).

Only whole answers of text: a stream of events would be gathered, and so delayed, by compression.
``Compressing`` stands in front of pages, files and the like; doors whose answers are bytes anyway
use the functions.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

MIN_BYTES: Final = 1000
"""Below this the packet is the same, and the work is not."""

MAX_BYTES: Final = 16 * 1024 * 1024
"""Above this the network is the faster way."""

IN_THREAD_BYTES: Final = 64 * 1024
"""From here on it takes longer than a call, and must not hold up the others."""

KEPT_BYTES: Final = 4 * 1024 * 1024
"""Up to this size what is asked for again is remembered."""

VARY: Final[Header] = (b"vary", b"Accept-Encoding")

_LEVEL: Final = 4
_TYPES: Final = (
    b"application/json",
    b"application/problem+json",
    b"text/",
    b"application/javascript",
    b"image/svg+xml",
)
_REMEMBERED: Final = 256
_Routes = TypeVar("_Routes", bound=Sequence[object])


@lru_cache(_REMEMBERED)
def accepts_gzip(header: bytes) -> bool:
    """Whether an ``Accept-Encoding`` names gzip, or anything, and does not rule it out."""
    verdicts: dict[bytes, bool] = {}
    for part in header.lower().split(b","):
        name, _, parameters = part.partition(b";")
        quality = parameters.replace(b" ", b"").removeprefix(b"q=")
        verdicts[name.strip()] = quality.strip(b"0.") != b"" if quality else True
    return verdicts.get(b"gzip", verdicts.get(b"*", False))


def may_be_gzip(scope: Scope) -> bool:
    """Whether who sends a request can read gzip."""
    headers: Iterable[Header] = scope["headers"]
    return accepts_gzip(b",".join(value for name, value in headers if name == b"accept-encoding"))


def is_worth_it(headers: Iterable[Header], size: int) -> bool:
    """Whether a body with these headers gets smaller by so much that it matters."""
    if not MIN_BYTES <= size <= MAX_BYTES:
        return False
    is_text = False
    for name, value in headers:
        if name == b"content-encoding":
            return False
        if name == b"content-type":
            is_text = value.startswith(_TYPES) and not value.startswith(b"text/event-stream")
    return is_text


async def gzipped(headers: Iterable[Header], body: bytes) -> tuple[list[Header], bytes]:
    """The headers and the body of an answer in gzip."""
    if len(body) < IN_THREAD_BYTES:
        coded = gzip.compress(body, _LEVEL, mtime=0)
    elif len(body) <= KEPT_BYTES and any(name == b"etag" for name, _ in headers):
        coded = await asyncio.to_thread(_kept, body)
    else:
        coded = await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
    changed = [_of_coded(name, value, len(coded)) for name, value in headers]
    return [*changed, (b"content-encoding", b"gzip"), VARY], coded


class Compressing:
    """An ASGI application that compresses the whole answers of another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        parts: list[bytes] = []

        async def gather(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_whole(message):
                if may_be_gzip(scope):
                    start = message
                    return
                message = {**message, "headers": [*message["headers"], VARY]}
            elif start is not None and message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if message.get("more_body"):
                    return
                headers, body = await gzipped(start["headers"], b"".join(parts))
                await send({**start, "headers": headers})
                message = {**message, "body": body}
            await send(message)

        await self._app(scope, receive, gather)


def compressing(routes: _Routes) -> _Routes:
    """The same routes, whose answers are compressed from now on."""
    for route in routes:
        if isinstance(route, Route | Mount):
            route.app = Compressing(route.app)
    return routes


def _is_whole(start: Message) -> bool:
    """Whether an answer with this head comes at once, and is worth it."""
    headers: list[Header] = list(start.get("headers", ()))
    size = next((value for name, value in headers if name == b"content-length"), b"")
    return start["status"] == 200 and size.isdigit() and is_worth_it(headers, int(size[:18]))


@lru_cache(8)
def _kept(body: bytes) -> bytes:
    """For documents that are the same for all who ask, and asked for again."""
    return gzip.compress(body, _LEVEL, mtime=0)


def _of_coded(name: bytes, value: bytes, length: int) -> Header:
    """A header as it is with the other bytes; a strong validator is none of theirs (RFC 9110
    section 8.8.3)."""
    if name == b"content-length":
        value = b"%d" % length
    elif name == b"etag" and not value.startswith(b"W/"):
        value = b"W/" + value
    return name, value
