"""``polyport serve``: the gateway under uvicorn, until a signal."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from functools import partial
from typing import Any

import typer
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import __version__
from gateway.app import Parts, create_app
from gateway.auth.oidc.config import OidcMistake
from gateway.commands import memory
from gateway.commands.admin import first_admin_key, shown_once
from gateway.operations.process import allow_many_files
from gateway.settings import Settings
from gateway.startup import Startup, StartupFailed
from gateway.storage.directory import DATABASE_FILE, StorageFailed, is_used
from gateway.transports.uvicorn_http import OneWriteHttpProtocol
from gateway.transports.uvicorn_websocket import RelayWebSocketProtocol
from gateway.upstreams.config_file import ConfigMistake

logger = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """uvicorn's server, which says so once it takes requests and the startup functions have run."""

    def __init__(self, config: uvicorn.Config, parts: Parts, startup: Startup, url: str) -> None:
        super().__init__(config)
        self._parts = parts
        self._startup = startup
        self._url = url
        self.has_failed = False

    async def startup(self, sockets: Any = None) -> None:
        try:
            # Again below, where it costs nothing; here a failure is a sentence.
            await self._parts.load()
            key = await first_admin_key(self._parts)
        except StorageFailed as error:
            self._fail(error)
            return
        if key is not None:
            print(shown_once(key), flush=True)  # noqa: T201 - for the terminal, and in no log
        await super().startup(sockets)
        if self.started:
            await self._run_startup_functions()
        memory.settle()
        if self.started and not self.has_failed:
            print(f"Polyport {__version__} ready at {self._url}", flush=True)  # noqa: T201

    async def _run_startup_functions(self) -> None:
        try:
            await self._startup.run()
        except StartupFailed as error:
            self._fail(error)
            return
        logger.info("authentication %s", self._parts.login.summary())

    def _fail(self, error: Exception) -> None:
        typer.echo(str(error), err=True)
        self.has_failed = True
        self.should_exit = True


def _beside_others(settings: Settings) -> Settings:
    """Where another server has the usual data directory, one with a port of its own and no word on
    where to keep things gets a directory by its port: always the same, so it survives a restart."""
    if settings.ephemeral or settings.data_dir or settings.database_uri or not settings.port:
        return settings
    usual = settings.data_directory
    own = usual / f"port-{settings.port}"
    try:
        if not own.is_dir() and not is_used(usual / DATABASE_FILE):
            return settings
    except (OSError, StorageFailed):
        return settings  # what is wrong with it is told when it is opened
    typer.echo(f"Data is kept in {own}: {usual} is another server's", err=True)
    return settings.model_copy(update={"data_dir": own})


def _straight(app: FastAPI) -> ASGIApp:
    """The application as the server calls it. Its own two steps in front of all layers only look
    for options that it has not, and would do so with every request."""
    layers: ASGIApp = app.middleware_stack  # type: ignore[assignment]  # create_app sets it

    def call(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope["app"] = app
        return layers(scope, receive, send)

    return call


def run(settings: Settings) -> int:
    """Start the gateway."""
    config = uvicorn.Config(
        app="",
        host=settings.host,
        port=settings.port,
        loop="auto",
        ws=RelayWebSocketProtocol,
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,
        timeout_keep_alive=300,
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",  # without it there would be no data and no drain, and nobody would notice
        proxy_headers=False,  # nobody in front is trusted to say who calls
        timeout_graceful_shutdown=1,
    )
    allow_many_files()
    try:
        listener = config.bind_socket()
    except SystemExit:
        typer.echo(f"Cannot listen on {settings.host}, port {settings.port}: see above", err=True)
        return 1
    settings = _beside_others(settings)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    try:
        app = create_app(settings)
    except (ConfigMistake, OidcMistake) as error:
        typer.echo(str(error), err=True)
        return 2
    parts: Parts = app.state.parts
    config.app = _straight(app)
    config.http = partial(  # type: ignore[assignment]
        OneWriteHttpProtocol,
        connections=parts.bounds.connections,
        stalled_seconds=settings.stalled_client_seconds,
    )
    server = _Server(config, parts, app.state.startup, settings.local_base_url)
    server.run(sockets=[listener])
    if server.has_failed:
        return 1
    return 0 if server.started else 3
