"""The table of the audit log: rows are added and, when they are old enough, dropped; no row is ever
changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import AuditEntry

audit_log = Table(
    "audit_log",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("time", Double, nullable=False),
    Column("workspace", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("credential", String(128)),
    Column("door", String(16), nullable=False),
    Column("target", String(512), nullable=False),
    Column("function", String(255), nullable=False),
    Column("address", String(64)),
    Column("request_id", String(128)),
    Column("outcome", String(64), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("arguments", Text),
    Index(None, "workspace", "number"),
    Index(None, "time"),
)


class AuditRepository:
    """Appends to the audit log and reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries, in order."""
        async with self._database.transaction() as connection:
            await connection.execute(insert(audit_log), [asdict(entry) for entry in entries])

    async def drop_before(self, time: float) -> None:
        """Forget what is older."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(audit_log).where(audit_log.c.time < time))

    async def find(
        self, workspace: str | None, *, before: int | None, limit: int
    ) -> list[tuple[int, AuditEntry]]:
        """The newest entries first, each with its number; of one workspace, or of all."""
        rows = audit_log.c
        query = select(audit_log).order_by(rows.number.desc()).limit(limit)
        if workspace is not None:
            query = query.where(rows.workspace == workspace)
        if before is not None:
            query = query.where(rows.number < before)
        async with self._database.transaction() as connection:
            found = await connection.execute(query)
        return [(row.pop("number"), AuditEntry(**row)) for row in map(dict, found.mappings().all())]
