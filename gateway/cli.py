"""The command ``polyport``: arguments to settings, then run."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError

from gateway import __version__
from gateway.app import create_app
from gateway.settings import Settings
from gateway.transports.uvicorn_http import OneWriteHttpProtocol
from gateway.transports.uvicorn_websocket import RelayWebSocketProtocol

app = typer.Typer(
    name="polyport", add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"polyport {__version__}")
        raise typer.Exit


@app.callback()
def polyport(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="And exit.")
    ] = False,
) -> None:
    """One service gateway with three doors: websocket RPC, HTTP and MCP."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Bind address (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (9527); 0 picks a free one.")] = None,
    public_base_url: Annotated[
        str | None, typer.Option(help="URL that clients reach this server under.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Directory for what must survive a restart.")
    ] = None,
    ephemeral: Annotated[
        bool | None, typer.Option("--ephemeral", help="Keep nothing on disk.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
) -> None:
    """Start the gateway."""
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "public_base_url": public_base_url,
        "data_dir": data_dir,
        "ephemeral": ephemeral,
        "log_level": log_level,
    }
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in problem["loc"])
            typer.echo(f"Setting {name}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(run(settings))


class _Server(uvicorn.Server):
    """uvicorn's server, which says so once it takes requests."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        # What exists by now lives as long as the process, and a relay makes little cyclic
        # garbage: the collector need not walk over the former, nor look often for the latter.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        if self.started:
            print(f"Polyport {__version__} ready at {self._url}", flush=True)  # noqa: T201


def run(settings: Settings) -> int:
    """Serve until a signal. Returns the exit code."""
    config = uvicorn.Config(
        app="",
        host=settings.host,
        port=settings.port,
        loop="auto",
        http=OneWriteHttpProtocol,
        ws=RelayWebSocketProtocol,
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,
        timeout_keep_alive=300,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    try:
        listener = config.bind_socket()
    except SystemExit:
        typer.echo(f"Cannot listen on {settings.host}, port {settings.port}: see above", err=True)
        return 1
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    config.app = create_app(settings)
    server = _Server(config, settings.local_base_url)
    server.run(sockets=[listener])
    return 0 if server.started else 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    try:
        app(args=list(arguments) if arguments is not None else sys.argv[1:], prog_name="polyport")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0
