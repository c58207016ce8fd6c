"""What the server keeps of workspaces and for them, put together."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.auth.audit import AuditLog
from gateway.auth.blocks import Blocks
from gateway.settings import Settings
from gateway.storage.repositories import Repositories
from gateway.storage.sealing import SealedBox
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


def kept_in(stored: Repositories, settings: Settings, box: SealedBox) -> Kept:
    """The parts, each on its repository."""
    workspaces = Workspaces(
        stored.workspaces,
        max_per_user=settings.max_workspaces_per_user,
        reserved=reserved_names(settings),
    )
    return Kept(
        workspaces,
        Contents(workspaces, box, stored.workspaces),
        EventLog(stored.events),
        Blocks(stored.blocks),
        AuditLog(
            stored.audit,
            arguments=settings.audit_arguments,
            retention_seconds=settings.audit_retention_seconds,
            with_calls=settings.audit_calls,
        ),
    )
