"""What users have allowed OAuth clients, a row for each, with the refresh token that is good."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from sqlalchemy import JSON, Column, Double, String, Table, delete, insert, select, update

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import StoredGrant

MAX_GRANTS_PER_USER: Final = 100

oauth_grants = Table(
    "oauth_grants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client", String(64), nullable=False),
    Column("user_id", String(255), nullable=False, index=True),
    Column("details", JSON, nullable=False),
    Column("refresh", String(64), nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)
"""``client`` and ``refresh`` are SHA-256 digests in hex; ``expires_at`` is in Unix seconds."""


class OAuthGrantRows:
    """Keeps the rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, grant: StoredGrant, now: float) -> list[str]:
        """Keep a grant, and drop what has expired and the user's oldest beyond what one may have.
        Returns the ids of those that were still good."""
        table = oauth_grants.c
        async with self._database.transaction() as connection:
            await connection.execute(delete(oauth_grants).where(table.expires_at <= now))
            oldest = (
                select(table.id)
                .where(table.user_id == grant.user_id)
                .order_by(table.expires_at.desc(), table.id)
                .offset(MAX_GRANTS_PER_USER - 1)
            )
            beyond = list((await connection.execute(oldest)).scalars())
            if beyond:
                await connection.execute(delete(oauth_grants).where(table.id.in_(beyond)))
            await connection.execute(insert(oauth_grants).values(**asdict(grant)))
        return beyond

    async def get(self, grant_id: str) -> StoredGrant | None:
        async with self._database.transaction() as connection:
            statement = select(oauth_grants).where(oauth_grants.c.id == grant_id)
            row = (await connection.execute(statement)).mappings().first()
        return None if row is None else StoredGrant(**row)

    async def rotate(self, grant_id: str, old: str, new: str, expires_at: float) -> bool:
        """Replace the refresh token. False if it is not the one that is good now: of two who use
        it at the same time one is refused."""
        table = oauth_grants.c
        statement = (
            update(oauth_grants)
            .where(table.id == grant_id, table.refresh == old)
            .values(refresh=new, expires_at=expires_at)
        )
        async with self._database.transaction() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def drop(self, grant_id: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(delete(oauth_grants).where(oauth_grants.c.id == grant_id))
