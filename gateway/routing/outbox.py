"""What is on its way to one peer: written at once if the connection takes it, else kept in order
within a budget. A sender never waits for a slow receiver; a receiver over budget is dropped.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any, Final

Send = Callable[[bytes], Coroutine[Any, Any, None]]
Write = Callable[[bytes], bool]
"""Write a frame now, or return False if it has to wait."""


FAIR_BYTES: Final = 1024 * 1024
"""What may wait for one client whatever waits for the others."""


class Backlog:
    """What waits for all clients together: each within its own budget, many slow readers would
    still take all memory."""

    __slots__ = ("max_bytes", "queued_bytes")

    def __init__(self, max_bytes: float = math.inf) -> None:
        self.max_bytes = max_bytes
        self.queued_bytes = 0


class Outbox:
    """Frames for one connection, in order.

    A new outbox is corked: it keeps frames until ``uncork`` names where to send them, so that
    nothing overtakes the first message of a connection and nothing is lost between two.

    ``send`` writes one frame, and before that suspends while the connection is full (as ``send`` of
    uvicorn does); a frame in suspense counts as not sent. ``on_failure`` is called once with a
    reason when the peer must be given up, because it reads too slowly: more than ``max_bytes``
    wait, or nothing was taken for ``stall_seconds``, or much waits for it and too much in the
    ``backlog`` of all. A write that fails corks the outbox again:
    that the connection broke is for its reader to notice, who knows what follows from it.
    """

    __slots__ = (
        "_backlog",
        "_closed",
        "_max_bytes",
        "_on_failure",
        "_queue",
        "_queued_bytes",
        "_send",
        "_stall_seconds",
        "_write",
        "_writer",
    )

    def __init__(
        self,
        *,
        max_bytes: int,
        stall_seconds: float,
        on_failure: Callable[[str], None],
        backlog: Backlog | None = None,
    ) -> None:
        self._backlog = backlog or Backlog()
        self._send: Send | None = None
        self._write: Write | None = None
        self._max_bytes = max_bytes
        self._stall_seconds = stall_seconds
        self._on_failure = on_failure
        self._queue: deque[bytes] | None = None
        self._queued_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def queued_bytes(self) -> int:
        """What waits because the connection does not take it."""
        return self._queued_bytes

    def put(self, frame: bytes) -> None:
        """Take a frame to send. Never blocks and never raises."""
        if self._closed:
            return
        if self._send is None or self._writer is not None:
            self._enqueue(frame)
        elif self._write is None or not self._write(frame):
            self._start(self._send, frame)

    def uncork(self, send: Send, write: Write | None = None) -> None:
        """Send what has been kept, and from now on what comes; by ``write`` where it can."""
        self._send = send
        self._write = write
        kept, self._queue = self._queue, None
        self._count(-self._queued_bytes)
        for frame in kept or ():
            self.put(frame)

    def adopt(self, other: Outbox) -> None:
        """Take over what another outbox, of the same client, has not sent."""
        kept = other._queue
        other.close()
        for frame in kept or ():
            self.put(frame)

    def _start(self, send: Send, frame: bytes) -> None:
        # Nearly always the connection has room and the write finishes without suspending, so the
        # first step is run here; a task is only made for a write that has to wait.
        writing = send(frame)
        try:
            waits_for = writing.send(None)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 - whatever the transport raises, the connection broke
            self._cork()
            self._enqueue(frame)
            return
        self._queue = deque([frame])
        self._count(len(frame))
        self._writer = asyncio.get_running_loop().create_task(
            self._drain(send, _resume(writing, waits_for))
        )

    def close(self) -> None:
        """Drop what waits and take nothing more."""
        self._closed = True
        self._queue = None
        self._count(-self._queued_bytes)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.cancel()

    @property
    def waiting_bytes(self) -> int:
        """Bytes taken but not yet given to the connection."""
        return self._queued_bytes

    async def flushed(self) -> None:
        """Return when everything taken so far is written, or the outbox is closed."""
        writer = self._writer
        if writer is not None:
            await asyncio.wait([writer])

    def _enqueue(self, frame: bytes) -> None:
        self._count(len(frame))
        queued, backlog = self._queued_bytes, self._backlog
        is_over = backlog.queued_bytes > backlog.max_bytes and queued > FAIR_BYTES
        if is_over or queued > self._max_bytes:
            self._fail("too much data is waiting for a client that reads too slowly")
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(frame)

    def _count(self, size: int) -> None:
        self._queued_bytes += size
        self._backlog.queued_bytes += size

    async def _drain(self, send: Send, first: Awaitable[None]) -> None:
        # A frame stays in the queue until it is written, for a connection that breaks meanwhile.
        writing: Awaitable[None] = first
        try:
            while self._queue:
                async with asyncio.timeout(self._stall_seconds):
                    await writing
                self._count(-len(self._queue.popleft()))
                if self._queue:
                    writing = send(self._queue[0])
        except TimeoutError:
            self._writer = None
            self._fail("the client has stopped reading")
        except Exception:  # noqa: BLE001 - whatever the transport raises, the connection broke
            self._writer = None
            self._cork()
        else:
            self._writer = None
            self._queue = None

    def _cork(self) -> None:
        self._send = self._write = None

    def _fail(self, reason: str) -> None:
        if self._closed:
            return
        self.close()
        self._on_failure(reason)


@coroutine
def _resume(writing: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that has already run to its first suspension at ``waits_for``."""
    while True:
        thrown: BaseException | None = None
        sent: Any = None
        try:
            sent = yield waits_for
        except BaseException as error:  # noqa: BLE001 - the coroutine decides what it does with it
            thrown = error
        try:
            waits_for = writing.throw(thrown) if thrown else writing.send(sent)
        except StopIteration:
            return
