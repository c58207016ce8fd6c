"""What waits inside a connection that is idle nearly always: an inbox and a gate.

They do what a connection asks of ``asyncio.Queue`` and ``asyncio.Event``, which take four kilobytes
of every connection for the queues of waiters that they keep ready.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Inbox:
    """Messages for one reader, in order."""

    __slots__ = ("_gate", "_messages")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._gate = Gate()

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        self._gate.set()

    async def get(self) -> Any:
        """The next message, once there is one."""
        while not self._messages:
            self._gate.clear()
            await self._gate.wait()
        return self._messages.pop(0)


class Gate:
    """Open or shut; whoever comes while it is shut waits."""

    __slots__ = ("_is_open", "_waiting")

    def __init__(self, *, is_open: bool = False) -> None:
        self._is_open = is_open
        self._waiting: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        return self._is_open

    def set(self) -> None:
        self._is_open = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        self._is_open = False

    async def wait(self) -> None:
        """Return when the gate is open, or was open since the call."""
        if self._is_open:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            self._waiting.remove(waiter)
