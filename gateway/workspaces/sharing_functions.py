"""Functions of the manager that are about who may use a workspace."""

from __future__ import annotations

from typing import Any, Literal

from gateway.workspaces.event_log import EventLog
from gateway.workspaces.reach import Reach
from gateway.workspaces.records import Subject, Workspace
from gateway.workspaces.workspaces import Workspaces
from schema.errors import InvalidRequest
from schema.identity import Caller, Permission


class SharingFunctions:
    """Share a workspace with users, e-mail addresses and roles."""

    def __init__(self, workspaces: Workspaces, reach: Reach, events: EventLog) -> None:
        self._reach = reach
        self._workspaces = workspaces
        self._events = events

    async def share_workspace(
        self,
        caller: Caller,
        workspace: str | None = None,
        user_id: str | None = None,
        email: str | None = None,
        role: str | None = None,
        permission: Literal["read", "read_write", "admin", "r", "rw", "a"] = "read",
    ) -> dict[str, Any]:
        """Let a user (by id or verified e-mail address) or everybody with a role use a workspace,
        with the permission read, read_write or admin. Shared again, the permission changes."""
        target = workspace or caller.workspace
        subject = Subject.read(user_id, email, role)
        granted = Permission.parse(permission)
        by = caller.user.effective_id
        record = await self._workspaces.share(target, subject, granted, by=by)
        entry = _entry(subject, granted)
        await self._log(caller, record, "workspace_shared", entry)
        return {"workspace": target, **entry}

    async def unshare_workspace(
        self,
        caller: Caller,
        workspace: str | None = None,
        user_id: str | None = None,
        email: str | None = None,
        role: str | None = None,
    ) -> None:
        """Take back what share_workspace gave. Whoever is connected by that is disconnected."""
        subject = Subject.read(user_id, email, role)
        record = await self._workspaces.unshare(workspace or caller.workspace, subject)
        await self._log(caller, record, "workspace_unshared", _entry(subject, None))

    async def list_members(
        self, caller: Caller, workspace: str | None = None, offset: int = 0, limit: int = 256
    ) -> list[dict[str, Any]]:
        """List who may use a workspace, its owner first. E-mail addresses are for those who may
        share it."""
        if not 1 <= limit <= 256 or offset < 0:
            raise InvalidRequest("limit must be from 1 to 256 and offset not negative")
        record = self._workspaces.require(workspace or caller.workspace)
        members = [_entry(*member) for member in self._reach.members(caller, record)]
        owner = {"user_id": record.owner, "permission": "admin", "is_owner": True}
        return [owner, *members][offset : offset + limit]

    async def _log(
        self, caller: Caller, record: Workspace, event_type: str, data: dict[str, Any]
    ) -> None:
        user_id = caller.user.effective_id
        await self._events.append(record.id, user_id, event_type, data, is_kept=record.is_kept)


_KEYS = {"user": "user_id", "email": "email", "role": "role"}


def _entry(subject: Subject, permission: Permission | None) -> dict[str, Any]:
    entry: dict[str, Any] = {_KEYS[subject.kind]: subject.name}
    if permission is not None:
        entry |= {"permission": permission.name.lower(), "is_owner": False}
    return entry
