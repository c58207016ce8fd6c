"""The HTTP door: every service function as ``/{workspace}/services/{service}/{function}``.

An extension like any other: it sees the gateway only through ``gateway.api`` and adds routes. It
does not know how services are registered, who may call them or how a call travels; it turns
requests into calls and results into responses.

A request, followed: ``routes`` (URL table) → ``endpoint`` (method, caller, errors) → ``calls`` or
``listing`` → ``arguments`` (in) and ``encoding`` (out), or ``streams`` for a generator. The package
``apps`` has web services, ``/{workspace}/apps/{service}/``; the package ``openapi`` describes the
rest, in documents and pages.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from gateway.extensions import ExtensionContext
from http_proxy.apps.routes import routes as app_routes
from http_proxy.callers import Callers
from http_proxy.cors import Origins
from http_proxy.routes import routes


def create(context: ExtensionContext) -> list[BaseRoute]:
    """The routes of the HTTP door."""
    gateway, settings = context.gateway, context.settings
    origins = Origins(settings.allow_origins)
    callers = Callers(gateway, context.token_finder)
    calls = routes(gateway, settings, callers)
    for route in calls:
        if isinstance(route, Route):
            route.app = origins.applied_to(route.app)
    # Calls first: they are many and small, and each pays for the routes in front of it.
    return [*calls, *app_routes(gateway, settings, callers, origins)]
