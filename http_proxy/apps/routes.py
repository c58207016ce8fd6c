"""The URL table of web services."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import Gateway
from gateway.settings import Settings
from http_proxy.apps.services import WebServices
from http_proxy.callers import Callers
from http_proxy.cors import Origins
from http_proxy.endpoint import Endpoint, Handler

_ROOT = "/{workspace}/apps/{service}"
_PATH = _ROOT + "/{path:path}"


def routes(
    gateway: Gateway, settings: Settings, callers: Callers, origins: Origins
) -> list[BaseRoute]:
    """All routes. The methods that a path has are the service's to know."""
    services = WebServices(
        gateway,
        callers,
        origins,
        max_body_bytes=settings.max_body_bytes,
        base_path=urlsplit(settings.base_url).path,
    )

    def endpoint(handler: Handler) -> Endpoint:
        return Endpoint(handler, callers, None, max_response_bytes=settings.max_response_bytes)

    return [
        Route(_ROOT, endpoint(services.to_slash), name="app"),
        Route(_PATH, endpoint(services.answer), name="app_path"),
        WebSocketRoute(_PATH, _Application(services.socket), name="app_socket"),
    ]


class _Application:
    """An ASGI application; a route takes a bare method for a handler of its own kind."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
