"""Tables of upstreams, and their repository: servers added at run time, tools as they were
approved, credentials of users.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    LargeBinary,
    String,
    Table,
    delete,
    select,
)

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import StoredPin, StoredServer
from gateway.storage.upsert import upsert

upstream_servers = Table(
    "upstream_servers",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("is_trusted", Boolean, nullable=False),
    Column("added_by", String(255), nullable=False),
    Column("added_at", Double, nullable=False),
)
"""``sealed`` is the entry as it was given; ``is_trusted`` tells that an operator gave it."""

upstream_pins = Table(
    "upstream_pins",
    metadata,
    Column("upstream", String(320), primary_key=True),
    Column("tool", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("definition", JSON, nullable=False),
    Column("approved_by", String(255)),
    Column("approved_at", Double, nullable=False),
)
"""``approved_by`` is null for a tool that was taken as it was when it was first seen."""

upstream_credentials = Table(
    "upstream_credentials",
    metadata,
    Column("upstream", String(320), primary_key=True),
    Column("user_id", String(255), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("set_at", Double, nullable=False),
)


class UpstreamRepository:
    """Reads and writes what is kept of upstreams."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def servers(self) -> list[StoredServer]:
        """All that were added at run time."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(upstream_servers))
            return [
                StoredServer(r.workspace, r.name, r.sealed, r.is_trusted, r.added_by) for r in rows
            ]

    async def put_server(self, server: StoredServer, *, now: float) -> None:
        """Add a server, or change its entry."""
        key = {"workspace": server.workspace, "name": server.name}
        values = {
            "sealed": server.sealed,
            "is_trusted": server.is_trusted,
            "added_by": server.added_by,
            "added_at": now,
        }
        async with self._database.transaction() as connection:
            await upsert(connection, upstream_servers, key, values)

    async def remove_server(self, workspace: str, name: str) -> None:
        """Forget a server with its pins and credentials."""
        key = f"{workspace}/{name}"
        rows = upstream_servers.c
        async with self._database.transaction() as connection:
            await connection.execute(
                delete(upstream_servers).where(rows.workspace == workspace, rows.name == name)
            )
            for table in (upstream_pins, upstream_credentials):
                await connection.execute(delete(table).where(table.c.upstream == key))

    async def pins(self, upstream: str) -> list[StoredPin]:
        """The approved tools of an upstream."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(
                select(upstream_pins).where(upstream_pins.c.upstream == upstream)
            )
            return [StoredPin(row.tool, row.digest, row.definition) for row in rows]

    async def put_pins(
        self, upstream: str, pins: Collection[StoredPin], *, approved_by: str | None, now: float
    ) -> None:
        """Approve tools as they are."""
        async with self._database.transaction() as connection:
            for pin in pins:
                key = {"upstream": upstream, "tool": pin.tool}
                values: Mapping[str, Any] = {
                    "digest": pin.digest,
                    "definition": pin.definition,
                    "approved_by": approved_by,
                    "approved_at": now,
                }
                await upsert(connection, upstream_pins, key, values)

    async def credential(self, upstream: str, user_id: str) -> bytes | None:
        """The sealed credential of a user."""
        rows = upstream_credentials.c
        query = select(rows.sealed).where(rows.upstream == upstream, rows.user_id == user_id)
        async with self._database.transaction() as connection:
            found: bytes | None = await connection.scalar(query)
            return found

    async def put_credential(
        self, upstream: str, user_id: str, sealed: bytes, *, now: float
    ) -> None:
        """Keep the credential of a user in place of the one before."""
        key = {"upstream": upstream, "user_id": user_id}
        async with self._database.transaction() as connection:
            await upsert(connection, upstream_credentials, key, {"sealed": sealed, "set_at": now})

    async def remove_credential(self, upstream: str, user_id: str) -> bool:
        """Forget it; False if there was none."""
        rows = upstream_credentials.c
        statement = delete(upstream_credentials).where(
            rows.upstream == upstream, rows.user_id == user_id
        )
        async with self._database.transaction() as connection:
            return bool((await connection.execute(statement)).rowcount)
