"""The flags of ``serve`` and ``check-config``: one for each setting, made from the settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from gateway.settings import Settings, mistakes

ACCEPTED: Final = frozenset({"--from-env", "--enable-mcp"})
"""Flags of Hypha that ask for what this server always does."""

PASSED_OVER: Final = frozenset(
    {
        "--server-id", "--reset-redis", "--migrate-database",
        "--cache-dir", "--enable-server-apps", "--in-docker",
        "--enable-s3", "--s3-admin-type", "--endpoint-url", "--endpoint-url-public",
        "--region-name", "--access-key-id", "--secret-access-key", "--workspace-bucket",
        "--enable-s3-proxy", "--s3-cleanup-period", "--enable-s3-for-anonymous-users",
        "--start-minio-server", "--minio-workdir", "--minio-port", "--minio-console-port",
        "--minio-root-user", "--minio-root-password", "--minio-version", "--mc-version",
        "--minio-file-system-mode", "--executable-path", "--triton-servers",
        "--enable-service-search", "--ollama-host", "--openai-base-url", "--openai-api-key",
        "--enable-a2a", "--disable-agent-skills", "--enable-k8s-worker",
        "--enable-terminal-worker", "--disable-ssl",
    }
)  # fmt: skip
"""Flags of Hypha for parts that this version does not have. The rest of a deployment works without
them, so the server starts, and says so."""

REFUSED: Final = frozenset(
    {
        "--redis-uri", "--enable-admin-terminal", "--interactive",
        "--enable-server",
    }
)  # fmt: skip
"""Flags of Hypha that whoever gives them relies on: for what is kept, or for who gets in."""

Run = Callable[..., int]


class SettingsCommand(TyperCommand):
    """A command whose list flags take all values that follow them, as in ``--static-mounts a b``.

    It has no positional arguments, so a word belongs to the flag in front of it.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        lists = {name for p in self.params if getattr(p, "multiple", False) for name in p.opts}
        return super().parse_args(ctx, spread(_supported(args), lists))


def spread(arguments: list[str], lists: set[str]) -> list[str]:
    """Arguments with the flag repeated in front of every value of a list: ``--a x y`` is
    ``--a x --a y``."""
    spread: list[str] = []
    flag: str | None = None
    for argument in arguments:
        name = argument.partition("=")[0]
        if argument.startswith("-"):
            flag = name if name in lists else None
            if argument != flag:
                spread.append(argument)
        elif flag is not None:
            spread += (flag, argument)
        else:
            spread.append(argument)
    return spread


def _supported(arguments: list[str]) -> list[str]:
    """Without the flags of Hypha that mean nothing here, and the words that belong to them."""
    kept: list[str] = []
    passing_over = False
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in REFUSED:
            typer.echo(f"{name} is not available in this version of Polyport.", err=True)
            raise typer.Exit(2)
        if name in PASSED_OVER:
            typer.echo(
                f"{name} is passed over: this version of Polyport has no such part.", err=True
            )
            passing_over = "=" not in argument
        elif not (passing_over and not argument.startswith("-")):
            passing_over = False
            if name not in ACCEPTED:
                kept.append(argument)
    return kept


def with_settings(run: Run, **more: Any) -> Callable[..., None]:
    """A command with a flag for every setting; it calls ``run`` with the settings, and ends with
    the exit code that comes back. ``more`` are annotations of further flags, false by default."""

    def command(**given: Any) -> None:
        extra = {name: given.pop(name) for name in more}
        values = {name: value for name, value in given.items() if value not in (None, [])}
        try:
            settings = Settings(**values)
        except ValidationError as error:
            for line in mistakes(error):
                typer.echo(line, err=True)
            raise typer.Exit(2) from None
        raise typer.Exit(run(settings, **extra))

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(name, keyword, default=None, annotation=_flag(field))
        for name, field in Settings.model_fields.items()
    ] + [
        inspect.Parameter(name, keyword, default=False, annotation=annotation)
        for name, annotation in more.items()
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = run.__doc__
    return command


_METAVARS: Final[dict[Any, str]] = {int: "INTEGER", int | None: "INTEGER", float: "NUMBER"}


def _flag(field: FieldInfo) -> Any:
    help = f"{field.description} [default: {shown(field.default)}]"
    if field.annotation is bool:  # it takes no value, so none is shown
        return Annotated[bool | None, typer.Option(help=help, show_default=False, metavar="")]
    if isinstance(field.default, tuple):
        return Annotated[
            list[str] | None, typer.Option(help=help, show_default=False, metavar="TEXT...")
        ]
    metavar = _METAVARS.get(field.annotation, "TEXT")
    return Annotated[str | None, typer.Option(help=help, show_default=False, metavar=metavar)]


def shown(value: Any) -> str:
    """A value of a setting as people read and write it; a secret is not shown."""
    if isinstance(value, SecretStr):
        return "**********"
    if isinstance(value, tuple) and value and isinstance(value[0], SecretStr):
        return shown(value[0])
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
