"""Large answers, compressed for those who say that they can read it (RFC 9110 section 12.5.3).

Only whole answers of text: a stream of events would be gathered, and so delayed, by compression.
"""

from __future__ import annotations

import asyncio
import gzip
from functools import lru_cache
from typing import Final

from starlette.types import Scope

from http_proxy.replies import BytesReply, Header

MIN_BYTES: Final = 1000
"""Below this the packet is the same, and the work is not."""

MAX_BYTES: Final = 16 * 1024 * 1024
"""Above this the network is the faster way."""

IN_THREAD_BYTES: Final = 64 * 1024
"""From here on it takes longer than a call, and must not hold up the others."""

_LEVEL: Final = 4
_TYPES: Final = (
    b"application/json",
    b"application/problem+json",
    b"text/",
    b"application/javascript",
    b"image/svg+xml",
)
_VARY: Final[Header] = (b"vary", b"Accept-Encoding")
_REMEMBERED: Final = 256


async def compressed(reply: BytesReply, scope: Scope) -> BytesReply:
    """The reply as it is, or its body in gzip."""
    if not MIN_BYTES <= len(reply.body) <= MAX_BYTES or not _is_text(reply.headers):
        return reply
    accepts = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
    if not accepts_gzip(accepts):
        return BytesReply(reply.status, [*reply.headers, _VARY], reply.body)
    if len(reply.body) < IN_THREAD_BYTES:
        body = gzip.compress(reply.body, _LEVEL, mtime=0)
    elif any(name == b"etag" for name, _ in reply.headers):
        body = await asyncio.to_thread(_kept, reply.body)
    else:
        body = await asyncio.to_thread(gzip.compress, reply.body, _LEVEL, mtime=0)
    headers = [_of_coded(pair, len(body)) for pair in reply.headers]
    return BytesReply(reply.status, [*headers, (b"content-encoding", b"gzip"), _VARY], body)


@lru_cache(_REMEMBERED)
def accepts_gzip(header: bytes) -> bool:
    """Whether an ``Accept-Encoding`` names gzip, or anything, and does not rule it out."""
    verdicts: dict[bytes, bool] = {}
    for part in header.lower().split(b","):
        name, _, parameters = part.partition(b";")
        quality = parameters.replace(b" ", b"").removeprefix(b"q=")
        verdicts[name.strip()] = quality.strip(b"0.") != b"" if quality else True
    return verdicts.get(b"gzip", verdicts.get(b"*", False))


@lru_cache(8)
def _kept(body: bytes) -> bytes:
    """For documents that are the same for all who ask, and asked for again."""
    return gzip.compress(body, _LEVEL, mtime=0)


def _is_text(headers: list[Header]) -> bool:
    is_text = False
    for name, value in headers:
        if name == b"content-encoding":
            return False
        if name == b"content-type":
            is_text = value.startswith(_TYPES)
    return is_text


def _of_coded(pair: Header, length: int) -> Header:
    """A header as it is with the other bytes."""
    return (pair[0], b"%d" % length) if pair[0] == b"content-length" else pair
