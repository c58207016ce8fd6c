"""The addresses of the MCP door, and what is checked for all of them.

Each address is routed with and without a trailing slash: clients lose the body or the credential
when they are redirected.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.compression import Compressing
from gateway.extensions import ExtensionContext
from mcp_bridge.callers import Callers
from mcp_bridge.endpoint import McpEndpoint
from mcp_bridge.errors import INVALID_REQUEST, Failure
from mcp_bridge.exchange import Reply, Timing, send_reply
from mcp_bridge.guard import Guard, preflight_headers
from mcp_bridge.listening import Listening, Seats
from mcp_bridge.offer import Opener
from mcp_bridge.page import ServicePage
from mcp_bridge.sessions import SESSION_ID, Sessions
from mcp_bridge.stateful import Stateful
from mcp_bridge.two_endpoints import TwoEndpoints

_DISCOVERY: Final = (
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)
"""Where clients look for an authorization server (RFC 9728, RFC 8414, OpenID Connect Discovery),
also with the path of the endpoint behind. There is none, and anything but 404 makes some clients
start a login and drop the header their user configured."""

_NO_AUTHORIZATION_SERVER: Final = Failure(
    INVALID_REQUEST, "This server does not use OAuth", status=404
)


def mcp_routes(context: ExtensionContext, timing: Timing) -> list[BaseRoute]:
    """All routes, the most frequent first."""
    settings = context.settings
    guard = Guard(settings)
    opener = Opener(context.gateway, Callers(context), settings.max_mcp_listed_tools)
    seats = Seats(most=settings.max_mcp_streams, most_per_user=settings.max_mcp_streams_per_user)
    listening = Listening(seats, keep_alive_seconds=timing.keep_alive_seconds)
    sessions = Sessions(
        is_usual=settings.mcp_sessions,
        most=settings.max_mcp_sessions,
        idle_seconds=settings.mcp_session_idle_seconds,
    )
    context.on_stop.extend((listening.close, sessions.close))
    mcp = McpEndpoint(
        opener, listening, Stateful(sessions, timing), settings.max_mcp_body_bytes, timing
    )
    older: list[Route] = []
    if settings.mcp_sse:
        two = TwoEndpoints(
            mcp,
            opener,
            seats,
            base_path=settings.base_path,
            max_body_bytes=settings.max_mcp_body_bytes,
            keep_alive_seconds=timing.keep_alive_seconds,
        )
        context.on_stop.append(two.close)
        older = _older_routes(two, guard)
    endpoint = Guarded(mcp, guard, "POST", in_session="GET, DELETE")
    page = Guarded(Compressing(ServicePage(opener, settings.base_url)), guard, "GET, HEAD")
    workspace = _ByMethod(endpoint, page)
    nothing = Guarded(_NotFound(), guard, "GET, HEAD")
    return [
        Route("/{workspace}/mcp/{service}/mcp", endpoint, name="mcp"),
        Route("/{workspace}/mcp/{service}/mcp/", endpoint, name="mcp-slash"),
        Route("/{workspace}/mcp/{service}", page, name="mcp-page"),
        Route("/{workspace}/mcp/{service}/", page, name="mcp-page-slash"),
        *older,
        Route("/{workspace}/mcp", workspace, name="mcp-workspace"),
        Route("/{workspace}/mcp/", workspace, name="mcp-workspace-slash"),
        *(Route(path, nothing) for path in _DISCOVERY),
        *(Route(path + "/{resource:path}", nothing) for path in _DISCOVERY),
    ]


def _older_routes(two: TwoEndpoints, guard: Guard) -> list[Route]:
    opening, posting = Guarded(two.opening, guard, "GET"), Guarded(two.posting, guard, "POST")
    return [
        Route("/{workspace}/mcp/{service}/sse", opening, name="mcp-sse"),
        Route("/{workspace}/mcp/{service}/sse/", opening, name="mcp-sse-slash"),
        Route("/{workspace}/mcp/{service}/sse/messages", posting, name="mcp-sse-messages"),
        Route("/{workspace}/mcp/{service}/sse/messages/", posting, name="mcp-sse-messages-slash"),
    ]


class Guarded:
    """An application behind the checks of host, origin and method. Answers preflights."""

    def __init__(self, app: ASGIApp, guard: Guard, methods: str, *, in_session: str = "") -> None:
        """``in_session``: methods that are only passed on with the id of a session."""
        self._app = app
        self._guard = guard
        self._methods = methods
        self._allowed = frozenset(methods.split(", "))
        self._in_session = frozenset(in_session.split(", "))
        allow = ((b"allow", methods.encode()),)
        self._preflight = allow
        self._preflight_methods = f"{methods}, {in_session}" if in_session else methods
        self._not_allowed = Failure(
            INVALID_REQUEST, f"Only {methods} is possible here", status=405, headers=allow
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not a coroutine: each one that is waited in adds to every step of the request.
        headers = dict(scope["headers"])
        refusal = self._guard.refusal(headers)
        if refusal is None and (
            scope["method"] in self._allowed
            or (scope["method"] in self._in_session and SESSION_ID in headers)
        ):
            return self._app(scope, receive, send)
        if refusal is None and scope["method"] == "OPTIONS":
            admitted = preflight_headers(headers, self._preflight_methods)
            return send_reply(send, Reply(b"", 204, (*self._preflight, *admitted)))
        failure = refusal or self._not_allowed
        body = b"" if scope["method"] == "HEAD" else failure.body(None)
        reply = Reply(body, failure.http_status(is_modern=False), failure.headers)
        return send_reply(send, reply)


class _ByMethod:
    """An endpoint with its page at the same address."""

    def __init__(self, endpoint: ASGIApp, page: ASGIApp) -> None:
        self._endpoint = endpoint
        self._page = page

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_read = scope["method"] in ("GET", "HEAD") and SESSION_ID not in dict(scope["headers"])
        return (self._page if is_read else self._endpoint)(scope, receive, send)


class _NotFound:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        failure = _NO_AUTHORIZATION_SERVER
        await send_reply(send, Reply(failure.body(None), failure.http_status(is_modern=False)))
