"""The shortest way to the routes that most requests are for."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Final

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

FREQUENT: Final = (
    "WebSocketDoor", "mcp", "service_slash", "call", "mcp-workspace", "services",
)  # fmt: skip
"""Names of the routes, in the order in which they are asked. Besides static files no other route
matches what they do, but for ``service_slash``, which stands before ``call``. Each takes every
method, its parameters are text, and its endpoint is an ASGI application that answers its own
errors."""


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
        frequent.sort(key=lambda route: FREQUENT.index(route.name))
        self._routes: dict[str, list[Route | WebSocketRoute]] = {
            "http": [route for route in frequent if isinstance(route, Route)],
            "websocket": [route for route in frequent if isinstance(route, WebSocketRoute)],
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not a coroutine: each one that is waited in adds to every step of the request.
        routes = self._routes.get(scope["type"])  # the start and the end of the server have none
        if routes is not None and not scope.get("root_path"):
            # Below a root path, addresses are read by who knows of it.
            path: str = scope["path"]
            for route in routes:
                # As ``route.matches``, for addresses whose parameters are all text.
                found = route.path_regex.match(path)
                if found:
                    scope["endpoint"] = route.endpoint
                    scope["path_params"] = found.groupdict()
                    return route.app(scope, receive, send)
        return self._app(scope, receive, send)
