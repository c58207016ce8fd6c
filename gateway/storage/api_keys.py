"""The table of API keys. The keys themselves are not in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import JSON, Column, Double, Index, String, Table, delete, insert, select, update

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import StoredKey

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("email", String(255)),
    Column("workspace", String(255), nullable=False),
    Column("permission", String(16), nullable=False),
    Column("functions", JSON),
    Column("made_with", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("last_used_at", Double),
    Index(None, "workspace"),
)


class ApiKeyRepository:
    """Reads and writes API keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[StoredKey]:
        """All of them, the oldest first."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(api_keys).order_by(api_keys.c.created_at))
        return [StoredKey(**row) for row in rows.mappings()]

    async def add(self, key: StoredKey) -> None:
        """Keep a new one."""
        async with self._database.transaction() as connection:
            await connection.execute(insert(api_keys).values(**asdict(key)))

    async def remove(self, key_id: str) -> None:
        """Forget one."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(api_keys).where(api_keys.c.id == key_id))

    async def note_uses(self, used_at: Mapping[str, float]) -> None:
        """Write when keys were used last."""
        async with self._database.transaction() as connection:
            for key_id, time in used_at.items():
                await connection.execute(
                    update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=time)
                )
