"""The commands ``polyport keys``: list, make and revoke the API keys of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.commands.services import LOCAL, Json, Server, Token, connected, print_json, print_table

app = typer.Typer(help="List, make and revoke the API keys of a workspace.", no_args_is_help=True)

Workspace = Annotated[
    str | None, typer.Option(help="Whose keys; default: the workspace of the token.")
]


@app.command("list")
def list_keys(
    workspace: Workspace = None,
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the keys: what they are good for, and when they were used last."""
    found = _asked(server, token, "list_api_keys", workspace=workspace)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "permission", "functions", "expires", "last used"),
        [
            (
                key["id"],
                key["name"],
                key["permission"],
                "all" if key["functions"] is None else " ".join(key["functions"]),
                _day(key["expires_at"]),
                _day(key["last_used_at"]),
            )
            for key in found
        ],
        whole="id",
    )


@app.command("create")
def create(  # noqa: PLR0913 - a flag each
    name: Annotated[str, typer.Argument(help="Name to know it by in the list.")],
    permission: Annotated[str, typer.Option(help="read, read_write or admin.")] = "read",
    expires_in: Annotated[
        float | None, typer.Option(help="Life in seconds; default: until it is revoked.")
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVICE[/FUNCTION]", help="All that it may call; can be given many times."
        ),
    ] = None,
    workspace: Workspace = None,
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it. It is shown this once."""
    made = _asked(
        server,
        token,
        "generate_api_key",
        name=name,
        permission=permission,
        expires_in=expires_in,
        functions=function or None,
        workspace=workspace,
    )
    if as_json:
        print_json(made)
    else:
        typer.echo(made["key"])


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from the list.")],
    workspace: Workspace = None,
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Refuse a key from now on, with all that was made with it."""
    _asked(server, token, "revoke_api_key", key_id=key_id, workspace=workspace)
    if as_json:
        print_json({"revoked": key_id})
    else:
        typer.echo(f"{key_id} is revoked.")


def _asked(server: str, token: str | None, function: str, **named: Any) -> Any:
    """What the manager answers in the workspace of the token."""
    given = {name: value for name, value in named.items() if value is not None}
    with connected(server, token) as client:
        return client.manage(named.get("workspace") or "public", function, given)


def _day(seconds: float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
