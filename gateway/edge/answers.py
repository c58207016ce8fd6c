"""Answers of the edge itself, in the form of the HTTP door's errors, readable for pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.types import Message, Send

from schema.errors import GatewayError, InternalError, LimitExceeded

Header = tuple[bytes, bytes]

_PROBLEM: Final = b"application/problem+json"

PAUSE_SECONDS: Final = 5
"""``Retry-After`` where only others can make room."""

_FAILED: Final = InternalError("Internal error; the server's log has the details")


def failure(origins: Sequence[str], asked: Mapping[bytes, bytes]) -> tuple[Message, Message]:
    """The answer to a request with these headers that failed in a way that nobody expected."""
    return _answer(500, _FAILED, asked, cross_origin(origins, asked.get(b"origin")))


def refusal(
    status: int, error: GatewayError, origins: Sequence[str], asked: Mapping[bytes, bytes]
) -> tuple[Message, Message]:
    """The answer to a request, with these headers, that is one too many: above the rate limit
    (RFC 6585, section 4), or above what there is room for."""
    known = error.retry_after_seconds if isinstance(error, LimitExceeded) else PAUSE_SECONDS
    more = [
        (b"retry-after", b"%d" % max(1, math.ceil(known or 0))),
        # A page of another origin sees only headers that are exposed to it.
        (b"access-control-expose-headers", b"Retry-After"),
    ]
    return _answer(status, error, asked, [*more, *cross_origin(origins, asked.get(b"origin"))])


async def refuse_socket(send: Send, status: int, error: GatewayError) -> None:
    """Answer the handshake of a websocket with a status. After a 503 clients try again, and they
    give up for good on an error message."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 503:
        headers.append((b"retry-after", b"%d" % PAUSE_SECONDS))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error.message.encode()})


def written(error: GatewayError, status: int, accept: bytes) -> tuple[str, bytes]:
    """An error in the form that is asked for, and the media type of that: Problem Details
    (RFC 9457) for who names them, else JSON."""
    if _PROBLEM not in accept.lower():
        return "application/json", orjson.dumps(body_of(error))
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "code": error.code,
    }
    return _PROBLEM.decode(), orjson.dumps(problem)


def cross_origin(allowed: Sequence[str], origin: bytes | None) -> list[Header]:
    """Headers that let pages of the allowed origins read an answer."""
    named = origin.decode("latin-1") if origin is not None else None
    if named is not None and named != "*" and named in allowed:
        return [
            (b"access-control-allow-origin", named.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]
    return [(b"access-control-allow-origin", b"*")] if "*" in allowed else [(b"vary", b"Origin")]


def body_of(error: GatewayError) -> dict[str, Any]:
    """An error as the body of an answer."""
    return {
        "success": False,
        "code": error.code,
        "type": type(error).__name__,
        "detail": error.message,
    }


def _answer(
    status: int, error: GatewayError, asked: Mapping[bytes, bytes], more: list[Header]
) -> tuple[Message, Message]:
    media_type, content = written(error, status, asked.get(b"accept", b""))
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", b"%d" % len(content)),
        *more,
    ]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": content},
    )
