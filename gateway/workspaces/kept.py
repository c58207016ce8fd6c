"""What the server keeps of workspaces and for them, put together."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.auth.audit import AuditLog
from gateway.auth.blocks import Blocks
from gateway.settings import Settings
from gateway.storage.audit import AuditRepository
from gateway.storage.blocks import BlockRepository
from gateway.storage.database import Database
from gateway.storage.events import EventRepository
from gateway.storage.sealing import SealedBox
from gateway.storage.workspaces import WorkspaceRepository
from gateway.workspaces.contents import Contents
from gateway.workspaces.event_log import EventLog
from gateway.workspaces.records import reserved_names
from gateway.workspaces.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class Kept:
    """The parts that outlive the process, unless the server is to keep nothing."""

    workspaces: Workspaces
    contents: Contents
    events: EventLog
    blocks: Blocks
    audit: AuditLog

    async def load(self) -> None:
        """Read what earlier processes have kept."""
        await self.workspaces.load()
        await self.blocks.load()

    async def close(self) -> None:
        """Wait for what is still being written."""
        await self.workspaces.close()
        await self.events.close()
        await self.audit.close()


def kept_in(database: Database, settings: Settings, box: SealedBox) -> Kept:
    """The parts on a database; an ephemeral server does without one."""
    repository = None if settings.ephemeral else WorkspaceRepository(database)
    workspaces = Workspaces(
        repository,
        max_per_user=settings.max_workspaces_per_user,
        reserved=reserved_names(settings),
    )
    return Kept(
        workspaces,
        Contents(workspaces, box, repository),
        EventLog(None if settings.ephemeral else EventRepository(database)),
        Blocks(None if settings.ephemeral else BlockRepository(database)),
        AuditLog(
            None if settings.ephemeral else AuditRepository(database),
            arguments=settings.audit_arguments,
            retention_seconds=settings.audit_retention_seconds,
            with_calls=settings.audit_calls,
        ),
    )
