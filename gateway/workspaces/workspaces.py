"""Records of workspaces: who owns them and what they keep. In memory; decides nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from schema.errors import Conflict, InvalidRequest, WorkspaceNotFound
from schema.identity import (
    ANONYMOUS_PREFIX,
    ANONYMOUS_WORKSPACE,
    Scope,
    User,
    personal_workspace,
)

ROOT_WORKSPACE: Final = "ws-user-root"
PUBLIC_WORKSPACE: Final = "public"
MAX_WORKSPACES_PER_USER: Final = 100

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_RESERVED_PREFIXES: Final = ("ws-user-", "ws-anonymous")


@dataclass(slots=True)
class Workspace:
    """One workspace. ``environment`` and ``bookmarks`` are not part of what others may read."""

    id: str
    name: str
    description: str = ""
    owners: list[str] = field(default_factory=list)
    persistent: bool = False
    read_only: bool = False
    icon: str | None = None
    covers: Any = None
    docs: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    service_types: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    bookmarks: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def to_wire(self) -> dict[str, Any]:
        """The record as any reader of the workspace may see it."""
        return {
            "type": "workspace",
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "persistent": self.persistent,
            "owners": list(self.owners),
            "read_only": self.read_only,
            "icon": self.icon,
            "covers": self.covers,
            "docs": self.docs,
            "service_types": self.service_types,
            "config": dict(self.config),
            "status": {"ready": True},
        }


class Workspaces:
    """All workspaces by id."""

    def __init__(self) -> None:
        self._records: dict[str, Workspace] = {}
        for name in (ROOT_WORKSPACE, PUBLIC_WORKSPACE, ANONYMOUS_WORKSPACE):
            self._records[name] = Workspace(name, name, owners=["root"], persistent=True)

    def get(self, workspace: str) -> Workspace | None:
        return self._records.get(workspace)

    def require(self, workspace: str) -> Workspace:
        """Raises WorkspaceNotFound."""
        record = self._records.get(workspace)
        if record is None:
            raise WorkspaceNotFound(f"Workspace {workspace} does not exist or is not accessible")
        return record

    def all(self) -> list[Workspace]:
        return sorted(self._records.values(), key=lambda w: w.id)

    def restore(self, workspace: str, granted: Scope) -> None:
        """Make a personal workspace again that somebody holds a signed grant for: a grant outlives
        the record when the server restarts, or when nobody was there for a while."""
        prefix = personal_workspace("")
        if (
            workspace not in self._records
            and workspace.startswith(prefix)
            and granted.permission_on(workspace) is not None
        ):
            owner = workspace.removeprefix(prefix)
            self.ensure_personal(User(owner, is_anonymous=owner.startswith(ANONYMOUS_PREFIX)))

    def ensure_personal(self, user: User) -> Workspace:
        """The user's own workspace, made at first use."""
        name = personal_workspace(user.id)
        record = self._records.get(name)
        if record is None:
            record = Workspace(name, name, owners=[user.id], persistent=not user.is_anonymous)
            self._records[name] = record
        return record

    def create(self, config: dict[str, Any], owner: User, *, overwrite: bool = False) -> Workspace:
        """Make a workspace that ``owner`` owns alone.

        Raises InvalidRequest (name), Conflict (exists, or too many).
        """
        name = check_workspace_name(config.get("id") or config.get("name"))
        existing = self._records.get(name)
        if existing is not None and not overwrite:
            raise Conflict(f"Workspace already exists: {name}")
        owned = sum(owner.effective_id in w.owners for w in self._records.values())
        if existing is None and owned >= MAX_WORKSPACES_PER_USER:
            raise Conflict(f"A user can own at most {MAX_WORKSPACES_PER_USER} workspaces")
        record = Workspace(
            id=name,
            name=_text(config.get("name")) or name,
            description=_text(config.get("description")),
            owners=existing.owners if existing else [owner.effective_id],
            persistent=bool(config.get("persistent")),
            read_only=bool(config.get("read_only")),
            icon=config.get("icon"),
            covers=config.get("covers"),
            docs=config.get("docs"),
        )
        self._records[name] = record
        return record

    def delete(self, workspace: str) -> Workspace:
        """Raises WorkspaceNotFound; InvalidRequest for one that belongs to the server."""
        record = self.require(workspace)
        if workspace in (ROOT_WORKSPACE, PUBLIC_WORKSPACE, ANONYMOUS_WORKSPACE):
            raise InvalidRequest(f"Workspace {workspace} cannot be deleted")
        del self._records[workspace]
        return record

    def is_blank(self, workspace: str) -> bool:
        """Nothing would be lost with the record."""
        record = self._records.get(workspace)
        return record is None or not (
            record.environment or record.service_types or record.bookmarks or record.events
        )

    def forget(self, workspace: str) -> None:
        """Drop the record of a workspace that was never meant to last."""
        self._records.pop(workspace, None)

    def is_owner(self, user: User, workspace: str) -> bool:
        """A user owns their personal workspace and those that list them."""
        if workspace == personal_workspace(user.id):
            return True
        record = self._records.get(workspace)
        return record is not None and user.id in record.owners


def check_workspace_name(name: object) -> str:
    """A name that a user may give. Raises InvalidRequest and says what is wrong with it."""
    if not isinstance(name, str) or not 3 <= len(name) <= 64 or not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid workspace name {name!r}: 3 to 64 lower-case letters, digits and single "
            "hyphens, with at least one hyphen inside"
        )
    if name.startswith(_RESERVED_PREFIXES):
        raise InvalidRequest(f"Workspace name {name!r} is reserved")
    return name


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
