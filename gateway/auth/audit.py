"""The audit log: who called what, from where, with which outcome.

Entries are only ever added, and dropped when they are old enough. A call notes itself in memory;
what belongs to the entry beyond that is worked out, and written, with others a moment later. What
has not been written when the server stops is written then.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

from gateway.requests import current_address, current_request_id
from gateway.storage.rows import AuditEntry
from gateway.wire.codec import pack
from schema.errors import GatewayError
from schema.identity import Caller

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.audit import AuditRepository

Arguments = Literal["off", "hash", "full"]
"""What is kept of the arguments of a call."""

WRITE_SECONDS: Final = 0.5
"""How long entries wait for others, to be written together."""

MAX_IN_MEMORY: Final = 10_000
MAX_UNWRITTEN: Final = 100_000
"""Entries that wait for a database which refuses them. What comes after is lost, and counted."""

MAX_ARGUMENTS: Final = 4096
_DROP_EVERY_SECONDS: Final = 3600.0

logger = logging.getLogger(__name__)


class _Note(NamedTuple):
    caller: Caller
    workspace: str
    door: str
    target: str
    function: str
    address: str | None
    request_id: str | None
    outcome: str
    began: float
    seconds: float
    arguments: Any
    is_secret: bool


class AuditLog:
    """Without a ``repository`` the newest entries are kept, in memory. ``clock`` gives Unix
    seconds."""

    def __init__(
        self,
        repository: AuditRepository | None = None,
        *,
        arguments: Arguments = "hash",
        retention_seconds: float = 90 * 86400.0,
        with_calls: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.with_calls = with_calls
        """Whether calls of services are noted, and not only what changes who may do what."""
        self._repository = repository
        self._arguments = arguments
        self._retention_seconds = retention_seconds
        self._clock = clock
        self.lost = 0
        """Entries that found no room because the database had refused so many."""
        self._notes: list[_Note] = []
        self._unwritten: list[AuditEntry] = []
        self._at_close: list[Callable[[], None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._recent: deque[tuple[int, AuditEntry]] = deque(maxlen=MAX_IN_MEMORY)
        self._count = 0
        self._dropped_at = 0.0

    def note(
        self,
        caller: Caller,
        call: tuple[str, str, str, str],
        arguments: Any,
        began: float,
        error: BaseException | str | None,
        *,
        address: str | None = None,
        is_secret: bool = False,
    ) -> None:
        """A call has ended that began at a time in Unix seconds. ``call`` is workspace, door, id of
        the service, function; ``error`` what it failed with, or a word for what came of it;
        ``is_secret`` if its arguments may be kept as a hash at most."""
        if len(self._notes) + len(self._unwritten) >= MAX_UNWRITTEN:
            self.lost += 1
            return
        outcome = "ok"
        if isinstance(error, str):
            outcome = error
        elif error is not None:
            outcome = error.code if isinstance(error, GatewayError) else "internal_error"
        self._notes.append(
            _Note(
                caller,
                *call,
                address or current_address.get(),
                current_request_id.get(),
                outcome,
                began,
                self._clock() - began,
                arguments if self._arguments != "off" else None,
                is_secret,
            )
        )
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_soon())

    async def noted(
        self,
        caller: Caller,
        call: tuple[str, str, str, str],
        arguments: Any,
        work: Awaitable[Any],
        *,
        is_secret: bool = False,
    ) -> Any:
        """Await what a call does, and note it as ``note`` does. Raises what it raises."""
        began = self._clock()
        try:
            value = await work
        except BaseException as error:
            self.note(caller, call, arguments, began, error, is_secret=is_secret)
            raise
        self.note(caller, call, arguments, began, None, is_secret=is_secret)
        return value

    def at_close(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` before the last entries are written: it may note some."""
        self._at_close.append(tell)

    def now(self) -> float:
        """The time that ``note`` wants to know as the beginning."""
        return self._clock()

    async def find(
        self, workspace: str | None, *, before: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Entries, the newest first, each with its number; of one workspace, or of all."""
        await self.flush()
        if self._repository is None:
            found = [
                (number, entry)
                for number, entry in reversed(self._recent)
                if workspace in (None, entry.workspace) and (before is None or number < before)
            ][:limit]
        else:
            found = await self._repository.find(workspace, before=before, limit=limit)
        return [{"number": number, **asdict(entry)} for number, entry in found]

    async def flush(self) -> None:
        """Write what waits. If that fails, it is kept for the next time."""
        notes, self._notes = self._notes, []
        # Those that were refused before go first. They no longer hold the arguments themselves.
        entries, self._unwritten = [*self._unwritten, *map(self._entry, notes)], []
        if not entries:
            return
        if self._repository is None:
            for entry in entries:
                self._count += 1
                self._recent.append((self._count, entry))
            return
        try:
            await self._repository.append(entries)
        except Exception as error:
            self._unwritten = entries + self._unwritten
            name = type(error).__name__
            waiting = len(self._unwritten)
            logger.warning(
                "audit_not_written error=%s waiting=%d lost=%d", name, waiting, self.lost
            )
            raise
        await self._drop_old(self._repository)

    async def close(self) -> None:
        """Write what is left."""
        for tell in self._at_close:
            tell()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.cancel()
            await asyncio.wait([writer])
        await self.flush()

    async def _write_soon(self) -> None:
        while self._notes or self._unwritten:
            await asyncio.sleep(WRITE_SECONDS)
            # A failure is told in the log, and what was not written waits for the next time. A
            # cancelled transaction might have been written: it would be written again.
            with suppress(Exception):
                await asyncio.shield(asyncio.ensure_future(self.flush()))
        self._writer = None

    async def _drop_old(self, repository: AuditRepository) -> None:
        now = self._clock()
        if now - self._dropped_at > _DROP_EVERY_SECONDS:
            self._dropped_at = now
            await repository.drop_before(now - self._retention_seconds)

    def _entry(self, note: _Note) -> AuditEntry:
        user = note.caller.user
        return AuditEntry(
            time=note.began,
            workspace=_text(note.workspace, 255),
            user_id=_text(user.effective_id, 255),
            credential=user.credential_id,
            door=note.door,
            target=_text(note.target, 512),
            function=_text(note.function, 255),
            address=note.address,
            request_id=note.request_id,
            outcome=note.outcome,
            seconds=max(0.0, note.seconds),
            arguments=self._kept(note),
        )

    def _kept(self, note: _Note) -> str | None:
        if note.arguments is None:
            return None
        if self._arguments == "full" and not note.is_secret:
            text = orjson.dumps(note.arguments, default=repr, option=orjson.OPT_NON_STR_KEYS)
            return text.decode()[:MAX_ARGUMENTS]
        try:
            packed = pack(note.arguments)
        except GatewayError:
            packed = repr(note.arguments).encode("utf-8", "replace")
        return hashlib.sha256(packed).hexdigest()


def _text(value: str, limit: int) -> str:
    """What a client chose, as any database takes it: one entry must not keep the others out."""
    return value[:limit].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
