"""Write a row whether it is there or not, on every database alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, insert, update

from gateway.storage.engine import AsyncConnection


async def upsert(
    connection: AsyncConnection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Update the row that has ``key``, or insert it. Safe because one server has the database."""
    conditions = [table.c[name] == value for name, value in key.items()]
    changed = await connection.execute(update(table).where(*conditions).values(**values))
    if not changed.rowcount:
        await connection.execute(insert(table).values(**key, **values))
