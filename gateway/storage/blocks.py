"""The table of users and addresses that are kept out."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Column, Double, String, Table, delete, select

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import StoredBlock
from gateway.storage.upsert import upsert

blocks = Table(
    "blocks",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("reason", String(1024), nullable=False),
    Column("blocked_by", String(255), nullable=False),
    Column("blocked_at", Double, nullable=False),
    Column("ends_at", Double),
)
"""``kind`` says what ``subject`` is: a user's id, or an IP address or network."""


class BlockRepository:
    """Reads and writes who is kept out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, now: float) -> list[StoredBlock]:
        """The blocks that have not ended; the others are forgotten."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(blocks).where(blocks.c.ends_at <= now))
            rows = await connection.execute(select(blocks).order_by(blocks.c.blocked_at))
        return [StoredBlock(**row) for row in rows.mappings()]

    async def put(self, block: StoredBlock) -> None:
        """Add a block, or change it."""
        values = asdict(block)
        key = {name: values.pop(name) for name in ("kind", "subject")}
        async with self._database.transaction() as connection:
            await upsert(connection, blocks, key, values)

    async def remove(self, kind: str, subject: str) -> None:
        """Forget a block."""
        async with self._database.transaction() as connection:
            await connection.execute(
                delete(blocks).where(blocks.c.kind == kind, blocks.c.subject == subject)
            )
