"""Functions of the manager that are about workspaces: make, show, change and delete them."""

from __future__ import annotations

from typing import Any

from gateway.auth.function_access import FunctionAccess
from gateway.registry.registry import Registry
from gateway.routing.router import Router
from gateway.routing.session import CLOSE_POLICY
from gateway.workspaces.contents import Contents
from gateway.workspaces.event_log import EventLog
from gateway.workspaces.reach import Reach
from gateway.workspaces.workspaces import Workspaces
from schema.errors import InvalidRequest
from schema.identity import Caller, User, personal_workspace

MAX_LISTED = 256


class WorkspaceFunctions:
    """Create, list, describe, update and delete workspaces."""

    def __init__(
        self,
        workspaces: Workspaces,
        reach: Reach,
        contents: Contents,
        registry: Registry,
        router: Router,
        events: EventLog,
        functions: FunctionAccess,
    ) -> None:
        self._functions = functions
        self._reach = reach
        self._workspaces = workspaces
        self._contents = contents
        self._registry = registry
        self._router = router
        self._events = events

    async def create_workspace(
        self, caller: Caller, config: dict[str, Any], overwrite: bool = False
    ) -> dict[str, Any]:
        """Create a workspace that the caller owns. Its id needs a hyphen. With overwrite, an
        existing one that the caller may administer gets the new description."""
        if overwrite:
            existing = self._reach.to_overwrite(caller, config.get("id") or config.get("name"))
            if existing is not None:
                return await self.update_workspace(caller, existing.id, config)
        record = await self._workspaces.create(config, caller.user)
        entry = {"bookmark_type": "workspace", "id": record.id}
        await self._contents.add_bookmark(caller.user, entry)
        home = personal_workspace(caller.user.effective_id)
        self._router.publish(home, "workspace_loaded", record.to_wire())
        status = {"workspace": record.id, "status": "ready"}
        self._router.publish(home, "workspace_status_changed", status)
        return record.to_wire()

    async def update_workspace(
        self, caller: Caller, workspace: str, config: dict[str, Any]
    ) -> dict[str, Any]:
        """Change name, description, icon, covers, docs, config, persistent or read_only of a
        workspace; what is not given stays as it is. Owners and members are not changed by this."""
        record = await self._workspaces.update(workspace, config)
        self._router.publish(workspace, "workspace_changed", record.to_wire())
        return record.to_wire()

    async def delete_workspace(self, caller: Caller, workspace: str) -> None:
        """Delete a workspace with its services, disconnect its clients and void its tokens."""
        record = await self._workspaces.delete(workspace)
        self._events.forget(workspace)
        self._registry.forget_workspace(workspace)
        for session in self._router.sessions_in(workspace):
            session.close(CLOSE_POLICY, f"Workspace {workspace} was deleted")
        entry = {"bookmark_type": "workspace", "id": workspace}
        for user in (caller.user, User(record.owner)):
            await self._contents.remove_bookmarks(user, entry)
        home = personal_workspace(caller.user.effective_id)
        self._router.publish(home, "workspace_deleted", record.to_wire())

    async def get_workspace_info(
        self, caller: Caller, workspace: str | None = None
    ) -> dict[str, Any]:
        """Get the record of a workspace. Environment variables are not part of it; the bookmarks
        that are kept there are, for those who may write."""
        record = self._workspaces.require(workspace or caller.workspace)
        return self._reach.shown(caller, record)

    async def list_workspaces(
        self, caller: Caller, match: dict[str, Any] | None = None, offset: int = 0, limit: int = 256
    ) -> list[dict[str, Any]]:
        """List the workspaces that the caller owns, is a member of or may read otherwise, sorted by
        id. A page has at most 256."""
        if not 1 <= limit <= MAX_LISTED or offset < 0:
            raise InvalidRequest(f"limit must be from 1 to {MAX_LISTED} and offset not negative")
        found = self._reach.workspaces(caller)
        if not match:
            return [record.summary() for record in found[offset : offset + limit]]
        summaries = (record.summary() for record in found)
        fitting = [s for s in summaries if all(s.get(k) == v for k, v in match.items())]
        return fitting[offset : offset + limit]

    async def get_summary(self, caller: Caller) -> dict[str, Any]:
        """Count and name the clients and services of the workspace."""
        record = self._workspaces.require(caller.workspace)
        clients = [s.address for s in self._router.sessions_in(caller.workspace)]
        services = [
            {k: entry[k] for k in ("id", "name", "type", "description", "config")}
            for entry in (
                self._functions.view(caller, s).to_wire()
                for s in self._registry.in_workspace(caller.workspace)
            )
        ]
        return {
            "name": record.name or record.id,
            "description": record.description,
            "client_count": len(clients),
            "clients": clients,
            "service_count": len(services),
            "services": services,
        }

    async def check_status(self, caller: Caller) -> dict[str, Any]:
        """Tell whether the workspace is ready, and what the caller may do in it."""
        held = self._reach.permission(caller)
        if self._workspaces.get(caller.workspace) is None:
            return {"status": "not_found", "error": f"Workspace {caller.workspace} not found"}
        return {
            "status": "ready",
            "errors": None,
            "user_permission": held.value if held is not None else None,
        }
