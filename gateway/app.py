"""Composition root: every object of the gateway is made here, in order, by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from gateway import __version__
from gateway.admission import Doorkeeper
from gateway.api import Gateway
from gateway.auth.api_keys import ApiKeys
from gateway.auth.authentication import Authentication
from gateway.auth.function_access import FunctionAccess
from gateway.auth.keys import manager_id
from gateway.auth.login.pending import PendingLogins
from gateway.auth.login.service import LoginService
from gateway.auth.oauth.build import OAuth
from gateway.auth.tokens import TokenIssuer
from gateway.base_path import BasePath
from gateway.compression import compressing
from gateway.core import GatewayCore
from gateway.counters import Counters
from gateway.edge.bounds import Bounds, bounds_of
from gateway.edge.frequent import FrequentRoutes
from gateway.edge.limits import Buckets, Rate
from gateway.edge.middleware import Edge
from gateway.extensions import ExtensionContext, load_routes
from gateway.hub import Hub
from gateway.identity import identity_of, logins_of
from gateway.mounts import static_routes
from gateway.observability import configure_logging
from gateway.operations.health import Health
from gateway.operations.metrics import Metrics
from gateway.operations.process import memory_bytes
from gateway.operations.routes import Operations
from gateway.pages import NothingHere, Pages
from gateway.registry.apps import NoApps
from gateway.registry.directory import Directory
from gateway.registry.hosting import Hosting
from gateway.registry.own import OwnServices
from gateway.registry.registry import Registry
from gateway.registry.relay_audit import RelayAudit
from gateway.registry.relay_guard import RelayGuard
from gateway.routing.router import Router
from gateway.rpc.builtin import BuiltIn
from gateway.rpc.endpoint import Endpoint
from gateway.rpc.local import LocalServices
from gateway.settings import SHARED_MOUNT, Settings
from gateway.shutdown import drain_on_signal
from gateway.startup import Startup
from gateway.storage.database import Database
from gateway.storage.key_file import sealed_box
from gateway.storage.repositories import storage_of
from gateway.tracing import Tracing, tracing_to
from gateway.transports.blocked import BlockedAddresses
from gateway.transports.http_stream import HttpStreamDoor
from gateway.transports.websocket import WebSocketDoor
from gateway.upstreams.assembly import upstreams_of
from gateway.upstreams.functions import SERVERS_SERVICE, ServerFunctions
from gateway.upstreams.login.routes import LoginRoutes
from gateway.upstreams.upstreams import Upstreams
from gateway.workspaces.admin_functions import ADMIN_SERVICE, AdminFunctions
from gateway.workspaces.audit_functions import AuditFunctions
from gateway.workspaces.client_functions import ClientFunctions
from gateway.workspaces.content_functions import ContentFunctions
from gateway.workspaces.function_access_functions import FunctionAccessFunctions
from gateway.workspaces.kept import Kept, kept_in
from gateway.workspaces.key_functions import KeyFunctions
from gateway.workspaces.manager import Part, manager_functions
from gateway.workspaces.reach import Reach
from gateway.workspaces.records import ROOT_WORKSPACE
from gateway.workspaces.service_functions import ServiceFunctions
from gateway.workspaces.sharing_functions import SharingFunctions
from gateway.workspaces.token_functions import TokenFunctions
from gateway.workspaces.workspace_functions import WorkspaceFunctions
from gateway.workspaces.workspaces import Workspaces
from schema.services import BUILT_IN, MANAGER_SERVICE


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
    logins: PendingLogins
    login: LoginService
    authentication: Authentication
    oauth: OAuth
    database: Database
    hosting: Hosting
    upstreams: Upstreams
    kept: Kept
    bounds: Bounds
    counters: Counters
    functions: FunctionAccess
    tracing: Tracing | None
    api_keys: ApiKeys

    async def load(self) -> None:
        """Open the database and read what is kept in memory, before the first request.

        Raises StorageFailed.
        """
        if self.settings.ephemeral:
            return
        await self.database.open()
        if not self.workspaces.is_loaded:
            await self.kept.load()
            await self.tokens.revocations.load()
            await self.functions.load()
            await self.api_keys.load()
            self.hub.expect_back()

    async def close(self) -> None:
        """Finish what is being written, and close the database."""
        await self.kept.close()
        await self.upstreams.close()
        await self.api_keys.close()
        await self.database.close()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)


def build(settings: Settings) -> tuple[Parts, list[Route | WebSocketRoute]]:
    """Make all parts and the gateway's own routes. No I/O but for the signing key, the login page
    and the file of upstreams. Raises ConfigMistake."""
    database, stored = storage_of(settings)
    identity = identity_of(settings, database, stored)
    tokens, authentication = identity.tokens, identity.authentication
    box = sealed_box(settings)
    kept = kept_in(stored, settings, box)
    workspaces, events = kept.workspaces, kept.events
    registry = Registry()
    counters = Counters()
    tracing = tracing_to(settings.otlp_endpoint)
    router = Router(manager_id(identity.keys[-1]), max_relay_bytes=settings.max_relay_bytes)
    functions = FunctionAccess(stored.functions)
    local = LocalServices(functions)
    endpoint = Endpoint(
        router,
        local,
        silence_seconds=settings.silence_timeout_seconds,
        audit=kept.audit,
    )
    doorkeeper = Doorkeeper(tokens, authentication, workspaces, kept.blocks, time.time)
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
        functions=functions,
    )
    RelayGuard(registry, functions, router)
    router.call_log = RelayAudit(kept.audit) if settings.audit_calls else None
    hub = Hub(
        counters,
        settings,
        doorkeeper,
        router,
        endpoint,
        registry,
        directory,
        workspaces,
        events,
        __version__,
    )
    workspaces.watch(hub.recheck)
    tokens.revocations.watch(hub.disconnect_revoked)
    reach = Reach(workspaces, authentication)
    manager_parts: list[Part] = [
        ServiceFunctions(
            registry,
            directory,
            router,
            endpoint,
            max_per_client=settings.max_services_per_client,
        ),
        WorkspaceFunctions(workspaces, reach, kept.contents, registry, router, events, functions),
        SharingFunctions(workspaces, reach, events),
        ContentFunctions(workspaces, reach, kept.contents, directory, events),
        ClientFunctions(router, endpoint, workspaces, events),
        TokenFunctions(authentication, reach, max_life_seconds=settings.max_token_life_seconds),
        KeyFunctions(identity.api_keys),
        AuditFunctions(kept.audit),
        FunctionAccessFunctions(functions),
    ]
    own = OwnServices(local, registry, settings, manager_id=router.manager_id, version=__version__)
    manager = own.add(
        MANAGER_SERVICE,
        "Workspace Manager",
        "Register, find and call services in a workspace, and manage it.",
        manager_functions(manager_parts, kept.audit),
    )
    admin = AdminFunctions(
        settings,
        router,
        registry,
        workspaces,
        kept.blocks,
        kept.audit,
        version=__version__,
        memory_bytes=lambda: memory_bytes()[0],
    )
    own.add(
        ADMIN_SERVICE,
        "Administration",
        "Look at the whole server, disconnect clients, keep users out.",
        admin.functions(),
        is_offered=True,
        workspace=ROOT_WORKSPACE,
    )
    own.add(
        BUILT_IN,
        BUILT_IN,
        "Services that every peer has.",
        BuiltIn(router, endpoint, local).functions(),
        type=BUILT_IN,
    )
    logins = logins_of(identity, doorkeeper, own)
    registry.subscribe(
        lambda kind, service: (
            router.publish(service.id.workspace, kind, functions.published(service).to_wire())
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
        authentication=authentication,
        doorkeeper=doorkeeper,
        counters=counters,
        functions=functions,
        audit=kept.audit,
        tracing=tracing,
    )
    pages = Pages(settings, logins.page, logins.service, __version__)
    bounds = bounds_of(settings)
    operations = Operations(
        settings,
        core,
        Health(hub, endpoint, counters, None if settings.ephemeral else database.ping),
        Metrics(counters, bounds, hub, router, endpoint, registry, kept.audit),
    )
    hosting = Hosting(local, registry, settings, client_id=router.manager_id)
    upstreams = upstreams_of(
        settings,
        hosting,
        directory,
        repository=stored.upstreams,
        box=box,
    )
    routes: list[Route | WebSocketRoute] = [
        WebSocketRoute("/ws", WebSocketDoor(settings, hub, router)),
        Route("/rpc", HttpStreamDoor(settings, hub, doorkeeper, router)),
        *compressing([*operations.routes(), *pages.routes()]),
        *logins.routes,
        *LoginRoutes(upstreams.logins, _login_answers().take).routes(),
    ]
    own.add(
        SERVERS_SERVICE,
        "MCP servers",
        "Add MCP servers and HTTP APIs to a workspace, and manage them.",
        ServerFunctions(upstreams, hosting, workspaces, kept.audit).functions(),
        is_offered=True,
    )
    for part in (upstreams, functions, identity.api_keys):
        workspaces.at_end(part.forget_workspace)
    parts = Parts(
        settings=settings,
        gateway=core,
        hub=hub,
        router=router,
        registry=registry,
        tokens=tokens,
        workspaces=workspaces,
        logins=logins.pending,
        login=logins.service,
        authentication=authentication,
        database=database,
        oauth=logins.oauth,
        hosting=hosting,
        upstreams=upstreams,
        kept=kept,
        bounds=bounds,
        counters=counters,
        functions=functions,
        tracing=tracing,
        api_keys=identity.api_keys,
    )
    return parts, routes


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application with all three doors."""
    configure_logging(settings.log_level, settings.log_format)
    parts, routes = build(settings)

    startup = Startup(settings, parts.tokens, parts.login)

    async def stop() -> None:
        for tell in context.on_stop:
            tell()
        await startup.close()
        parts.logins.close()
        await parts.hub.drain()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await parts.load()
        await parts.upstreams.start()
        try:
            with drain_on_signal(stop):
                yield
            await stop()
        finally:
            await parts.close()

    app = FastAPI(
        title="Polyport",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
        # Its own spans and counters would look for a configuration with every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.parts = parts
    app.state.startup = startup
    context = ExtensionContext(
        gateway=parts.gateway,
        settings=settings,
        token_finder=parts.authentication,
        resources=parts.oauth.resources,
    )
    app.router.routes.extend(routes)
    shared = [m for m in settings.static_mounts if m.strip("/").startswith(f"{SHARED_MOUNT}:")]
    own = [mount for mount in settings.static_mounts if mount not in shared]
    app.router.routes.extend(compressing(static_routes(own)))
    app.router.routes.extend(load_routes(settings.extensions, context))
    app.router.routes.extend(compressing(static_routes(shared)))
    nothing = NothingHere(settings.allow_origins)
    app.router.routes.append(Route("/{path:path}", nothing))
    app.router.default = nothing  # for websockets, and for what is no path: OPTIONS *
    app.middleware_stack = _layers(app, parts)
    return app


def _layers(app: FastAPI, parts: Parts) -> Edge:
    """What stands in front of the routes. FastAPI's own stack is left out but for the part that
    routes rely on: what else it does with every request, the edge does or nobody has asked for."""
    settings = parts.settings
    layers: ASGIApp = AsyncExitStackMiddleware(app.router)
    layers = ExceptionMiddleware(layers, handlers=app.exception_handlers)
    if not settings.static_mounts:
        layers = FrequentRoutes(layers, app.router.routes)
    layers = BlockedAddresses(layers, parts.kept.blocks)
    if settings.base_path != "/":
        layers = BasePath(layers, settings.base_path)
    return Edge(
        layers, settings, parts.bounds, parts.counters, app.router.routes, tracing=parts.tracing
    )


def _login_answers() -> Buckets:
    """How many answers to logins at upstreams may come from one address."""
    return Buckets(Rate(per_second=2.0, burst=100.0), time.monotonic)
