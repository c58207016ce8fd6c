"""All workspaces: who owns them, who may use them, and what they keep. Decides nothing.

Everything is in memory. What must survive a restart is written to the database before it changes
there, so nothing that was answered is lost; one change happens after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gateway.workspaces.membership import (
    acts_everywhere,
    has_admin_role,
    is_administrator,
    permission_in,
    subjects_of,
)
from gateway.workspaces.records import (
    MAX_RECORD_BYTES,
    PUBLIC_WORKSPACE,
    ROOT_WORKSPACE,
    Subject,
    Workspace,
    as_json,
    check_workspace_name,
    read_description,
    stored_member,
)
from schema.errors import (
    Conflict,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    WorkspaceNotFound,
)
from schema.identity import (
    ANONYMOUS_PREFIX,
    ANONYMOUS_WORKSPACE,
    Permission,
    Scope,
    User,
    personal_workspace,
)

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.workspaces import WorkspaceRepository

MAX_MEMBERS: Final = 1000

_SYSTEM: Final = (ROOT_WORKSPACE, PUBLIC_WORKSPACE, ANONYMOUS_WORKSPACE)
_PERSONAL: Final = personal_workspace("")


class Workspaces:
    """All workspaces by id. Without a ``repository`` nothing survives the process.

    ``reserved`` are names that nobody may give a workspace; ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        repository: WorkspaceRepository | None = None,
        *,
        max_per_user: int = 100,
        reserved: Collection[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repository = repository
        self._max_per_user = max_per_user
        self._reserved = reserved
        self._clock = clock
        self.is_loaded = False
        self.version = 0
        """Changes whenever somebody may do more or less than before."""
        self._records: dict[str, Workspace] = {}
        self._by_owner: defaultdict[str, set[str]] = defaultdict(set)
        self._by_member: defaultdict[Subject, set[str]] = defaultdict(set)
        self._changing = asyncio.Lock()
        self._forgetting: dict[str, asyncio.Task[None]] = {}
        """What was unloaded and is still in the database, or kept elsewhere under its name."""
        self._watchers: list[Callable[[str], None]] = []
        self._endings: list[Callable[[str], Awaitable[None]]] = []
        for name in _SYSTEM:
            self._add(Workspace(name, "root", persistent=True))

    async def load(self) -> None:
        """Read what earlier processes have kept."""
        if self._repository is not None:
            for row in await self._repository.load():
                self._add(Workspace.from_stored(row))
        self.is_loaded = True

    async def close(self) -> None:
        """Wait for what is still being written."""
        if self._forgetting:
            await asyncio.wait(self._forgetting.values())

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Call ``watcher`` with the id of a workspace when some may do less there than before."""
        self._watchers.append(watcher)

    def at_end(self, listener: Callable[[str], Awaitable[None]]) -> None:
        """Await ``listener`` with the id of a workspace that has ended: whatever else is kept under
        its name must not be found by who makes one of that name later."""
        self._endings.append(listener)

    # Reading

    def get(self, workspace: str) -> Workspace | None:
        return self._records.get(workspace)

    def require(self, workspace: str) -> Workspace:
        """Raises WorkspaceNotFound."""
        record = self._records.get(workspace)
        if record is None:
            raise WorkspaceNotFound(f"Workspace {workspace} does not exist or is not accessible")
        return record

    def all(self) -> list[Workspace]:
        """Every workspace, sorted by id."""
        return sorted(self._records.values(), key=lambda w: w.id)

    def of(self, user: User) -> list[Workspace]:
        """The workspaces that the user owns, is a member of or has a grant for, sorted by id."""
        if is_administrator(user):
            return self.all()
        names = {personal_workspace(user.id), *user.scope.workspaces}
        if acts_everywhere(user):
            names |= self._by_owner.get(user.id, set())
            for subject in subjects_of(user):
                names |= self._by_member.get(subject, set())
        return [self._records[name] for name in sorted(names) if name in self._records]

    def permission_of(self, user: User, workspace: str) -> Permission | None:
        """What owning the workspace, or being a member, gives the user there. See
        ``schema.identity.Memberships``."""
        if user.parent is not None or user.scope.current_workspace not in (None, workspace):
            return None  # a minted or pinned token has what it was made with
        if has_admin_role(user) or workspace == personal_workspace(user.id):
            return Permission.ADMIN
        record = self._records.get(workspace)
        return permission_in(record, user) if record is not None else None

    def is_voided(self, user: User, workspace: str) -> bool:
        """Whether the user's grant is one for an earlier workspace of this name, or was made by
        somebody who may do less since."""
        record = self._records.get(workspace)
        if record is None or user.issued_at is None or workspace not in user.scope.workspaces:
            return False
        since = record.departures.get(user.effective_id, 0.0) if record.departures else 0.0
        return user.issued_at < max(record.created_at, since)

    # Workspaces that follow from who somebody is

    def restore(self, workspace: str, granted: Scope) -> None:
        """Make a personal workspace again that somebody holds a signed grant for: a grant outlives
        the record when the server restarts, or when nobody was there for a while."""
        if (
            workspace not in self._records
            and workspace.startswith(_PERSONAL)
            and granted.permission_on(workspace) is not None
        ):
            self._ensure(workspace.removeprefix(_PERSONAL))

    def ensure_personal(self, user: User) -> Workspace:
        """The own workspace of whoever is accountable, made at first use. It is written to the
        database when something is kept there."""
        return self._ensure(user.effective_id)

    def _ensure(self, owner: str) -> Workspace:
        name = personal_workspace(owner)
        record = self._records.get(name)
        if record is None:
            record = Workspace(name, owner, persistent=not owner.startswith(ANONYMOUS_PREFIX))
            self._add(record)
        return record

    # Changing

    async def create(self, config: dict[str, Any], owner: User) -> Workspace:
        """Make a workspace that ``owner`` owns alone.

        Raises InvalidRequest (name, fields), Conflict (it exists), LimitExceeded (too many).
        """
        name = check_workspace_name(config.get("id") or config.get("name"), self._reserved)
        fields = read_description(config)
        if name in self._forgetting:  # nothing of it may be found in the new one
            await asyncio.wait([self._forgetting[name]])
        async with self._changing:
            if name in self._records:
                raise Conflict(f"Workspace already exists: {name}")
            self._check_quota(owner)
            record = Workspace(name, owner.effective_id, created_at=self._clock())
            record = replace(record, **fields)
            await self._save(record)
            self._add(record)
            self.version += 1
        return record

    async def update(self, workspace: str, config: dict[str, Any]) -> Workspace:
        """Change descriptive fields. Raises WorkspaceNotFound, InvalidRequest."""
        fields = read_description(config)
        async with self._changing:
            record = self.require(workspace)
            await self.write(record, **fields)
        return record

    async def delete(self, workspace: str) -> Workspace:
        """Forget a workspace. Grants for it that are out there are void from now on, also if it is
        made again. A personal one is empty afterwards.

        Raises WorkspaceNotFound; InvalidRequest for one that belongs to the server.
        """
        async with self._changing:
            record = self.require(workspace)
            if workspace in _SYSTEM:
                raise InvalidRequest(f"Workspace {workspace} cannot be deleted")
            if self._repository is not None and record.is_stored:
                await self._repository.delete(workspace)
            self._remove(record)
            self.version += 1
            if workspace.startswith(_PERSONAL):
                fresh = Workspace(
                    workspace,
                    record.owner,
                    persistent=record.persistent,
                    created_at=self._clock(),
                )
                await self._save(fresh)
                self._add(fresh)
        await self._ended(workspace)
        return record

    async def _ended(self, workspace: str) -> None:
        for listener in self._endings:
            await listener(workspace)

    def unload(self, workspace: str) -> bool:
        """Nobody is in the workspace any more: end it, unless it is to stay. Returns whether it
        has ended."""
        record = self._records.get(workspace)
        if record is None or workspace in _SYSTEM:
            return False
        if record.persistent:
            if record.is_blank:  # made again, the same, when its user is back
                self._remove(record)
            return False
        self._remove(record)
        if not workspace.startswith(_PERSONAL):
            self.version += 1
        self._forgetting[workspace] = asyncio.get_running_loop().create_task(self._forget(record))
        return True

    async def _forget(self, record: Workspace) -> None:
        task = asyncio.current_task()
        try:
            async with self._changing:
                if record.id in self._records:
                    return  # a personal one whose user is back
                if self._repository is not None and record.is_stored:
                    await self._repository.delete(record.id)
            await self._ended(record.id)
        finally:
            if self._forgetting.get(record.id) is task:
                del self._forgetting[record.id]

    # Members

    async def share(
        self, workspace: str, subject: Subject, permission: Permission, *, by: str
    ) -> Workspace:
        """Let a user, or all with a role, use the workspace. Raises WorkspaceNotFound,
        InvalidRequest (its owner, an anonymous workspace), LimitExceeded."""
        async with self._changing:
            record = self.require(workspace)
            if subject == ("user", record.owner):
                raise InvalidRequest(f"{subject.name} owns the workspace")
            if not record.is_kept:
                raise InvalidRequest("The workspace of an anonymous user cannot be shared")
            before = record.members.get(subject)
            is_less = before is not None and not permission.covers(before)
            if before is None and len(record.members) >= MAX_MEMBERS:
                raise LimitExceeded(f"A workspace can have at most {MAX_MEMBERS} members")
            if is_less:
                self._note_departure(record, subject)
            if self._repository is not None:
                await self._repository.put_member(
                    record.to_stored(),
                    stored_member(subject, permission),
                    added_by=by,
                    now=self._clock(),
                )
                record.is_stored = True
            record.members[subject] = permission
            self.version += 1
            self._by_member[subject].add(workspace)
        if is_less:
            self._tell(workspace)
        return record

    async def unshare(self, workspace: str, subject: Subject) -> Workspace:
        """Take back what ``share`` gave. Raises WorkspaceNotFound, NotFound (no member),
        InvalidRequest (the owner)."""
        async with self._changing:
            record = self.require(workspace)
            if subject == ("user", record.owner):
                raise InvalidRequest(f"{subject.name} owns the workspace")
            if subject not in record.members:
                raise NotFound(f"Workspace {workspace} is not shared with {subject.name}")
            self._note_departure(record, subject)
            if self._repository is not None:
                await self._repository.remove_member(
                    record.to_stored(), *subject, now=self._clock()
                )
            del record.members[subject]
            self.version += 1
            self._unindex(self._by_member, subject, workspace)
        self._tell(workspace)
        return record

    def _note_departure(self, record: Workspace, subject: Subject) -> None:
        if subject.kind == "user":
            kept = sorted(record.departures.items(), key=lambda item: item[1])[1 - MAX_MEMBERS :]
            record.departures = {**dict(kept), subject.name: self._clock()}

    # For what workspaces keep

    @asynccontextmanager
    async def changing(self, workspace: str) -> AsyncIterator[Workspace]:
        """The record, while nobody else changes any. Raises WorkspaceNotFound."""
        async with self._changing:
            yield self.require(workspace)

    async def write(self, record: Workspace, **fields: Any) -> None:
        """Write fields of a record and then change them; only while ``changing``."""
        await self._save(replace(record, **fields))
        record.is_stored = record.is_kept and self._repository is not None
        for name, value in fields.items():
            setattr(record, name, value)

    async def _save(self, record: Workspace) -> None:
        stored = record.to_stored()
        as_json(stored.record, MAX_RECORD_BYTES, "record")
        if self._repository is not None and record.is_kept:
            await self._repository.save(stored, now=self._clock())
            record.is_stored = True

    def _check_quota(self, owner: User) -> None:
        if is_administrator(owner):
            return
        own = self._by_owner.get(owner.effective_id, set())
        made = len(own) - (personal_workspace(owner.effective_id) in own)
        if made >= self._max_per_user:
            raise LimitExceeded(f"A user can own at most {self._max_per_user} workspaces")

    # The indexes

    def _add(self, record: Workspace) -> None:
        self._records[record.id] = record
        self._by_owner[record.owner].add(record.id)
        for subject in record.members:
            self._by_member[subject].add(record.id)

    def _remove(self, record: Workspace) -> None:
        del self._records[record.id]
        self._unindex(self._by_owner, record.owner, record.id)
        for subject in record.members:
            self._unindex(self._by_member, subject, record.id)

    @staticmethod
    def _unindex(index: defaultdict[Any, set[str]], key: Any, workspace: str) -> None:
        index[key].discard(workspace)
        if not index[key]:
            del index[key]

    def _tell(self, workspace: str) -> None:
        for watcher in self._watchers:
            watcher(workspace)
