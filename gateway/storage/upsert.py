"""Write a row whether it is there or not, on every database alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table

from gateway.storage.engine import AsyncConnection


async def upsert(
    connection: AsyncConnection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Update the row that has ``key``, or insert it, in one statement: of two that do it at the
    same time neither fails. ``key`` names the columns of a primary key or a unique constraint."""
    # SQL has no common form for it; a driver's own is loaded with the driver.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415

        statement = insert(table).values(**key, **values)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[*key], set_=dict(values))
        )
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite  # noqa: PLC0415

        statement_sqlite = insert_sqlite(table).values(**key, **values)
        await connection.execute(
            statement_sqlite.on_conflict_do_update(index_elements=[*key], set_=dict(values))
        )
