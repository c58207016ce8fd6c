"""API keys: strings that last, for programs that nobody logs in to.

A key is random and long. What is kept is its SHA-256: nobody finds such a key by trying, so a slow
hash would only cost every request. A key acts for the user who made it, in one workspace, with at
most one permission, and can be limited to certain functions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gateway.auth.digests import digest
from gateway.auth.revocations import Revocations
from gateway.storage.rows import StoredKey
from schema.errors import InvalidRequest, LimitExceeded, NotFound, TokenRevoked, Unauthenticated
from schema.identity import ANY_WORKSPACE, ROOT_USER, Caller, Permission, Scope, User

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.api_keys import ApiKeyRepository

PREFIX: Final = "pp_"
"""By which people and scanners for leaked secrets know a key."""

MAX_KEYS: Final = 1000
"""Keys that a workspace can have."""

ADMIN_PREFIX: Final = "admin-"
"""Of the ids of keys for the whole server; those that people make are told apart by theirs."""

MAX_FUNCTIONS: Final = 1000
MAX_LIFE_SECONDS: Final = 10 * 365 * 86400.0
_FUNCTION: Final = re.compile(r"[^\s/:@*]{1,255}(/[^\s/:*]{1,255})?")
_REMEMBER_SECONDS: Final = 60.0

logger = logging.getLogger(__name__)


class ApiKeys:
    """All keys, by digest. Without a ``repository`` they do not survive the process; ``clock``
    gives Unix seconds."""

    def __init__(
        self,
        revocations: Revocations,
        repository: ApiKeyRepository | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._revocations = revocations
        self._repository = repository
        self._clock = clock
        self._keys: dict[str, StoredKey] = {}
        self._users: dict[str, User] = {}
        self._used_at: dict[str, float] = {}
        self._unwritten: dict[str, float] = {}
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._removals: set[asyncio.Task[None]] = set()
        revocations.watch(self._on_revoked)

    async def load(self) -> None:
        """Read what earlier processes have kept. Revocations have been loaded before."""
        if self._repository is None:
            return
        for key in await self._repository.load():
            self._put(key)
            if self._revocations.covers(self._users[key.digest]):
                self._forget(key)

    async def close(self) -> None:
        """Write when keys were used last, and wait for what is being written."""
        self._closing.set()
        if self._writer is not None:
            await self._writer
        if self._removals:
            await asyncio.wait(self._removals)

    def user(self, key: str) -> User:
        """Whom a key stands for. Raises Unauthenticated; nothing else."""
        user = self._users.get(digest(key))
        if user is None:
            raise Unauthenticated("The API key is not valid")
        now = self._clock()
        if user.expires_at is not None and user.expires_at <= now:
            raise Unauthenticated("The API key has expired")
        if self._revocations.covers(user):
            raise TokenRevoked("The API key has been revoked")
        self._note_use(user.id, now)
        return user

    async def make(
        self,
        caller: Caller,
        *,
        name: str,
        workspace: str,
        permission: Permission,
        functions: list[str] | None,
        expires_in: float | None,
    ) -> tuple[str, dict[str, Any]]:
        """A new key, which is told this once, and its entry. Raises InvalidRequest,
        LimitExceeded."""
        if not name.strip() or len(name) > 255 or not name.isprintable():
            raise InvalidRequest("An API key needs a name, to know it by in the list")
        if functions is not None and (
            len(functions) > MAX_FUNCTIONS or not all(map(_FUNCTION.fullmatch, functions))
        ):
            raise InvalidRequest("functions lists services, or functions as service/function")
        if expires_in is not None and not 0 < expires_in <= MAX_LIFE_SECONDS:
            raise InvalidRequest("expires_in must be a number of seconds above 0")
        if len(self.listed(workspace)) >= MAX_KEYS:
            raise LimitExceeded(f"A workspace can have at most {MAX_KEYS} API keys")
        key = _new_key()
        now = self._clock()
        stored = StoredKey(
            id=f"key-{secrets.token_hex(8)}",
            digest=digest(key),
            name=name,
            owner=caller.user.effective_id,
            email=caller.user.email,
            workspace=workspace,
            permission=permission.value,
            functions=functions,
            made_with=list(caller.user.lineage),
            created_at=now,
            expires_at=now + expires_in if expires_in is not None else None,
        )
        await self._keep(stored)
        return key, self._entry(stored)

    async def rotate_admin(self) -> str:
        """A key with every right in every workspace, like the root token; it is told this once.
        Earlier ones are refused from now on, with all that was made with them."""
        for earlier in [*self._keys.values()]:
            if earlier.id.startswith(ADMIN_PREFIX):
                await self._end(earlier)
        key = _new_key()
        await self._keep(
            StoredKey(
                id=f"{ADMIN_PREFIX}{secrets.token_hex(8)}",
                digest=digest(key),
                name="Administrator of the server",
                owner=ROOT_USER.id,
                email=None,
                workspace=ANY_WORKSPACE,
                permission=Permission.ADMIN.value,
                functions=None,
                made_with=[],
                created_at=self._clock(),
            )
        )
        return key

    def listed(self, workspace: str) -> list[dict[str, Any]]:
        """The keys of a workspace, without what would let anybody use them."""
        return [self._entry(key) for key in self._keys.values() if key.workspace == workspace]

    async def revoke(self, workspace: str, key_id: str) -> None:
        """Refuse a key from now on, with all that was made with it. Raises NotFound."""
        for key in self._keys.values():
            if key.id == key_id and key.workspace == workspace:
                return await self._end(key)
        raise NotFound(f"There is no API key {key_id!r} in workspace {workspace}")

    async def forget_workspace(self, workspace: str) -> None:
        """A workspace is gone, and its keys with it."""
        for key in [*self._keys.values()]:
            if key.workspace == workspace:
                await self._end(key)

    async def _end(self, key: StoredKey) -> None:
        await self._revocations.revoke(key.id, seconds=MAX_LIFE_SECONDS)
        if self._repository is not None:
            await self._repository.remove(key.id)
        # Somebody else may have ended it meanwhile.
        self._keys.pop(key.digest, None)
        self._users.pop(key.digest, None)

    def _on_revoked(self, token_id: str) -> None:
        """A revocation is remembered for as long as a token may live; a key may live longer, so it
        goes for good with what it was made with."""
        for key in [*self._keys.values()]:
            if token_id in key.made_with:
                self._forget(key)

    def _forget(self, key: StoredKey) -> None:
        self._keys.pop(key.digest, None)
        self._users.pop(key.digest, None)
        if self._repository is not None:
            removal = asyncio.get_running_loop().create_task(self._remove(self._repository, key.id))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)

    async def _remove(self, repository: ApiKeyRepository, key_id: str) -> None:
        try:
            await repository.remove(key_id)
        except Exception as error:  # noqa: BLE001 - it is tried again at the next start
            logger.warning("key_not_removed error=%s", type(error).__name__)

    async def _keep(self, key: StoredKey) -> None:
        if self._repository is not None:
            await self._repository.add(key)
        self._put(key)

    def _put(self, key: StoredKey) -> None:
        self._keys[key.digest] = key
        if key.id.startswith(ADMIN_PREFIX):
            self._users[key.digest] = replace(
                ROOT_USER, issued_at=key.created_at, lineage=(key.id,)
            )
            return
        self._users[key.digest] = User(
            id=key.id,
            scope=Scope(
                {key.workspace: Permission(key.permission)},
                current_workspace=key.workspace,
                functions=frozenset(key.functions) if key.functions is not None else None,
            ),
            email=key.email,
            parent=key.owner,
            expires_at=key.expires_at,
            issued_at=key.created_at,
            lineage=(*key.made_with, key.id),
            not_after=key.expires_at,
        )

    def _entry(self, key: StoredKey) -> dict[str, Any]:
        return {
            "id": key.id,
            "name": key.name,
            "owner": key.owner,
            "workspace": key.workspace,
            "permission": key.permission,
            "functions": key.functions,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "last_used_at": self._used_at.get(key.id, key.last_used_at),
        }

    # When keys were used last is written now and then: no request waits for it.

    def _note_use(self, key_id: str, now: float) -> None:
        self._used_at[key_id] = now
        if self._repository is None:
            return
        self._unwritten[key_id] = now
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_later())

    async def _write_later(self) -> None:
        while self._unwritten:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _REMEMBER_SECONDS)
            try:
                await self._write_uses()
            except Exception as error:  # noqa: BLE001 - whatever the database raises, calls go on
                logger.warning("key_uses_not_written error=%s", type(error).__name__)
        self._writer = None

    async def _write_uses(self) -> None:
        unwritten, self._unwritten = self._unwritten, {}
        if unwritten and self._repository is not None:
            await self._repository.note_uses(unwritten)


def _new_key() -> str:
    return PREFIX + secrets.token_urlsafe(32)
