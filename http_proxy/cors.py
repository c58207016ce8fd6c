"""Cross-origin access (Fetch standard), decided in one place.

By default any origin may call, and none may use the browser's cookies: the literal ``*`` without
``Access-Control-Allow-Credentials`` makes browsers withhold the answer of a request that carried
the ``access_token`` cookie, so a foreign page cannot read with the visitor's identity; a token in
the ``Authorization`` header works from anywhere. Origins that the operator lists are named in the
answer and may use cookies; with a list, others are not admitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_proxy.replies import ANY_ORIGIN, BytesReply, Header
from schema.errors import PermissionDenied
from schema.identity import Caller

_MAX_AGE = b"86400"
"""Seconds that a browser may remember a preflight; browsers cap it themselves."""
_ALLOW_ORIGIN = ANY_ORIGIN[0]
_FOREIGN_SITES = (b"cross-site", b"same-site")
"""Pages of somebody else (Fetch Metadata, section 2.4); ``none`` is the user's own doing."""


class Origins:
    """The origins that may read answers; ``*`` among them stands for all, without cookies."""

    def __init__(self, allowed: Sequence[str] = ("*",)) -> None:
        self._any = "*" in allowed
        self._listed = frozenset(origin.encode() for origin in allowed if origin != "*")

    def headers(self, origin: bytes | None) -> list[Header]:
        """What an answer says to a request from ``origin``."""
        if not self._listed:
            return [ANY_ORIGIN] if self._any else []
        vary: Header = (b"vary", b"Origin")
        if origin in self._listed:
            assert origin is not None  # noqa: S101 - None is not listed
            return [
                (_ALLOW_ORIGIN, origin),
                (b"access-control-allow-credentials", b"true"),
                vary,
            ]
        return [ANY_ORIGIN, vary] if self._any else [vary]

    def may_use_cookies(self, headers: Mapping[bytes, bytes], *, is_page: bool = False) -> bool:
        """Whether a request is from the gateway's own origin or a listed one, or from no page, or
        (``is_page``) is the way to a page that somebody opens. A link to a function is a call, and
        no page of others makes one with the visitor's cookie."""
        origin = headers.get(b"origin")
        if origin in self._listed:
            return True
        if origin is None:  # as with the images and scripts of a page (Fetch Metadata, section 2)
            if headers.get(b"sec-fetch-site") not in _FOREIGN_SITES:
                return True
            return is_page and headers.get(b"sec-fetch-mode") == b"navigate"
        return urlsplit(origin.decode("latin-1")).netloc.encode() == headers.get(b"host")

    def check_cookie(
        self, headers: Mapping[bytes, bytes], caller: Caller, *, is_page: bool = False
    ) -> None:
        """Any page can have a browser send a request anywhere, cookies included: what the cookie
        says who the caller is does not count for pages of others. Raises PermissionDenied."""
        if (
            b"cookie" in headers
            and not caller.user.is_anonymous
            and b"authorization" not in headers
            and b"x-api-key" not in headers
            and not self.may_use_cookies(headers, is_page=is_page)
        ):
            raise PermissionDenied("A page of another origin cannot use the browser's cookies here")

    def applied_to(self, app: ASGIApp) -> ASGIApp:
        """An application whose answers admit the origins; they are written to admit any."""
        return app if self._any and not self._listed else _Rewriting(app, self)


class _Rewriting:
    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = dict(scope["headers"]).get(b"origin")

        async def rewrite(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].lower() != _ALLOW_ORIGIN]
                message["headers"] = kept + self._origins.headers(origin)
            await send(message)

        await self._app(scope, receive, rewrite)


def preflight(methods: str, requested_headers: bytes | None) -> BytesReply:
    """Allow what was asked for. The requested headers are repeated, because the wildcard does not
    cover ``Authorization``."""
    headers: list[Header] = [
        ANY_ORIGIN,
        (b"allow", methods.encode()),
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-max-age", _MAX_AGE),
        (b"vary", b"Access-Control-Request-Headers"),
    ]
    if requested_headers:
        headers.append((b"access-control-allow-headers", requested_headers))
    return BytesReply(204, headers, b"")
