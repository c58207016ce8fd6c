"""Server-sent events as MCP uses them: one JSON-RPC message per ``message`` event. Pure.

Source: revision 2026-07-28, Streamable HTTP; WHATWG HTML, server-sent events.
"""

from __future__ import annotations

from typing import Final

HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
"""Proxies must neither store, compress nor hold back the events."""

KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment; clients ignore it, idle timeouts on the way do not."""


def frame(message: bytes) -> bytes:
    """One event. ``message`` is JSON, which has no raw line breaks."""
    return b"event: message\ndata: " + message + b"\n\n"
