"""Bring a database up to date: make all tables in an empty one, run the migrations in an older one.

An empty database gets its tables from the definitions, which saves the import of alembic; a test
demands that the migrations lead to the same tables.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, inspect, text

from gateway.storage.directory import StorageFailed
from gateway.storage.engine import AsyncConnection

MIGRATIONS: Final = Path(__file__).with_name("migrations")
_REVISION: Final = re.compile(r"v(\d{4})_\w+\.py")
_VERSION_TABLE: Final = "alembic_version"


def head() -> str:
    """The newest revision: the highest number among the files ``v0001_what.py``."""
    files = (MIGRATIONS / "versions").iterdir()
    return max(match[1] for file in files if (match := _REVISION.fullmatch(file.name)))


async def bring_up_to_date(connection: AsyncConnection) -> bool:
    """Whether it was empty. Raises StorageFailed if it was written by a newer version."""
    return await connection.run_sync(_bring_up_to_date)


def _bring_up_to_date(connection: Connection) -> bool:
    revision = _revision_of(connection)
    newest = head()
    if revision == newest:
        return False
    if revision is None:
        # The parts, which it collects, import the database.
        from gateway.storage.tables import metadata  # noqa: PLC0415

        metadata.create_all(connection)
        connection.execute(
            text(f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY)")
        )
        connection.execute(
            text(f"INSERT INTO {_VERSION_TABLE} VALUES (:revision)").bindparams(revision=newest)  # noqa: S608
        )
    elif revision > newest:
        raise StorageFailed(
            f"The database was written by a newer version of Polyport (its revision is {revision}, "
            f"this version knows {newest}). Use that version, or restore a copy from before."
        )
    else:
        upgrade(connection, newest)
    return revision is None


def upgrade(connection: Connection, revision: str) -> None:
    """Run the migrations up to a revision."""
    # Few starts need it.
    from alembic import command  # noqa: PLC0415

    command.upgrade(alembic_config(connection), revision)


def alembic_config(connection: Connection) -> Any:
    """alembic's view of the packaged migrations, on an open connection."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608
    return found
