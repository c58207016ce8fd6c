"""The command for those who manage MCP servers and APIs behind a gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.commands.asking import visible
from gateway.commands.services import LOCAL, Json, Server, Token, connected, print_json, print_table

_LIST = ("public", "services", "mcp-servers", "list")


def list_servers(
    workspace: Annotated[str, typer.Argument(help="Workspace that they are in.")] = "public",
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the MCP servers and APIs behind a workspace, how they are, and where to log in."""
    with connected(server, token) as client:
        found = next(client.request("POST", _LIST, json_body={"workspace": workspace}))
    if as_json:
        print_json(found)
        return
    rows = [(each["name"], each["kind"], each["state"], each["reason"] or "") for each in found]
    print_table(("name", "kind", "state", "why"), rows)
    for each in found:
        if "login_url" in each:
            typer.echo(visible(f"Log the gateway in to {each['name']} at {each['login_url']}"))
