"""The commands ``polyport login`` and ``polyport logout``: at a gateway, for the commands that use
one, or at an MCP endpoint, for ``polyport stdio``."""

from __future__ import annotations

import asyncio
import importlib
import time
from typing import Annotated, Any, Final
from urllib.parse import urldefrag, urlsplit

import typer

from gateway.commands.asking import visible
from gateway.commands.endpoints import Url, endpoint_url
from gateway.commands.services import INTERRUPTED, LOCAL, Server, connected
from gateway.logins import browser
from gateway.logins.store import Entry, Grant, of_server
from gateway.settings import variable

CLIENT_SECRET_VARIABLE: Final = "POLYPORT_CLIENT_SECRET"  # noqa: S105 - the name of a variable
LOGIN_SECONDS: Final = 180
"""How long a gateway keeps a login open, unless its operator has changed that."""

Where = Annotated[
    str | None,
    typer.Argument(
        metavar="[WORKSPACE[/SERVICE]|URL]",
        help="An MCP endpoint, or the address of a gateway; default: the gateway at --server.",
    ),
]
ClientId = Annotated[
    str | None,
    typer.Option(
        "--client-id",
        help="OAuth client as registered there, or the URL of its metadata; default: register.",
    ),
]
ClientSecret = Annotated[
    str,
    typer.Option("--client-secret-env", metavar="VARIABLE", help="Variable with its secret."),
]
CallbackPort = Annotated[
    int, typer.Option("--callback-port", help="Where the browser comes back to; 0 picks one.")
]


def login(
    target: Where = None,
    url: Url = None,
    client_id: ClientId = None,
    client_secret_env: ClientSecret = CLIENT_SECRET_VARIABLE,
    callback_port: CallbackPort = 0,
    server: Server = LOCAL,
) -> None:
    """Log in in the browser, and keep the token: at the gateway, for commands like services and
    call, or at the MCP endpoint that is named, for stdio."""
    endpoint, server = _where(target, url, server)
    if endpoint is None:
        _log_in_at_gateway(server)
        return
    logins = importlib.import_module("mcp_bridge.login")
    found = login_at(endpoint, client_id, variable(client_secret_env), callback_port)
    try:
        asyncio.run(found.renew(logins.Refused(), found.token()))
    except logins.LoginFailed as failure:
        typer.echo(f"Error: {failure}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"You are logged in to {endpoint}")


def logout(target: Where = None, url: Url = None, server: Server = LOCAL) -> None:
    """Forget what login has kept, and have the server refuse it from now on."""
    endpoint, server = _where(target, url, server)
    where = of_server(server) if endpoint is None else urldefrag(endpoint).url
    entry = Entry(where)
    grant = _kept(entry)
    if grant is None:
        typer.echo(f"Nobody is logged in to {where}", err=True)
        return
    entry.remove()
    typer.echo(f"You are logged out of {where}")
    if not grant.has_expired or grant.can_be_renewed:
        _revoke(grant, is_gateway=endpoint is None)


def login_at(url: str, client_id: str | None, secret: str | None, port: int) -> Any:
    """The login of this machine's user at an MCP endpoint."""
    logins = importlib.import_module("mcp_bridge.login")
    identity = logins.Identity(client_id, secret, port)
    endpoint = urldefrag(url).url
    return logins.Login(endpoint, Entry(endpoint), _tell, identity=identity)


def _where(target: str | None, url: str | None, server: str) -> tuple[str | None, str]:
    """The MCP endpoint that is meant, or None and the gateway. An address may stand in place of the
    target: with a path it is an endpoint's, without one a gateway's."""
    if target is not None and target.startswith(("http://", "https://")) and url is None:
        has_path = urlsplit(target).path not in ("", "/")
        return (target, server) if has_path else (None, target)
    if target is None and url is None:
        return None, server
    return endpoint_url(target, url, server), server


def _log_in_at_gateway(server: str) -> None:
    """By the login service that hypha-rpc's ``login`` uses."""
    path = ("public", "services", "hypha-login")
    with connected(server, "") as client:
        begun = next(client.request("POST", (*path, "start"), json_body={}))
        _show(str(begun["login_url"]))
        asked = {"key": begun["key"], "timeout": LOGIN_SECONDS, "profile": True}
        patience = LOGIN_SECONDS + 30.0
        found = next(
            client.request("POST", (*path, "check"), json_body=asked, wait_seconds=patience)
        )
    record = {
        "current_tokens": {"access_token": found["token"]},
        "token_expiry_time": time.time() + float(found["expires_in"]),
    }
    where = of_server(server)
    try:
        Entry(where).write(Grant(where, record))
    except OSError as error:
        typer.echo(f"Error: The login cannot be kept: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"You are logged in to {server} as {visible(found.get('email') or found['user_id'])}"
    )


def _show(url: str) -> None:
    if url.startswith(("http://", "https://")) and browser.has_browser():
        _tell(f"Log in in your browser, or open {url}")
        browser.open_page(url)
    else:
        _tell(f"To log in, open {url}")


def _revoke(grant: Grant, *, is_gateway: bool) -> None:
    """As far as the server is there, and can."""
    from gateway.commands.revoking import revoke_client, revoke_token  # noqa: PLC0415 - loads httpx

    refused = revoke_token(grant) if is_gateway else revoke_client(grant)
    if refused:
        _tell(f"The server still takes the token until it expires: {refused}")


def _kept(entry: Entry) -> Grant | None:
    try:
        return entry.read()
    except OSError as error:
        typer.echo(f"Error: The login cannot be read: {error}", err=True)
        raise typer.Exit(1) from None


def _tell(line: str) -> None:
    typer.echo(visible(line), err=True)
