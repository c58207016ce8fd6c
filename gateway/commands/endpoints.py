"""The MCP endpoint that a command is about."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from gateway.commands.services import misused

Target = Annotated[
    str | None,
    typer.Argument(metavar="[WORKSPACE[/SERVICE]]", help="A service, or a whole workspace."),
]
Url = Annotated[str | None, typer.Option("--url", help="URL of an MCP endpoint, instead.")]


def endpoint_url(target: str | None, url: str | None, server: str) -> str:
    """The MCP endpoint that is meant. Exits with 2 if none is, or two are."""
    if (target is None) == (url is None):
        misused("Name either WORKSPACE/SERVICE, or WORKSPACE, or --url URL")
    if url is not None:
        if not url.startswith(("http://", "https://")):
            misused(f"{url!r} is not an http or https URL")
        return url
    workspace, slash, service = (
        quote(part, safe=":@*.") for part in str(target).rstrip("/").partition("/")
    )
    path = f"{workspace}/mcp/{service}/mcp" if slash else f"{workspace}/mcp"
    return f"{server.rstrip('/')}/{path}"
