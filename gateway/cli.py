"""The command ``polyport``: which words start what. The commands are in ``gateway.commands``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gateway import __version__
from gateway.commands.admin import rotate_admin
from gateway.commands.checking import check
from gateway.commands.keys import app as keys
from gateway.commands.login import login, logout
from gateway.commands.mcp import connect, stdio
from gateway.commands.options import SettingsCommand, with_settings
from gateway.commands.servers import list_servers
from gateway.commands.services import (
    INTERRUPTED,
    audit,
    call,
    describe,
    list_services,
    openapi,
    token,
)
from gateway.settings import Settings
from schema.errors import InvalidRequest

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
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="And exit.", metavar=""
        ),
    ] = False,
) -> None:
    """One service gateway with three doors: websocket RPC, HTTP and MCP."""


def _serve(settings: Settings) -> int:
    """Start the gateway."""
    # What the imports make stays: the collector would walk over it again and again, for nothing,
    # until the server is ready. The other commands need neither it nor the time that this takes.
    gc.disable()
    try:
        from gateway.commands.serving import run  # noqa: PLC0415

        # Nor need the one collection before the server is ready walk over it: hardly anything of it
        # is garbage.
        gc.freeze()
        return run(settings)
    finally:
        gc.enable()


def _rotate(settings: Settings) -> int:
    """Make a new signing key for the next start. Tokens of the last three stay good."""
    from gateway.auth.keys import rotate  # noqa: PLC0415

    try:
        rotate(settings)
    except (OSError, InvalidRequest) as error:
        typer.echo(f"The signing key was not changed: {error}", err=True)
        return 1
    typer.echo("A new signing key is used from the next start.")
    return 0


_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.", metavar="")]

app.command("serve", cls=SettingsCommand)(with_settings(_serve))
app.command("check-config", cls=SettingsCommand)(with_settings(check, as_json=_JSON))
app.command("services")(list_services)
app.command("servers")(list_servers)
app.command("describe")(describe)
app.command("call")(call)
app.command("openapi")(openapi)
app.command("token")(token)
app.command("audit")(audit)
app.add_typer(keys, name="keys")
app.command("rotate-key", cls=SettingsCommand)(with_settings(_rotate))
app.command("rotate-admin", cls=SettingsCommand)(with_settings(rotate_admin))
app.command("connect")(connect)
app.command("login")(login)
app.command("logout")(logout)
app.command("stdio")(stdio)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    given = list(arguments) if arguments is not None else sys.argv[1:]
    try:
        code = app(args=given, prog_name="polyport", standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        # What the command line itself finds wrong has this method and that number.
        if not hasattr(error, "format_message"):
            raise
        if text := " ".join(error.format_message().split()):  # with none, help has been printed
            typer.echo(f"Error: {text}", err=True)
        return int(getattr(error, "exit_code", 2))
    return code if isinstance(code, int) else int(code is not None)
