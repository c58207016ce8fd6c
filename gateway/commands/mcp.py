"""The commands for MCP clients: be a local server for one, and tell one of an endpoint.

What they do is in the MCP door, which is loaded by name, as it is when the server starts.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.commands.endpoints import Target, Url, endpoint_url
from gateway.commands.login import (
    CLIENT_SECRET_VARIABLE,
    CallbackPort,
    ClientId,
    ClientSecret,
    login_at,
)
from gateway.commands.services import LOCAL, Json, Server, Token, misused
from gateway.settings import TOKEN_VARIABLE, variable


def stdio(  # noqa: PLR0913 - each is a word of the command line
    target: Target = None,
    url: Url = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="NAME=VALUE", help="Sent along.")
    ] = None,
    token_env: Annotated[
        str, typer.Option("--token-env", metavar="VARIABLE", help="Variable with the token.")
    ] = TOKEN_VARIABLE,
    mcp_config: Annotated[
        Path | None,
        typer.Option(
            "--mcp-config", help="Offer the MCP servers and APIs of this file; no gateway needed."
        ),
    ] = None,
    service: Annotated[
        str | None, typer.Option("--service", help="Of the file, this one alone.")
    ] = None,
    client_id: ClientId = None,
    client_secret_env: ClientSecret = CLIENT_SECRET_VARIABLE,
    callback_port: CallbackPort = 0,
    no_login: Annotated[
        bool,
        typer.Option("--no-login", help="Ask nobody to log in, whoever wants a token.", metavar=""),
    ] = False,
    server: Server = LOCAL,
    token: Token = None,
) -> None:
    """Be an MCP server over standard input and output, and relay to an endpoint over HTTP.

    For clients that start local programs only. If the endpoint wants a login, and there is no
    token, a browser is opened.
    """
    bridge = importlib.import_module("mcp_bridge.stdio")
    if mcp_config is not None:
        if target is not None or url is not None:
            misused("Name either an endpoint or --mcp-config")
        path = f"/public/mcp/{quote(service, safe='')}/mcp" if service else "/public/mcp"
        arguments = ["--mcp-config", str(mcp_config.resolve())]
        raise typer.Exit(bridge.serve(bridge.LocalGateway(arguments, path)))
    headers = dict(map(_header, header or []))
    secret = token if token is not None else variable(token_env)
    if secret:
        headers["authorization"] = f"Bearer {secret}"
    where = endpoint_url(target, url, server)
    login = None
    if "authorization" not in headers and not no_login:
        login = login_at(where, client_id, variable(client_secret_env), callback_port)
    remote = bridge.Remote(where, headers, f"--token or the variable {token_env}", login)
    raise typer.Exit(bridge.serve(remote))


def connect(  # noqa: PLR0913 - each is a word of the command line
    client: Annotated[
        str | None, typer.Argument(help="Which client; without one they are listed.")
    ] = None,
    target: Target = None,
    url: Url = None,
    name: Annotated[
        str | None, typer.Option(help="Of the server in the client; default: the service's.")
    ] = None,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Have the client send a token.", metavar="")
    ] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Add it to the client's file, instead of printing.", metavar=""
        ),
    ] = False,
    server: Server = LOCAL,
    as_json: Json = False,
) -> None:
    """Show the configuration that connects an MCP client, or write it to the client's file."""
    known = importlib.import_module("mcp_bridge.connect.configurations")
    if client is None:
        names = list(known.CLIENTS)
        typer.echo(json.dumps(names) if as_json else "\n".join(names))
        return
    if client not in known.CLIENTS:
        misused(f"{client!r} is not known; there are: {', '.join(known.CLIENTS)}")
    where = endpoint_url(target, url, server)
    endpoint = known.Endpoint.of(
        name or (target or "polyport").rstrip("/").rpartition("/")[2].rpartition(":")[2],
        where,
        needs_token=with_token,
        program=_program(),
    )
    found = known.CLIENTS[client](endpoint)
    if write:
        typer.echo(f"Written to {_write(found)}")
        if found.blank:
            typer.echo(f"Put the token there, in place of {found.blank}")
    elif as_json:
        typer.echo(json.dumps(found.to_wire(), indent=2))
    else:
        _show(found)


def _program() -> tuple[str, ...]:
    """How a desktop program, which has no shell's path, starts this command line."""
    found = shutil.which("polyport") or shutil.which(str(Path(sys.executable).parent / "polyport"))
    return (found,) if found else (sys.executable, "-m", "gateway")


def _write(configuration: Any) -> Path:
    files = importlib.import_module("mcp_bridge.connect.files")
    try:
        file: Path = files.place(configuration, home=Path.home(), project=Path.cwd())
        files.write(configuration, file)
    except (files.NotWritten, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    return file


def _show(configuration: Any) -> None:
    if configuration.command:
        typer.echo(configuration.command)
    if configuration.content is not None:
        file = configuration.file
        if configuration.command:
            typer.echo("")
        if file:
            typer.echo(f"{'Or in' if configuration.command else 'In'} {file}:")
        typer.echo(configuration.text.rstrip())
    if configuration.note:
        typer.echo(f"\n{configuration.note}" if configuration.content else configuration.note)


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        name, equals, value = text.partition(":")
    if not name.strip() or not equals:
        misused(f"{text.partition('=')[0]!r} is not of the form NAME=VALUE")
    return name.strip().lower(), value.strip()
