"""What a provider sees of a request: the ASGI scope in plain values. Pure.

Nothing of the server's own goes out with it, least of all the cookie with which a browser tells
the gateway who its user is: it is sent along to any address of the gateway, also to a stranger's
service. An ``Authorization`` header is forwarded, because whoever sends one chose where to.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.types import Scope

from http_proxy.callers import COOKIE
from schema.services import ServiceInfo

STRIP_AUTHORIZATION: Final = "strip_authorization"
"""Key in a service's config: do not forward the ``Authorization`` header."""

ROOT_PATH: Final = "root_path"
"""Key in a service's config: tell the application under which path it is mounted. By default it
is not told, as existing applications expect."""

_COPIED: Final = ("type", "http_version", "method", "scheme", "query_string", "subprotocols")
_PREFIX_SEGMENTS: Final = 3
"""``/{workspace}/apps/{service}`` in front of the application's own path."""


def is_operators(service: ServiceInfo) -> bool:
    """Whether the operator has put a service there: nobody else registers any in ``public``."""
    return service.id.workspace == "public"


def application_scope(scope: Scope, service: ServiceInfo, base_path: str = "") -> dict[str, Any]:
    """The scope for the application behind ``service``; ``base_path`` is that of the gateway's
    URL."""
    named: dict[str, str] = scope["path_params"]
    path = f"/{named['path']}"
    raw_path = _rest(scope["raw_path"])
    root_path = ""
    if service.config.get(ROOT_PATH) is True:
        root_path = f"{base_path}/{named['workspace']}/apps/{named['service']}"
        path = root_path + path
        raw_path = root_path.encode() + raw_path
    asgi = scope.get("asgi", {})
    client, server = scope.get("client"), scope.get("server")
    shown = {key: scope[key] for key in _COPIED if key in scope}
    return shown | {
        # Below 2.4 applications listen for a disconnect; from there on they wait for ``send`` to
        # raise OSError, which no RPC library does.
        "asgi": {"version": asgi.get("version", "3.0"), "spec_version": "2.3"},
        "path": path,
        "raw_path": raw_path,
        "root_path": root_path,
        "headers": forwarded_headers(scope["headers"], service),
        "client": list(client) if client else None,
        "server": list(server) if server else None,
        "workspace": named["workspace"],
        "service_id": named["service"],
    }


def _rest(raw_path: bytes) -> bytes:
    """A percent-encoded path without the gateway's part of it."""
    return b"/" + raw_path.split(b"/", _PREFIX_SEGMENTS + 1)[-1]


def forwarded_headers(
    headers: list[tuple[bytes, bytes]], service: ServiceInfo
) -> list[tuple[bytes, bytes]]:
    """The headers of a request that go to the provider, repeated ones included."""
    is_stripped = service.config.get(STRIP_AUTHORIZATION) is True
    forwarded: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name == b"cookie":
            if kept := _without_token(value):
                forwarded.append((name, kept))
        elif name != b"authorization" or not is_stripped:
            forwarded.append((name, value))
    return forwarded


def _without_token(cookies: bytes) -> bytes:
    own = COOKIE.encode()
    if own not in cookies:
        return cookies
    parts = [part.strip() for part in cookies.split(b";")]
    return b"; ".join(part for part in parts if part.partition(b"=")[0].strip() != own)
