"""Where users may be sent back to: exact addresses, registered before (OAuth 2.1 section 2.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

from gateway.auth.oauth.errors import InvalidRedirectUri
from gateway.settings import LOOPBACK_HOSTS

MAX_REDIRECT_URIS: Final = 10
MAX_URI_LENGTH: Final = 500
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.\-]*")
_NEVER: Final = frozenset(
    {"about", "blob", "data", "file", "filesystem", "ftp", "javascript", "vbscript", "ws", "wss"}
)
"""Schemes that a browser acts on itself, in place of an application."""


def check_redirect_uris(uris: object) -> tuple[str, ...]:
    """Addresses that a client may register: https, http to the same machine (RFC 8252 section 7.3),
    or a scheme of an application's own (section 7.1). Raises InvalidRedirectUri."""
    if not isinstance(uris, list) or not 1 <= len(uris) <= MAX_REDIRECT_URIS:
        raise InvalidRedirectUri(f"redirect_uris must be 1 to {MAX_REDIRECT_URIS} addresses")
    return tuple(_checked(uri) for uri in uris)


def _checked(uri: object) -> str:
    if not isinstance(uri, str) or len(uri) > MAX_URI_LENGTH or not uri.isascii():
        raise InvalidRedirectUri("A redirect URI must be a short ASCII text")
    if any(c.isspace() or not c.isprintable() or c in '\\"<>' for c in uri):
        raise InvalidRedirectUri("A redirect URI has a character that no URI has")
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        raise InvalidRedirectUri("A redirect URI cannot be read") from None
    if "#" in uri or parts.username is not None or parts.password is not None:
        raise InvalidRedirectUri("A redirect URI has no fragment and no credentials")
    if not _SCHEME.fullmatch(parts.scheme) or parts.scheme in _NEVER:
        raise InvalidRedirectUri(f"Nobody is redirected to {parts.scheme!r}")
    if parts.scheme == "https" and host:
        return uri
    if parts.scheme == "http":
        if host not in LOOPBACK_HOSTS:
            raise InvalidRedirectUri("http is for redirects to the same machine only; use https")
        return uri
    if parts.scheme == "https" or not (parts.netloc or parts.path):
        raise InvalidRedirectUri("A redirect URI needs a host or a path")
    return uri


def admits(registered: Sequence[str], uri: str) -> bool:
    """Whether ``uri`` is one of those that were registered, character by character. Only the port
    of a redirect to the same machine is free (RFC 8252 section 7.3)."""
    if uri in registered:
        return True
    wanted = _without_port(uri)
    return wanted is not None and any(_without_port(known) == wanted for known in registered)


def _without_port(uri: str) -> str | None:
    """A loopback address without its port, or None."""
    try:
        parts = urlsplit(uri)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS or parts.port == 0:
            return None
    except ValueError:
        return None
    if "#" in uri or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return parts._replace(netloc=str(host)).geturl()


def with_query(uri: str, /, **answer: str | None) -> str:
    """An address with more in its query, as it is told to browsers (RFC 6749 section 4.1)."""
    given = urlencode({name: value for name, value in answer.items() if value is not None})
    return f"{uri}{'&' if '?' in uri else '?'}{given}"
