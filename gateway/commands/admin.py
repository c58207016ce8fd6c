"""The key of whoever runs the server: made at the first start, and anew by ``rotate-admin``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.app import Parts


async def first_admin_key(parts: Parts) -> str | None:
    """A key for who starts a server for the first time, so that somebody can administer it; None
    if something is kept already, nothing will be, or the operator has chosen a root token. The
    database is open. Raises StorageFailed."""
    settings = parts.settings
    if settings.ephemeral or settings.root_token is not None or not parts.database.is_new:
        return None
    return await parts.api_keys.rotate_admin()


def shown_once(key: str) -> str:
    """The line that tells the operator."""
    return (
        f"Administrator key: {key} (shown this once; it is a token with every right on this "
        "server; `polyport rotate-admin` makes another)"
    )


def rotate_admin(settings: Settings) -> int:
    """Make a new administrator key, in place of the earlier one. The server must be stopped."""
    # Nothing else of the command line needs a database.
    from gateway.storage.directory import StorageFailed  # noqa: PLC0415

    if settings.ephemeral:
        typer.echo("A server that keeps nothing has no administrator key", err=True)
        return 2
    try:
        key = asyncio.run(_rotated(settings))
    except StorageFailed as error:
        typer.echo(str(error), err=True)
        return 1
    typer.echo(shown_once(key))
    return 0


async def _rotated(settings: Settings) -> str:
    from gateway.auth.api_keys import ApiKeys  # noqa: PLC0415
    from gateway.auth.revocations import Revocations  # noqa: PLC0415
    from gateway.storage.api_keys import ApiKeyRepository  # noqa: PLC0415
    from gateway.storage.database import Database  # noqa: PLC0415
    from gateway.storage.revocations import RevocationRepository  # noqa: PLC0415

    database = Database(settings)
    try:
        await database.open()
        keys = ApiKeys(Revocations(RevocationRepository(database)), ApiKeyRepository(database))
        await keys.load()
        return await keys.rotate_admin()
    finally:
        await database.close()
