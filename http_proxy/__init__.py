"""The HTTP door: every service function as ``/{workspace}/services/{service}/{function}``.

An extension like any other: it sees the gateway only through ``gateway.api`` and adds routes. It
does not know how services are registered, who may call them or how a call travels; it turns
requests into calls and results into responses.

A request, followed: ``routes`` (URL table) → ``endpoint`` (method, caller, errors) → ``calls`` or
``listing`` → ``arguments`` (in) and ``encoding`` (out), or ``streams`` for a generator.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from gateway.extensions import ExtensionContext
from http_proxy.routes import routes


def create(context: ExtensionContext) -> list[BaseRoute]:
    """The routes of the HTTP door."""
    return routes(context.gateway, context.settings)
