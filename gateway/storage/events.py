"""The table of the logs of workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    delete,
    insert,
    select,
)

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import StoredEvent

workspace_events = Table(
    "workspace_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("workspace", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("event_type", String(255), nullable=False),
    Column("time", Double, nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "workspace", "user_id", "number"),
)
"""``number`` is their order."""


class EventRepository:
    """Writes and reads the logs of workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, events: Sequence[StoredEvent]) -> None:
        """Add events, in order."""
        async with self._database.transaction() as connection:
            await connection.execute(insert(workspace_events), [asdict(event) for event in events])

    async def trim(self, workspace: str, keep: int) -> None:
        """Forget all but the newest ``keep`` events of a workspace."""
        rows = workspace_events.c
        newest = (
            select(rows.number)
            .where(rows.workspace == workspace)
            .order_by(rows.number.desc())
            .offset(keep)
            .limit(1)
        )
        async with self._database.transaction() as connection:
            oldest = await connection.scalar(newest)
            if oldest is not None:
                await connection.execute(
                    delete(workspace_events).where(
                        rows.workspace == workspace, rows.number <= oldest
                    )
                )

    async def find(
        self,
        workspace: str,
        user_id: str,
        event_type: str | None,
        start: float | None,
        end: float | None,
    ) -> list[StoredEvent]:
        """Events of a user in a workspace, oldest first; the bounds belong to the range."""
        rows = workspace_events.c
        query = (
            select(workspace_events)
            .where(rows.workspace == workspace, rows.user_id == user_id)
            .order_by(rows.number)
        )
        if event_type is not None:
            query = query.where(rows.event_type == event_type)
        if start is not None:
            query = query.where(rows.time >= start)
        if end is not None:
            query = query.where(rows.time <= end)
        async with self._database.transaction() as connection:
            found = await connection.execute(query)
        return [
            StoredEvent(row.id, row.workspace, row.user_id, row.event_type, row.time, row.data)
            for row in found
        ]
