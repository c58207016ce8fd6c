"""What there is of workspaces and tokens for a caller: asked for here, it is decided on the way.

Services are found and decided about in ``registry.directory``.
"""

from __future__ import annotations

from typing import Any

from gateway.auth.access import Action, TokenAction, decide
from gateway.auth.authentication import Authentication
from gateway.workspaces.records import Subject, Workspace
from gateway.workspaces.workspaces import Workspaces
from schema.errors import InvalidRequest, NotFound, PermissionDenied, Unauthenticated
from schema.identity import Caller, Permission, User
from schema.services import Visibility


class Reach:
    """Gives out no more than the caller may have."""

    def __init__(self, workspaces: Workspaces, authentication: Authentication) -> None:
        self._workspaces = workspaces
        self._authentication = authentication

    def workspaces(self, caller: Caller) -> list[Workspace]:
        """Those that the caller may read, sorted by id."""
        return [
            record
            for record in self._workspaces.of(caller.user)
            if decide(caller, Action.READ_WORKSPACE, record.id).allowed
        ]

    def workspace(self, caller: Caller, name: str) -> Workspace:
        """One that the caller may read. Raises PermissionDenied, WorkspaceNotFound."""
        decide(caller, Action.READ_WORKSPACE, name).require()
        return self._workspaces.require(name)

    def permission(self, caller: Caller) -> Permission | None:
        """What the caller may do where it is: to tell, not to decide by."""
        return caller.permission_on(caller.workspace)

    def to_overwrite(self, caller: Caller, name: object) -> Workspace | None:
        """The workspace of a name if there is one. Raises PermissionDenied if it is not the
        caller's to change."""
        record = self._workspaces.get(name) if isinstance(name, str) else None
        if record is not None and not decide(caller, Action.UPDATE_WORKSPACE, record.id).allowed:
            raise PermissionDenied(
                f"Permission denied: user {caller.user.id} may not overwrite the workspace "
                f"{record.id}"
            )
        return record

    def shown(self, caller: Caller, record: Workspace) -> dict[str, Any]:
        """The record without environment variables; with the bookmarks that are kept there for
        those who may write."""
        entry = record.to_wire()
        if record.bookmarks and decide(caller, Action.BOOKMARK, record.id).allowed:
            entry["config"]["bookmarks"] = list(record.bookmarks)
        return entry

    def members(self, caller: Caller, record: Workspace) -> list[tuple[Subject, Permission]]:
        """Whom a workspace is shared with, sorted. E-mail addresses are for those who may share
        it."""
        sees_addresses = decide(caller, Action.SHARE_WORKSPACE, record.id).allowed
        return [
            (subject, permission)
            for subject, permission in sorted(record.members.items())
            if sees_addresses or subject.kind != "email"
        ]

    def service_type(self, caller: Caller, type_id: str) -> dict[str, Any]:
        """The service type of an id, ``[workspace/]type``, with its full id; lists have the one
        that it was registered under. Raises NotFound, also for one that is neither public nor the
        caller's to read."""
        workspace, slash, short = type_id.rpartition("/")
        record = self._workspaces.get(workspace if slash else caller.workspace)
        entry = record.service_types.get(short) if record is not None else None
        missing = NotFound(f"Service type not found: {type_id}")
        if entry is None or record is None:
            raise missing
        is_public = entry["config"].get("visibility") == Visibility.PUBLIC.value
        if not is_public and not decide(caller, Action.READ_SERVICE_TYPE, record.id).allowed:
            raise missing
        return {**entry, "id": f"{record.id}/{short}"}

    async def parsed(self, caller: Caller, token: str) -> User:
        """Whom a token stands for. Raises Unauthenticated, PermissionDenied."""
        user = await self._authentication.user(token)
        decide(caller, TokenAction.PARSE, user).require()
        return user

    async def revocable(self, caller: Caller, token: str) -> User:
        """Whom a token stands for that the caller may revoke. Raises InvalidRequest for one that is
        not good any more, PermissionDenied."""
        try:
            await self._authentication.bearer(token)
        except Unauthenticated as error:
            raise InvalidRequest(f"Invalid token: {error.message}") from None
        try:
            user = await self._authentication.user(token)
        except Unauthenticated:
            raise InvalidRequest("Token has already expired") from None
        decide(caller, TokenAction.REVOKE, user).require()
        return user
