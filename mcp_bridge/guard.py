"""Who may connect: the Host and Origin checks that keep web pages away from a local gateway.

A page in the user's browser can send requests to 127.0.0.1, and by DNS rebinding under any host
name. So a gateway on a loopback address answers only to loopback names, and a request that
carries an ``Origin`` must come from the same host (revision 2025-11-25, Streamable HTTP, security
warning). It does not know who the user is: that is ``Gateway.authenticate``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from gateway.settings import Settings
from mcp_bridge.errors import INVALID_REQUEST, Failure

_MAX_LENGTH: Final = 1_000
"""Of host and origin together; no honest ones are longer, and short ones can be remembered."""

_NETLOC: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@]+))(?::[0-9]*)?")

RawHeaders = tuple[tuple[bytes, bytes], ...]

FOREIGN_HOST: Final = Failure(
    INVALID_REQUEST, "This server does not answer under that host name", status=421
)
FOREIGN_ORIGIN: Final = Failure(
    INVALID_REQUEST, "Requests from that web origin are not allowed", status=403
)
_ALLOWED_HEADERS: Final = (
    "content-type, accept, authorization, mcp-protocol-version, mcp-method, mcp-name, "
    "mcp-session-id, last-event-id"
)


class Guard:
    """Decides by Host and Origin, and knows the CORS headers for those it admits."""

    def __init__(self, settings: Settings) -> None:
        public = _netloc(settings.public_base_url or "")
        self._own_hosts = {public} if public else set()
        self._is_local = _is_loopback(settings.host)
        # The same few pairs come with every request.
        self._judged = lru_cache(maxsize=1024)(self._judge)

    def refusal(self, headers: Mapping[bytes, bytes]) -> Failure | None:
        """Why the request is not answered, or None."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if len(host) + len(origin or b"") > _MAX_LENGTH:
            return FOREIGN_HOST
        return self._judged(host, origin)

    def _judge(self, raw_host: bytes, raw_origin: bytes | None) -> Failure | None:
        host = raw_host.decode("latin-1").lower()
        if self._is_local and host not in self._own_hosts and not _is_loopback(_name(host)):
            return FOREIGN_HOST
        if raw_origin is None:
            return None
        origin = _netloc(raw_origin.decode("latin-1"))
        is_same = bool(origin) and (origin == host or origin in self._own_hosts)
        if is_same or (self._is_local and _is_loopback(_name(origin))):
            return None
        return FOREIGN_ORIGIN


def cors_headers(headers: Mapping[bytes, bytes]) -> RawHeaders:
    """Response headers for an admitted browser client; none for the others."""
    origin = headers.get(b"origin")
    if origin is None:
        return ()
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", b"Mcp-Session-Id, WWW-Authenticate, Retry-After"),
        (b"vary", b"Origin"),
    )


def preflight_headers(headers: Mapping[bytes, bytes], methods: str) -> RawHeaders:
    """Response headers of OPTIONS (Fetch standard, CORS preflight). Of the requested headers only
    the known ones and the mirrored arguments are admitted."""
    requested = headers.get(b"access-control-request-headers", b"").decode("latin-1").lower()
    mirrored = [h.strip() for h in requested.split(",") if h.strip().startswith("mcp-param-")]
    return (
        *cors_headers(headers),
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", ", ".join([_ALLOWED_HEADERS, *mirrored]).encode()),
        (b"access-control-max-age", b"600"),
    )


def _netloc(url: str) -> str:
    try:
        return urlsplit(url.lower()).netloc
    except ValueError:
        return ""


def _name(netloc: str) -> str:
    """The host of ``host:port``, without the brackets of an IPv6 address; nothing if it is not of
    that form."""
    found = _NETLOC.fullmatch(netloc)
    return (found[1] or found[2]) if found is not None else ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
