"""Composition root: every object of the gateway is made here, in order, by name."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.routing import Route, WebSocketRoute

from gateway import __version__
from gateway.admission import Doorkeeper
from gateway.api import Gateway
from gateway.auth.keys import manager_id, signing_key
from gateway.auth.tokens import TokenIssuer
from gateway.core import GatewayCore
from gateway.extensions import ExtensionContext, load_routes
from gateway.hub import Hub
from gateway.observability import configure_logging
from gateway.pages import Pages
from gateway.registry.apps import NoApps
from gateway.registry.directory import Directory
from gateway.registry.registry import Registry
from gateway.routing.router import Router
from gateway.rpc.builtin import API_VERSION, BuiltIn
from gateway.rpc.endpoint import Endpoint
from gateway.rpc.local import LocalFunction, LocalService, LocalServices, describe_functions
from gateway.settings import Settings
from gateway.shutdown import drain_on_signal
from gateway.transports.websocket import WebSocketDoor
from gateway.workspaces.client_functions import ClientFunctions
from gateway.workspaces.manager import MANAGER_SERVICE, Part, manager_functions
from gateway.workspaces.service_functions import ServiceFunctions
from gateway.workspaces.token_functions import TokenFunctions
from gateway.workspaces.workspace_functions import WorkspaceFunctions
from gateway.workspaces.workspaces import PUBLIC_WORKSPACE, Workspaces
from schema.ids import ServiceId
from schema.services import BUILT_IN, ServiceInfo, Visibility


@dataclass(frozen=True, slots=True)
class Parts:
    """The assembled gateway, for those who start it and for tests."""

    settings: Settings
    gateway: Gateway
    hub: Hub
    router: Router
    registry: Registry
    tokens: TokenIssuer
    workspaces: Workspaces


def build(settings: Settings) -> tuple[Parts, list[Route | WebSocketRoute]]:
    """Make all parts and the gateway's own routes. No I/O but for the signing key."""
    key = signing_key(settings)
    tokens = TokenIssuer(key)
    workspaces = Workspaces()
    registry = Registry()
    router = Router(manager_id(key), max_relay_bytes=settings.max_relay_bytes)
    local = LocalServices()
    endpoint = Endpoint(
        router,
        local,
        silence_seconds=settings.silence_timeout_seconds,
    )
    doorkeeper = Doorkeeper(tokens, workspaces, time.time)
    directory = Directory(
        registry,
        endpoint,
        local,
        manager=lambda: manager.info,
        manager_id=router.manager_id,
        load=router.load_of,
        apps=NoApps(),
        base_url=settings.base_url,
        fetch_seconds=settings.fetch_timeout_seconds,
    )
    hub = Hub(settings, doorkeeper, router, endpoint, registry, directory, workspaces, __version__)
    manager_parts: list[Part] = [
        ServiceFunctions(registry, directory, router),
        WorkspaceFunctions(workspaces, registry, router),
        ClientFunctions(router, endpoint, workspaces),
        TokenFunctions(tokens),
    ]
    manager = _local_service(
        MANAGER_SERVICE,
        "Workspace Manager",
        "Register, find and call services in a workspace, and manage it.",
        manager_functions(manager_parts),
        settings,
        router,
    )
    built_in = _local_service(
        BUILT_IN,
        BUILT_IN,
        "Services that every peer has.",
        BuiltIn(router, endpoint, local).functions(),
        settings,
        router,
    )
    local.add(manager)
    local.add(built_in)
    registry.subscribe(
        lambda kind, service: (
            router.publish(service.id.workspace, kind, service.to_wire())
            if service.id.service_id != BUILT_IN
            else None
        )
    )
    core = GatewayCore(
        registry=registry,
        directory=directory,
        endpoint=endpoint,
        local=local,
        workspaces=workspaces,
        tokens=tokens,
        doorkeeper=doorkeeper,
    )
    pages = Pages(settings, hub, __version__)
    routes: list[Route | WebSocketRoute] = [
        WebSocketRoute("/ws", WebSocketDoor(settings, hub, router)),
        *pages.routes(),
    ]
    return Parts(settings, core, hub, router, registry, tokens, workspaces), routes


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application with all three doors."""
    configure_logging(settings.log_level)
    parts, routes = build(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with drain_on_signal(parts.hub.drain):
            yield
        await parts.hub.drain()

    app = FastAPI(
        title="Polyport",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    context = ExtensionContext(gateway=parts.gateway, settings=settings)
    app.router.routes.extend(routes)
    app.router.routes.extend(load_routes(settings.extensions, context))
    return app


def _local_service(
    service_id: str,
    name: str,
    description: str,
    functions: Mapping[str, LocalFunction],
    settings: Settings,
    router: Router,
) -> LocalService:
    config = {
        "visibility": Visibility.PUBLIC.value,
        "require_context": True,
        "api_version": API_VERSION,
        "workspace": PUBLIC_WORKSPACE,
        "server_id": router.manager_id,
        "hypha_version": __version__,
        "public_base_url": settings.base_url,
        "local_base_url": settings.local_base_url,
    }
    info = ServiceInfo(
        id=ServiceId(PUBLIC_WORKSPACE, router.manager_id, service_id),
        name=name,
        type=BUILT_IN if service_id == BUILT_IN else "generic",
        description=description,
        visibility=Visibility.PUBLIC,
        service_schema=describe_functions(functions),
        config=config,
    )
    return LocalService(info, functions, target=router.manager_address, base_url=settings.base_url)
