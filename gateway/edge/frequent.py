"""The shortest way to the routes that most requests are for."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Final

from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

FREQUENT: Final = (
    "WebSocketDoor", "mcp", "service_slash", "call", "mcp-workspace", "services",
)  # fmt: skip
"""Names of the routes, in the order in which they are asked. Besides static files no other route
matches what they do, but for ``service_slash``, which stands before ``call``. Each takes every
method, and its endpoint is an ASGI application that answers its own errors."""


class FrequentRoutes:
    """An ASGI application that hands requests straight to the endpoints of ``routes`` that are
    frequent, and all others to ``app``, whose layers cost more than a whole small call."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        frequent = [
            route
            for route in routes
            if isinstance(route, Route | WebSocketRoute) and route.name in FREQUENT
        ]
        self._routes = sorted(frequent, key=lambda route: FREQUENT.index(route.name))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not a coroutine: each one that is waited in adds to every step of the request.
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route.app(scope, receive, send)
        return self._app(scope, receive, send)
