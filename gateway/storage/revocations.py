"""The table of tokens and keys that were revoked."""

from __future__ import annotations

from sqlalchemy import Column, Double, String, Table, delete, select

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.upsert import upsert

revocations = Table(
    "revocations",
    metadata,
    Column("token_id", String(128), primary_key=True),
    Column("until", Double, nullable=False),
)
"""Ids, not tokens: whoever reads the table has no credential by it."""


class RevocationRepository:
    """Keeps what is revoked; times are Unix seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, now: float) -> list[tuple[str, float]]:
        """Each id, and until when it may matter; what no longer does is forgotten."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(revocations).where(revocations.c.until <= now))
            rows = await connection.execute(select(revocations.c.token_id, revocations.c.until))
        return [(row.token_id, row.until) for row in rows]

    async def put(self, token_id: str, until: float) -> None:
        """Keep one."""
        async with self._database.transaction() as connection:
            await upsert(connection, revocations, {"token_id": token_id}, {"until": until})
