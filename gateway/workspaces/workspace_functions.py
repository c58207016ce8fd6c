"""Functions of the manager that are about workspaces and what they keep."""

from __future__ import annotations

import re
from typing import Any

from gateway.auth.access import Action, decide
from gateway.registry.registry import Registry
from gateway.routing.router import Router
from gateway.routing.session import CLOSE_POLICY
from gateway.workspaces.workspaces import Workspace, Workspaces
from schema.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from schema.identity import Caller, personal_workspace
from schema.services import Visibility

MAX_LISTED = 256


class WorkspaceFunctions:
    """Create, read and delete workspaces; their environment, bookmarks and service types."""

    def __init__(self, workspaces: Workspaces, registry: Registry, router: Router) -> None:
        self._workspaces = workspaces
        self._registry = registry
        self._router = router

    async def create_workspace(
        self, caller: Caller, config: dict[str, Any], overwrite: bool = False
    ) -> dict[str, Any]:
        """Create a workspace that the caller owns. Its id needs a hyphen."""
        if caller.user.is_anonymous:
            raise PermissionDenied("Only registered user can create workspace.")
        name = config.get("id") or config.get("name")
        existing = self._workspaces.get(name) if isinstance(name, str) else None
        if existing is not None and overwrite:
            owner = self._workspaces.is_owner(caller.user, existing.id)
            if not owner and not decide(caller, Action.DELETE_WORKSPACE, existing.id).allowed:
                raise PermissionDenied(
                    f"Permission denied: user {caller.user.id} may not overwrite the workspace "
                    f"{existing.id}"
                )
        record = self._workspaces.create(config, caller.user, overwrite=overwrite)
        home = self._workspaces.ensure_personal(caller.user)
        _remember(home, {"bookmark_type": "workspace", "id": record.id})
        self._router.publish(home.id, "workspace_loaded", record.to_wire())
        return record.to_wire()

    async def delete_workspace(self, caller: Caller, workspace: str) -> None:
        """Delete a workspace with its services, and disconnect its clients."""
        record = self._workspaces.delete(workspace)
        self._registry.forget_workspace(workspace)
        for session in self._router.sessions_in(workspace):
            session.close(CLOSE_POLICY, f"Workspace {workspace} was deleted")
        home = personal_workspace(caller.user.id)
        self._router.publish(home, "workspace_deleted", record.to_wire())

    async def get_workspace_info(
        self, caller: Caller, workspace: str | None = None
    ) -> dict[str, Any]:
        """Get the record of a workspace. Environment variables are not part of it; the bookmarks
        that are kept there are, for those who may write."""
        record = self._workspaces.require(workspace or caller.workspace)
        entry = record.to_wire()
        if record.bookmarks and decide(caller, Action.BOOKMARK, record.id).allowed:
            entry["config"]["bookmarks"] = list(record.bookmarks)
        return entry

    async def list_workspaces(
        self, caller: Caller, match: dict[str, Any] | None = None, offset: int = 0, limit: int = 256
    ) -> list[dict[str, Any]]:
        """List the workspaces that the caller may read or owns, sorted by id."""
        if not 1 <= limit <= MAX_LISTED or offset < 0:
            raise InvalidRequest(f"limit must be from 1 to {MAX_LISTED} and offset not negative")
        keys = ("id", "name", "description", "read_only", "persistent", "owners")
        found = [
            {key: entry[key] for key in keys} | {"name": entry["id"]}
            for entry in (w.to_wire() for w in self._workspaces.all())
            if decide(caller, Action.READ_WORKSPACE, entry["id"]).allowed
            or self._workspaces.is_owner(caller.user, entry["id"])
        ]
        if match:
            found = [w for w in found if all(w.get(k) == v for k, v in match.items())]
        return found[offset : offset + limit]

    async def get_summary(self, caller: Caller) -> dict[str, Any]:
        """Count and name the clients and services of the workspace."""
        record = self._workspaces.require(caller.workspace)
        clients = [s.address for s in self._router.sessions_in(caller.workspace)]
        services = [
            {k: entry[k] for k in ("id", "name", "type", "description", "config")}
            for entry in (s.to_wire() for s in self._registry.in_workspace(caller.workspace))
        ]
        return {
            "name": record.name,
            "description": record.description,
            "client_count": len(clients),
            "clients": clients,
            "service_count": len(services),
            "services": services,
        }

    async def check_status(self, caller: Caller) -> dict[str, Any]:
        """Tell whether the workspace is ready, and what the caller may do in it."""
        held = caller.user.scope.permission_on(caller.workspace)
        if self._workspaces.get(caller.workspace) is None:
            return {"status": "not_found", "error": f"Workspace {caller.workspace} not found"}
        return {
            "status": "ready",
            "errors": None,
            "user_permission": held.value if held is not None else None,
        }

    # Environment

    async def set_env(self, caller: Caller, key: str, value: Any = None) -> None:
        """Set an environment variable of the workspace; null removes it."""
        if not key:
            raise InvalidRequest("An environment variable needs a name")
        environment = self._own(caller).environment
        if value is None:
            environment.pop(key, None)
        else:
            environment[key] = value

    async def get_env(self, caller: Caller, key: str | None = None, value: Any = None) -> Any:
        """Get one environment variable of the workspace, or all of them as a map."""
        environment = self._own(caller).environment
        if key is None:
            return dict(environment)
        if key not in environment:
            raise NotFound(
                f"Environment variable '{key}' not found in workspace {caller.workspace}"
            )
        return environment[key]

    # Bookmarks

    async def bookmark(self, caller: Caller, item: dict[str, Any]) -> None:
        """Remember a workspace or service in the caller's personal workspace."""
        entry = _read_bookmark(item)
        if entry["bookmark_type"] == "workspace":
            decide(caller, Action.READ_WORKSPACE, entry["id"]).require()
        _remember(self._workspaces.ensure_personal(caller.user), entry)

    async def unbookmark(self, caller: Caller, item: dict[str, Any]) -> None:
        """Forget a bookmark."""
        entry = _read_bookmark(item)
        record = self._workspaces.ensure_personal(caller.user)
        record.bookmarks = [b for b in record.bookmarks if b != entry]

    # Service types

    async def register_service_type(
        self, caller: Caller, type_info: dict[str, Any]
    ) -> dict[str, Any]:
        """Register a service type: a map of function names to their JSON Schemas."""
        name = type_info.get("id")
        if not isinstance(name, str):
            raise InvalidRequest("A service type needs an id")
        workspace, slash, short = name.rpartition("/")
        if slash and workspace != caller.workspace:
            raise PermissionDenied("A service type belongs to the workspace that registers it")
        if not re.fullmatch(r"[\w.-]{1,128}", short):
            raise InvalidRequest(f"Invalid service type id: {name!r}")
        record = self._own(caller)
        if short in record.service_types:
            raise Conflict(f"Service type already exists: {short}")
        entry = {
            "id": f"{record.id}/{short}",
            "name": type_info.get("name") or short,
            "definition": type_info.get("definition") or {},
            "description": type_info.get("description"),
            "config": type_info.get("config") or {},
            "docs": type_info.get("docs"),
        }
        record.service_types[short] = entry
        return entry

    async def get_service_type(self, caller: Caller, type_id: str) -> dict[str, Any]:
        """Get a service type by its id, [workspace/]type."""
        workspace, slash, short = type_id.rpartition("/")
        record = self._workspaces.get(workspace if slash else caller.workspace)
        entry = record.service_types.get(short) if record is not None else None
        missing = NotFound(f"Service type not found: {type_id}")
        if entry is None or record is None:
            raise missing
        is_public = entry["config"].get("visibility") == Visibility.PUBLIC.value
        if not is_public and not decide(caller, Action.READ_SERVICE_TYPE, record.id).allowed:
            raise missing
        return entry

    async def list_service_types(
        self, caller: Caller, workspace: str | None = None
    ) -> list[dict[str, Any]]:
        """List the service types of a workspace."""
        record = self._workspaces.require(workspace or caller.workspace)
        return list(record.service_types.values())

    def _own(self, caller: Caller) -> Workspace:
        return self._workspaces.require(caller.workspace)


def _remember(home: Workspace, entry: dict[str, str]) -> None:
    if entry not in home.bookmarks:
        home.bookmarks.append(entry)


def _read_bookmark(item: dict[str, Any]) -> dict[str, str]:
    kind, name = item.get("bookmark_type"), item.get("id")
    if kind not in ("workspace", "service") or not isinstance(name, str):
        raise InvalidRequest("A bookmark needs bookmark_type (workspace or service) and id")
    return {"bookmark_type": kind, "id": name}
