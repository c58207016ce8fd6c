"""Answers of the edge itself, in the form of the HTTP door's errors, readable for pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import orjson
from starlette.types import Message

from schema.errors import GatewayError, InternalError, LimitExceeded

Header = tuple[bytes, bytes]

_FAILED: Final = InternalError("Internal error; the server's log has the details")


def failure(origins: Sequence[str], origin: bytes | None) -> tuple[Message, Message]:
    """The answer to a request that failed in a way that nobody expected."""
    return _answer(500, _FAILED, cross_origin(origins, origin))


def too_many(
    error: LimitExceeded, origins: Sequence[str], origin: bytes | None
) -> tuple[Message, Message]:
    """The answer to a request above the rate limit (RFC 6585, section 4)."""
    seconds = max(1, math.ceil(error.retry_after_seconds or 0))
    more = [
        (b"retry-after", b"%d" % seconds),
        # A page of another origin sees only headers that are exposed to it.
        (b"access-control-expose-headers", b"Retry-After"),
    ]
    return _answer(429, error, [*more, *cross_origin(origins, origin)])


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


def _answer(status: int, error: GatewayError, more: list[Header]) -> tuple[Message, Message]:
    content = orjson.dumps(body_of(error))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(content)),
        *more,
    ]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": content},
    )
