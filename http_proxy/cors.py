"""Cross-origin access (Fetch standard): any origin may call, none may use the browser's cookies.

The literal ``*`` without ``Access-Control-Allow-Credentials`` makes browsers withhold the answer
of a request that carried the ``access_token`` cookie, so a foreign page cannot read with the
visitor's identity; a token in the ``Authorization`` header works from anywhere.
"""

from __future__ import annotations

from http_proxy.replies import ANY_ORIGIN, BytesReply, Header

_MAX_AGE = b"86400"
"""Seconds that a browser may remember a preflight; browsers cap it themselves."""


def preflight(methods: str, requested_headers: bytes | None) -> BytesReply:
    """Allow what was asked for. The requested headers are repeated, because the wildcard does not
    cover ``Authorization``."""
    headers: list[Header] = [
        ANY_ORIGIN,
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-max-age", _MAX_AGE),
        (b"vary", b"Access-Control-Request-Headers"),
    ]
    if requested_headers:
        headers.append((b"access-control-allow-headers", requested_headers))
    return BytesReply(204, headers, b"")
