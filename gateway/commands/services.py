"""The commands that use a gateway: what it offers, how a function is described, what it returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.commands.asking import Listener, text_of, visible
from gateway.commands.description import function_lines
from gateway.logins.store import Entry, of_server

if TYPE_CHECKING:
    from gateway.commands.client import Client

Server = Annotated[
    str, typer.Option("--server", envvar="POLYPORT_SERVER", help="URL of the gateway.")
]
Token = Annotated[
    str | None, typer.Option("--token", envvar="POLYPORT_TOKEN", help="Token to identify with.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.", metavar="")]
Service = Annotated[str, typer.Argument(metavar="WORKSPACE/SERVICE", help="Id of the service.")]
LOCAL = "http://127.0.0.1:9527"
INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended (128 + SIGINT)."""


def list_services(
    workspace: Annotated[
        str | None, typer.Argument(help="Workspace to look into; without one: public.")
    ] = None,
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the services of a workspace that you may see."""
    known = token if token is not None else kept_token(server)
    with connected(server, known or "") as client:
        found = client.get(workspace or "public", "services")
    if as_json:
        print_json(found)
        return
    rows = [(s["id"], s["name"], s["type"], s["config"]["visibility"]) for s in found]
    print_table(("id", "name", "type", "visibility"), rows)
    if workspace is None:
        who = "your token may see" if known else "everybody may see"
        typer.echo(f"This is what {who} in the workspace public.", err=True)
        typer.echo("Another workspace: polyport services WORKSPACE", err=True)


def describe(
    service: Service, server: Server = LOCAL, token: Token = None, as_json: Json = False
) -> None:
    """Show what a service is, and what its functions take and return."""
    workspace, name = _parts(service)
    with connected(server, token) as client:
        info = client.get(workspace, "services", name)
    if as_json:
        print_json(info)
        return
    typer.echo(visible(f"{info['id']}  ({info['type']}, {info['config']['visibility']})"))
    for text in (info["name"], info.get("description")):
        if text:
            typer.echo(visible(text))
    for line in function_lines(info.get("service_schema")):
        typer.echo(visible(line))


def call(
    service: Service,
    function: Annotated[str, typer.Argument(help="Function, with dots for a nested one.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE...", help="Arguments; a value is JSON, or else text."),
    ] = None,
    server: Server = LOCAL,
    token: Token = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for an answer; default: no limit.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Call a function and print its result; the items of a stream as they come.

    What it tells meanwhile goes to standard error, and what it asks is asked here.
    """
    workspace, name = _parts(service)
    given = dict(_argument(text) for text in arguments or [])
    path = (workspace, "services", name, function)
    with connected(server, token) as client:
        values = client.request(
            "POST", path, json_body=given, wait_seconds=timeout, listener=Listener(client)
        )
        if sys.stdout.isatty() and not as_json:
            _show_coming(values)
            return
        for value in values:
            typer.echo(text_of(value, as_json=as_json))


def openapi(
    service: Annotated[
        str, typer.Argument(metavar="WORKSPACE[/SERVICE]", help="A workspace, or one service.")
    ],
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print the OpenAPI document of a workspace or a service. It is JSON in any case."""
    workspace, _, name = service.partition("/")
    path = (workspace, "services", name) if name else (workspace,)
    with connected(server, token) as client:
        print_json(client.get(*path, "openapi.json"))


def token(
    workspace: Annotated[str, typer.Argument(help="Workspace that the token is for.")],
    permission: Annotated[str, typer.Option(help="read, read_write or admin.")] = "read_write",
    expires_in: Annotated[float, typer.Option(help="Life in seconds.")] = 3600.0,
    client_id: Annotated[str | None, typer.Option(help="Bind it to this client.")] = None,
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make a token for a workspace that you administrate."""
    config: dict[str, Any] = {
        "workspace": workspace,
        "permission": permission,
        "expires_in": expires_in,
    }
    if client_id is not None:
        config["client_id"] = client_id
    with connected(server, token) as client:
        made = client.manage(workspace, "generate_token", {"config": config})
    typer.echo(json.dumps({"token": made}) if as_json else made)


def audit(
    workspace: Annotated[str, typer.Argument(help="Workspace whose audit log is printed.")],
    server: Server = LOCAL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print the audit log of a workspace as JSON lines (in any case), the newest entries first."""
    before: int | None = None
    with connected(server, token) as client:
        while True:
            named = {"workspace": workspace, "before": before, "limit": 1000}
            entries = client.manage(workspace, "get_audit_log", named)
            for entry in entries:
                typer.echo(json.dumps(entry))
            if len(entries) < 1000:
                return
            before = entries[-1]["number"]


@contextmanager
def connected(server: str, token: str | None) -> Iterator[Client]:
    """A client, with the token of the user's login if none is given (None); what goes wrong with it
    is one line and an exit code."""
    # `polyport serve` should not wait for an HTTP client to load.
    from gateway.commands.client import Client, Failed  # noqa: PLC0415

    client = Client(server, token if token is not None else kept_token(server))
    try:
        yield client
    except Failed as error:
        typer.echo(f"Error: {visible(str(error))}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    finally:
        client.close()


def kept_token(server: str) -> str | None:
    """The token that ``polyport login`` has kept for a gateway, while it is good."""
    try:
        grant = Entry(of_server(server)).read()
    except OSError:
        return None  # without a place for it there is none
    if grant is not None and grant.has_expired:
        typer.echo(
            f"Your login to {server} has expired; log in again with: polyport login", err=True
        )
        return None
    return grant.access_token if grant is not None else None


def misused(text: str) -> NoReturn:
    """End with what is wrong with the words of the command line."""
    typer.echo(f"Error: {text}", err=True)
    raise typer.Exit(2)


def _parts(service: str) -> tuple[str, str]:
    workspace, _, name = service.partition("/")
    if not workspace or not name:
        misused(f"{service!r} is not of the form WORKSPACE/SERVICE")
    return workspace, name


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        misused(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _show_coming(values: Iterator[Any]) -> None:
    """Print values on a terminal as they come, above a line that says how many there are."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False)
    with console.status("Waiting for an answer") as status:
        for number, value in enumerate(values, start=1):
            console.out(visible(text_of(value)), highlight=False)
            status.update(f"{number} received")


def print_json(value: Any) -> None:
    """JSON as the commands print it."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, whole: str | None = None
) -> None:
    """``whole`` is the column whose cells stay on one line, to be copied."""
    # rich is slow to load, and nothing else needs it.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title == whole)
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))
    Console().print(table)
