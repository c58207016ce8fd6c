"""Functions of the manager that are about what a workspace keeps."""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.registry.directory import Directory
from gateway.wire.plain import check_plain
from gateway.workspaces.contents import Contents
from gateway.workspaces.event_log import EventLog
from gateway.workspaces.reach import Reach
from gateway.workspaces.workspaces import Workspaces
from schema.errors import InvalidRequest
from schema.identity import Caller
from schema.ids import ServiceQuery

MAX_SERVICE_TYPE_BYTES: Final = 1024 * 1024
_MAX_NAME: Final = 255


class ContentFunctions:
    """Environment variables, bookmarks and service types."""

    def __init__(
        self,
        workspaces: Workspaces,
        reach: Reach,
        contents: Contents,
        directory: Directory,
        events: EventLog,
    ) -> None:
        self._workspaces = workspaces
        self._reach = reach
        self._contents = contents
        self._directory = directory
        self._events = events

    async def set_env(self, caller: Caller, key: str, value: Any = None) -> None:
        """Set an environment variable of the workspace; null removes it."""
        if not key or len(key) > _MAX_NAME or not key.isprintable():
            raise InvalidRequest("An environment variable needs a name, and not a long one")
        record = self._workspaces.require(caller.workspace)
        await self._contents.set_variable(record.id, key, value)
        await self._events.append(
            record.id,
            caller.user.effective_id,
            "env_removed" if value is None else "env_set",
            {"key": key},
            is_kept=record.is_kept,
        )

    async def get_env(self, caller: Caller, key: str | None = None, value: Any = None) -> Any:
        """Get one environment variable of the workspace, or all of them as a map."""
        if key is not None:
            return self._contents.variable(caller.workspace, key)
        names = self._workspaces.require(caller.workspace).environment
        return {name: self._contents.variable(caller.workspace, name) for name in list(names)}

    # Bookmarks

    async def bookmark(self, caller: Caller, item: dict[str, Any]) -> None:
        """Remember a workspace or service in the caller's personal workspace."""
        entry = _read_bookmark(item)
        if entry["bookmark_type"] == "workspace":
            self._reach.workspace(caller, entry["id"])
        else:
            self._directory.require_usable(
                caller, ServiceQuery.parse(entry["id"], caller.workspace)
            )
        await self._contents.add_bookmark(caller.user, entry)

    async def unbookmark(self, caller: Caller, item: dict[str, Any]) -> None:
        """Forget a bookmark."""
        await self._contents.remove_bookmarks(caller.user, _read_bookmark(item))

    # Service types

    async def register_service_type(
        self, caller: Caller, type_info: dict[str, Any]
    ) -> dict[str, Any]:
        """Register a service type: a map of function names to their JSON Schemas."""
        name = type_info.get("id")
        if not isinstance(name, str):
            raise InvalidRequest("A service type needs an id")
        workspace, slash, short = name.rpartition("/")
        workspace = workspace if slash else caller.workspace
        if not re.fullmatch(r"[\w.-]{1,128}", short):
            raise InvalidRequest(f"Invalid service type id: {name!r}")
        entry = {
            "id": name,
            "name": type_info.get("name") or short,
            "definition": type_info.get("definition") or {},
            "description": type_info.get("description"),
            "config": type_info.get("config") or {},
            "docs": type_info.get("docs"),
        }
        check_plain(entry, "service type", MAX_SERVICE_TYPE_BYTES)
        await self._contents.add_service_type(workspace, short, entry)
        return entry

    async def get_service_type(self, caller: Caller, type_id: str) -> dict[str, Any]:
        """Get a service type by its id, [workspace/]type."""
        return self._reach.service_type(caller, type_id)

    async def list_service_types(
        self, caller: Caller, workspace: str | None = None
    ) -> list[dict[str, Any]]:
        """List the service types of a workspace."""
        record = self._workspaces.require(workspace or caller.workspace)
        return list(record.service_types.values())


def _read_bookmark(item: dict[str, Any]) -> dict[str, str]:
    kind, name = item.get("bookmark_type"), item.get("id")
    if kind not in ("workspace", "service") or not isinstance(name, str) or len(name) > _MAX_NAME:
        raise InvalidRequest("A bookmark needs bookmark_type (workspace or service) and id")
    return {"bookmark_type": kind, "id": name}
