"""What the HTTP headers of an MCP request mean, one value at a time. Pure.

Names are lower case, as ASGI gives them. What several headers and the body mean together is
``ladder``; who may connect at all is ``guard``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from schema.errors import Unauthenticated

VERSION: Final = b"mcp-protocol-version"
METHOD: Final = b"mcp-method"
NAME: Final = b"mcp-name"
PARAM_PREFIX: Final = b"mcp-param-"

CREDENTIALS: Final = (b"authorization", b"x-api-key")
"""Headers that a credential comes in."""

_SINGLE = frozenset({VERSION, METHOD, NAME, *CREDENTIALS})
"""Headers of which two copies could be read differently by two readers."""

_MAX_CACHED: Final = 512
"""Longer values are not remembered: a stranger chooses them."""

_SENTINEL = re.compile(r"=\?base64\?(.*)\?=")


class Accepts(NamedTuple):
    """Which of the two forms of a response the client takes."""

    json: bool
    events: bool
    events_first: bool = False
    """The client names events before JSON."""


def accepts(header: bytes | None) -> Accepts:
    """Read ``Accept`` (RFC 9110 section 12.5.1) liberally: absent means everything, wildcards and
    weights count, the order does not."""
    if header is not None and len(header) > _MAX_CACHED:
        return _accepts.__wrapped__(header)
    return _accepts(header)


@lru_cache(maxsize=256)
def _accepts(header: bytes | None) -> Accepts:
    if header is None or not header.strip():
        return Accepts(True, True)
    weights: dict[str, bool] = {}
    for part in header.decode("latin-1").lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weights[media] = not any(re.fullmatch(r"q=0(\.0*)?", p) for p in parameters)

    def takes(*ranges: str) -> bool:
        # The most specific range decides.
        return next((weights[r] for r in ranges if r in weights), False)

    return Accepts(
        json=takes("application/json", "application/*", "*/*"),
        events=takes("text/event-stream", "text/*", "*/*"),
        events_first=next(iter(weights)) == "text/event-stream",
    )


def is_json(content_type: bytes | None) -> bool:
    """True if the media type is ``application/json``, whatever its case and parameters."""
    if content_type is None or content_type == b"application/json":
        return content_type is not None
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


def bearer_token(authorization: bytes | None) -> str | None:
    """The token of an ``Authorization`` header, or None if there is no header.

    Raises Unauthenticated for another scheme or an empty token: a credential that cannot be read
    must not turn its sender into an anonymous caller.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(b" ")
    text = token.strip().decode("latin-1")
    if scheme.lower() != b"bearer" or not text:
        raise Unauthenticated("The Authorization header must be 'Bearer <token>'")
    return text


def repeated(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """A header that must be single and was sent more than once, if any."""
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in seen and (name in _SINGLE or name.startswith(PARAM_PREFIX)):
            return name
        seen.add(name)
    return None


def encoded(text: str) -> str:
    """A text as the value of a routing header; the inverse of ``decoded``."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    if plain and not _SENTINEL.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'replace')).decode()}?="


def decoded(value: bytes | None) -> str | None:
    """The text of a routing header, which carries what ASCII cannot as ``=?base64?...?=``.

    None if absent or if the encoding is not exactly what an encoder writes: a value with several
    spellings could be read differently further along (revision 2026-07-28, Streamable HTTP,
    header encoding).
    """
    if value is None:
        return None
    text = value.decode("latin-1").strip(" \t")
    match = _SENTINEL.fullmatch(text)
    if match is None:
        return text
    try:
        data = base64.b64decode(match[1], validate=True)
        if base64.b64encode(data).decode() != match[1]:
            return None
        return data.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
