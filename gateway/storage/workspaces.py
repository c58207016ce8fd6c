"""Tables of workspaces: the record, who may use it, and its secret environment variables."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Double,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    delete,
    select,
)

from gateway.storage.database import Database
from gateway.storage.engine import AsyncConnection
from gateway.storage.events import workspace_events
from gateway.storage.metadata import metadata
from gateway.storage.rows import StoredMember, StoredWorkspace
from gateway.storage.upsert import upsert

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("creator", String(255), nullable=False, index=True),
    Column("record", JSON, nullable=False),
    Column("bookmarks", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)
"""``record`` is what readers may see; times are Unix seconds."""

workspace_members = Table(
    "workspace_members",
    metadata,
    Column("workspace", ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("subject", String(255), primary_key=True, index=True),
    Column("permission", String(16), nullable=False),
    Column("added_by", String(255), nullable=False),
    Column("added_at", Double, nullable=False),
)
"""``kind`` says what ``subject`` is: a user's id, an e-mail address or a role."""

workspace_environment = Table(
    "workspace_environment",
    metadata,
    Column("workspace", ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)


class WorkspaceRepository:
    """Reads and writes what is kept of workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[StoredWorkspace]:
        """All workspaces."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(workspaces))
            found = {
                row.id: StoredWorkspace(
                    row.id, row.creator, row.record, row.bookmarks, row.created_at
                )
                for row in rows
            }
            for row in await connection.execute(select(workspace_members)):
                member = StoredMember(row.kind, row.subject, row.permission)
                found[row.workspace].members.append(member)
            for row in await connection.execute(select(workspace_environment)):
                found[row.workspace].environment[row.name] = row.sealed
        return list(found.values())

    async def save(self, workspace: StoredWorkspace, *, now: float) -> None:
        """Write the record, without members and environment."""
        async with self._database.transaction() as connection:
            await _save(connection, workspace, now)

    async def delete(self, workspace: str) -> None:
        """Forget a workspace with its members, environment and log."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(workspaces).where(workspaces.c.id == workspace))
            await connection.execute(
                delete(workspace_events).where(workspace_events.c.workspace == workspace)
            )

    async def put_member(
        self, workspace: StoredWorkspace, member: StoredMember, *, added_by: str, now: float
    ) -> None:
        """Add a member, or change what one may do."""
        async with self._database.transaction() as connection:
            await _save(connection, workspace, now)
            await upsert(
                connection,
                workspace_members,
                {"workspace": workspace.id, "kind": member.kind, "subject": member.subject},
                {"permission": member.permission, "added_by": added_by, "added_at": now},
            )

    async def remove_member(
        self, workspace: StoredWorkspace, kind: str, subject: str, *, now: float
    ) -> None:
        """Remove a member."""
        rows = workspace_members.c
        async with self._database.transaction() as connection:
            await _save(connection, workspace, now)
            await connection.execute(
                delete(workspace_members).where(
                    rows.workspace == workspace.id, rows.kind == kind, rows.subject == subject
                )
            )

    async def put_variable(
        self, workspace: StoredWorkspace, name: str, sealed: bytes, *, now: float
    ) -> None:
        """Set an environment variable."""
        async with self._database.transaction() as connection:
            await _save(connection, workspace, now)
            key = {"workspace": workspace.id, "name": name}
            await upsert(connection, workspace_environment, key, {"sealed": sealed})

    async def remove_variable(self, workspace: str, name: str) -> None:
        """Remove an environment variable."""
        rows = workspace_environment.c
        async with self._database.transaction() as connection:
            await connection.execute(
                delete(workspace_environment).where(rows.workspace == workspace, rows.name == name)
            )


async def _save(connection: AsyncConnection, workspace: StoredWorkspace, now: float) -> None:
    values = {
        "creator": workspace.creator,
        "record": workspace.record,
        "bookmarks": workspace.bookmarks,
        "created_at": workspace.created_at,
        "updated_at": now,
    }
    await upsert(connection, workspaces, {"id": workspace.id}, values)
