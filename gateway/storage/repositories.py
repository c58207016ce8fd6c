"""The repositories of what is read at the start; none on a server that keeps nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.settings import Settings
from gateway.storage.database import Database

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.api_keys import ApiKeyRepository
    from gateway.storage.audit import AuditRepository
    from gateway.storage.blocks import BlockRepository
    from gateway.storage.events import EventRepository
    from gateway.storage.function_access import FunctionAccessRepository
    from gateway.storage.revocations import RevocationRepository
    from gateway.storage.upstreams import UpstreamRepository
    from gateway.storage.workspaces import WorkspaceRepository


@dataclass(frozen=True, slots=True)
class Repositories:
    """Each is None if the server is to keep nothing."""

    api_keys: ApiKeyRepository | None = None
    audit: AuditRepository | None = None
    blocks: BlockRepository | None = None
    events: EventRepository | None = None
    functions: FunctionAccessRepository | None = None
    revocations: RevocationRepository | None = None
    upstreams: UpstreamRepository | None = None
    workspaces: WorkspaceRepository | None = None


def storage_of(settings: Settings) -> tuple[Database, Repositories]:
    """The database, not open, and what reads and writes it."""
    database = Database(settings)
    if settings.ephemeral:
        return database, Repositories()
    # An ephemeral server does without the database library: a fifth of its start.
    from gateway.storage.api_keys import ApiKeyRepository  # noqa: PLC0415
    from gateway.storage.audit import AuditRepository  # noqa: PLC0415
    from gateway.storage.blocks import BlockRepository  # noqa: PLC0415
    from gateway.storage.events import EventRepository  # noqa: PLC0415
    from gateway.storage.function_access import FunctionAccessRepository  # noqa: PLC0415
    from gateway.storage.revocations import RevocationRepository  # noqa: PLC0415
    from gateway.storage.upstreams import UpstreamRepository  # noqa: PLC0415
    from gateway.storage.workspaces import WorkspaceRepository  # noqa: PLC0415

    stored = Repositories(
        api_keys=ApiKeyRepository(database),
        audit=AuditRepository(database),
        blocks=BlockRepository(database),
        events=EventRepository(database),
        functions=FunctionAccessRepository(database),
        revocations=RevocationRepository(database),
        upstreams=UpstreamRepository(database),
        workspaces=WorkspaceRepository(database),
    )
    return database, stored
