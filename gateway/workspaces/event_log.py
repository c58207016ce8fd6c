"""The logs of workspaces: bounded, in the database where the workspace is kept, else in memory."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gateway.storage.rows import StoredEvent
from schema.errors import InvalidRequest, LimitExceeded

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.events import EventRepository

MAX_EVENTS: Final = 10_000
"""Events that a workspace keeps; older ones go."""

MAX_EVENT_BYTES: Final = 64 * 1024
_MAX_TYPE: Final = 255
_TRIM_EVERY: Final = 500


class EventLog:
    """Events by workspace. Without a ``repository`` nothing survives the process."""

    def __init__(
        self, repository: EventRepository | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._in_memory: dict[str, deque[StoredEvent]] = {}
        self._waiting: list[tuple[StoredEvent, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._written: Counter[str] = Counter()

    async def append(
        self, workspace: str, user_id: str, event_type: str, data: Any, *, is_kept: bool
    ) -> None:
        """Add an event; it is written when this returns. Raises InvalidRequest, LimitExceeded."""
        if not event_type or " " in event_type or len(event_type) > _MAX_TYPE:
            raise InvalidRequest("An event type must be one word")
        _check(data)
        # No finer than the time that readers see, and ask with.
        now = round(self._clock(), 6)
        event = StoredEvent(secrets.token_hex(16), workspace, user_id, event_type, now, data)
        if self._repository is None or not is_kept:
            log = self._in_memory.get(workspace)
            if log is None:
                log = self._in_memory[workspace] = deque(maxlen=MAX_EVENTS)
            log.append(event)
            return
        # Whatever comes in while one transaction is on its way to the disk shares the next.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, done))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(self._repository))
        await done

    async def find(
        self,
        workspace: str,
        user_id: str,
        event_type: str | None,
        start: float | None,
        end: float | None,
    ) -> list[StoredEvent]:
        """Events of a user in a workspace, oldest first; times are Unix seconds."""
        found = [
            event
            for event in self._in_memory.get(workspace, ())
            if event.user_id == user_id
            and event_type in (None, event.event_type)
            and (start is None or event.time >= start)
            and (end is None or event.time <= end)
        ]
        if found or self._repository is None:
            return found
        return await self._repository.find(workspace, user_id, event_type, start, end)

    def has(self, workspace: str) -> bool:
        """Whether there is a log that would be lost with the process."""
        return workspace in self._in_memory

    def forget(self, workspace: str) -> None:
        """Drop what is in memory."""
        self._in_memory.pop(workspace, None)

    async def _write(self, repository: EventRepository) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await repository.append([event for event, _ in batch])
            except Exception as error:  # noqa: BLE001 - whoever waits has to be told
                _settle(batch, error)
            else:
                _settle(batch, None)
                await self._trim(repository, batch)
        self._writer = None

    async def _trim(
        self, repository: EventRepository, batch: list[tuple[StoredEvent, asyncio.Future[None]]]
    ) -> None:
        for event, _ in batch:
            self._written[event.workspace] += 1
            if self._written[event.workspace] >= _TRIM_EVERY:
                del self._written[event.workspace]
                await repository.trim(event.workspace, MAX_EVENTS)

    async def close(self) -> None:
        """Wait for what is still being written."""
        if self._writer is not None:
            await self._writer


def _settle(batch: list[tuple[StoredEvent, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.cancelled():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def _check(data: Any) -> None:
    try:
        size = len(json.dumps(data, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest("An event's data must be made of JSON types") from None
    if size > MAX_EVENT_BYTES:
        raise LimitExceeded(f"An event's data are larger than {MAX_EVENT_BYTES} bytes")
