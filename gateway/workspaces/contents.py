"""What workspaces keep for those who use them: environment variables, bookmarks, service types."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gateway.storage.sealing import SealedBox
from gateway.workspaces.records import Workspace, as_json
from gateway.workspaces.workspaces import Workspaces
from schema.errors import Conflict, LimitExceeded, NotFound
from schema.identity import User

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.workspaces import WorkspaceRepository

MAX_BOOKMARKS: Final = 1000
MAX_SERVICE_TYPES: Final = 1000
MAX_VARIABLES: Final = 1000
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_ENVIRONMENT_BYTES: Final = 2 * 1024 * 1024
"""Of all variables of a workspace, encrypted as they are kept in memory; what a program gets from
its operating system is no more either."""
MAX_SERVICE_TYPES_BYTES: Final = 4 * 1024 * 1024
"""Of all service types of a workspace."""


class Contents:
    """Reads and writes them. Without a ``repository`` nothing survives the process; ``clock`` gives
    Unix seconds."""

    def __init__(
        self,
        workspaces: Workspaces,
        box: SealedBox,
        repository: WorkspaceRepository | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._workspaces = workspaces
        self._box = box
        self._repository = repository
        self._clock = clock

    async def set_variable(self, workspace: str, name: str, value: Any) -> None:
        """Set an environment variable; None removes it. Raises InvalidRequest, LimitExceeded."""
        async with self._workspaces.changing(workspace) as record:
            if value is None:
                if self._repository is not None and name in record.environment:
                    await self._repository.remove_variable(workspace, name)
                record.environment.pop(name, None)
                return
            if name not in record.environment and len(record.environment) >= MAX_VARIABLES:
                raise LimitExceeded(f"A workspace can have at most {MAX_VARIABLES} variables")
            sealed = self._box.seal(as_json(value, MAX_VALUE_BYTES, "value"), _place(record, name))
            others = sum(len(v) for n, v in record.environment.items() if n != name)
            if others + len(sealed) > MAX_ENVIRONMENT_BYTES:
                raise LimitExceeded(
                    f"The variables of a workspace can have {MAX_ENVIRONMENT_BYTES} bytes together"
                )
            if self._repository is not None and record.is_kept:
                await self._repository.put_variable(
                    record.to_stored(), name, sealed, now=self._clock()
                )
                record.is_stored = True
            record.environment[name] = sealed

    def variable(self, workspace: str, name: str) -> Any:
        """The value of an environment variable. Raises NotFound."""
        record = self._workspaces.require(workspace)
        if name not in record.environment:
            raise NotFound(f"Environment variable '{name}' not found in workspace {workspace}")
        return json.loads(self._box.open(record.environment[name], _place(record, name)))

    async def add_bookmark(self, user: User, entry: dict[str, str]) -> None:
        """Remember something in the user's own workspace. Raises LimitExceeded."""
        name = self._workspaces.ensure_personal(user).id
        async with self._workspaces.changing(name) as home:
            if entry in home.bookmarks:
                return
            if len(home.bookmarks) >= MAX_BOOKMARKS:
                raise LimitExceeded(f"A user can have at most {MAX_BOOKMARKS} bookmarks")
            await self._workspaces.write(home, bookmarks=[*home.bookmarks, entry])

    async def remove_bookmarks(self, user: User, entry: dict[str, str]) -> None:
        """Forget something in the user's own workspace."""
        name = self._workspaces.ensure_personal(user).id
        async with self._workspaces.changing(name) as home:
            if entry in home.bookmarks:
                await self._workspaces.write(
                    home, bookmarks=[b for b in home.bookmarks if b != entry]
                )

    async def add_service_type(self, workspace: str, name: str, entry: dict[str, Any]) -> None:
        """Raises Conflict (there is one of that name), LimitExceeded."""
        async with self._workspaces.changing(workspace) as record:
            if name in record.service_types:
                raise Conflict(f"Service type already exists: {name}")
            if len(record.service_types) >= MAX_SERVICE_TYPES:
                raise LimitExceeded(f"A workspace can have at most {MAX_SERVICE_TYPES} types")
            types = {**record.service_types, name: entry}
            as_json(types, MAX_SERVICE_TYPES_BYTES, "list of service types")
            await self._workspaces.write(record, service_types=types)


def _place(record: Workspace, name: str) -> str:
    return f"workspace_environment/{record.id}/{name}"
