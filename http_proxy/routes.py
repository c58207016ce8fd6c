"""The URL table of the HTTP door, on one screen. No logic of its own.

The paths, and that lists and services answer with and without a final slash, are the HTTP contract.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from gateway.api import Gateway
from gateway.settings import Settings
from http_proxy.asking.resource import Asking
from http_proxy.callers import Callers
from http_proxy.calls import Calls
from http_proxy.cors import Origins
from http_proxy.endpoint import Endpoint, Handler
from http_proxy.listing import Listing
from http_proxy.openapi.pages import page_routes, service_page
from http_proxy.openapi.resources import Documents
from http_proxy.workspace_page import WorkspacePage

READ = ("GET", "HEAD")
CALL = ("GET", "HEAD", "POST")


def routes(gateway: Gateway, settings: Settings, callers: Callers) -> list[BaseRoute]:
    """All routes. Each takes every method, so that preflights and refused methods are answered
    here, in the form of all other answers."""
    documents = Documents(gateway, settings)
    resources = {"openapi.json": documents.of_service, "docs": service_page}
    asking = Asking(settings.base_url, settings.max_body_bytes)
    calls = Calls(
        gateway,
        asking=asking,
        max_body_bytes=settings.max_body_bytes,
        resources=resources,
        origins=Origins(settings.allow_origins),
    )
    listing = Listing(gateway, settings)
    page = WorkspacePage(gateway, settings)

    def route(path: str, name: str, handler: Handler, methods: tuple[str, ...]) -> Route:
        limit = settings.max_response_bytes
        endpoint = Endpoint(handler, callers, methods, max_response_bytes=limit)
        return Route(path, endpoint, name=name)

    return [
        # Ahead of calls, which would take it for a function with an empty name.
        route("/{workspace}/services/{service}/", "service_slash", listing.service, READ),
        route("/{workspace}/services/{service}/{function:path}", "call", calls.answer, CALL),
        route("/{workspace}/services", "services", listing.services, READ),
        route("/{workspace}/services/", "services_slash", listing.services, READ),
        route("/{workspace}/services/{service}", "service", listing.service, READ),
        route("/{workspace}/asks/{id}", "ask", asking.answer, CALL),
        route("/{workspace}/info", "info", listing.workspace, READ),
        route("/openapi.json", "openapi", documents.of_gateway, READ),
        route("/{workspace}/openapi.json", "workspace_openapi", documents.of_workspace, READ),
        *page_routes(),
        route("/assets/config.json", "config", listing.configuration, READ),
        route("/{workspace}/", "workspace_page", page.show, READ),
        route("/{workspace}", "workspace", page.to_slash, READ),
    ]
