"""The steps of a generator: one call of a client, made again and again.

What is the same in all of them is made once: the message, in which only the id of the step changes,
the record of what is waited for, and the timer that watches for silence.

A reader is woken for each item, and the next one is made when it asks. Where items come in a rush
that would cost more than all the rest. So while a reader waits and items follow each other closely,
the next one is asked for as soon as one has come, and the reader gets them in handfuls.

The replies are alike as well. From the first one it is known how the next will begin, and while it
does, only its value is decoded (``gateway.routing.replies``).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gateway.routing.replies import ExpectedReplies
from gateway.routing.router import Router
from gateway.rpc.pending import Awaited, PendingCalls
from gateway.wire.codec import unpack
from schema.errors import GatewayError, InvalidMessage, ProviderGone
from schema.values import RTYPE, STOP_ITERATION, rtype

RUSH_SECONDS: Final = 0.002
"""Items that come within this time follow each other closely, and wait no longer than that."""

MAX_AHEAD: Final = 32
MAX_AHEAD_BYTES: Final = 16 * 1024
"""What a generator makes before its reader has taken it."""

_NUMBER: Final = "%012x"
"""Of one length for all steps that there can be, so that the rest of the message stays as it is."""

_BODY_OF_ONE_VALUE: Final = b"\x81\xa4args\x91"
"""How the body of a reply begins: a map with nothing but ``args``, a list of one. Then comes the
value, and nothing else."""


class Steps(Awaited):
    """Calls of ``method`` of the client at ``target``, one after the other; read by one task."""

    __slots__ = (
        "_ahead_bytes", "_came_at", "_expected", "_failure", "_head", "_head_parts", "_is_closed",
        "_limit", "_name", "_number", "_parts", "_pending", "_ready", "_router", "_session",
        "_waiter", "_wake_timer",
    )  # fmt: skip

    def __init__(
        self,
        router: Router,
        pending: PendingCalls,
        target: str,
        method: str,
        message: Callable[[str], bytes],
        *,
        silence_seconds: float,
        probe: Callable[[Awaited], None],
    ) -> None:
        """``message`` makes that of a step from its session, which it may contain several times."""
        super().__init__(target, method, silence_seconds, probe=probe)
        self._router = router
        self._pending = pending
        self._limit = silence_seconds
        self._ready: deque[Any] = deque()
        self._ahead_bytes = 0
        self._came_at = float("-inf")
        self._failure: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wake_timer: asyncio.TimerHandle | None = None
        self._session: str | None = None
        self._is_closed = False
        self._number = 0
        self._name = secrets.token_urlsafe(12)
        session = self._name + _NUMBER % 0
        self._parts = message(session).split(session.encode())
        self._head_parts: list[bytes] = []
        """How replies begin, between the places of the session; empty until one has come."""
        self._head = b""
        self._expected: ExpectedReplies | None = None
        """Where ``_head`` is expected."""

    # What the reader does

    async def next(self) -> Any:
        """The outcome of the next step. Raises ServiceError, ProviderGone and CallTimeout."""
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            if self._is_closed:
                return {RTYPE: STOP_ITERATION}
            if self._session is None:
                self._ask()
                continue
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self._settled()
                raise
            finally:
                self._waiter = None
        return self._ready.popleft()

    def ready(self) -> list[Any]:
        """What has come already, up to the end; it is not given out again."""
        ready = self._ready
        count = len(ready)
        if count and rtype(ready[-1]) == STOP_ITERATION:
            count -= 1  # whoever asks for more is told
        return [ready.popleft() for _ in range(count)]

    def close(self) -> None:
        """Ask for nothing more, and wait no more for what has been asked for: who does has come to
        the end."""
        self._is_closed = True
        self._settled()
        self._wake()

    # What the provider does

    @property
    def is_over(self) -> bool:
        return self._session is None

    def succeed(self, value: Any, size: int, frame: bytes) -> None:
        if self._session is not None and frame.startswith(_BODY_OF_ONE_VALUE, len(frame) - size):
            head = frame[: len(frame) - size + len(_BODY_OF_ONE_VALUE)]
            self._head_parts = head.split(self._session.encode())
        self._arrived(value, size)

    def fail(self, error: GatewayError) -> None:
        self._settled()
        self._failure = error
        self._wake()

    def _take_value(self, packed: bytes) -> bool:
        """The value of a reply that began as expected."""
        try:
            value = unpack(packed)
        except InvalidMessage:
            return False
        self._arrived(value, len(packed))
        return True

    def _arrived(self, value: Any, size: int) -> None:
        self._ready.append(value)
        if self._waiter is None:
            self._settled()
            return
        now = time.monotonic()
        is_rush, self._came_at = now - self._came_at < RUSH_SECONDS, now
        self._ahead_bytes += size
        is_full = len(self._ready) >= MAX_AHEAD or self._ahead_bytes >= MAX_AHEAD_BYTES
        if is_full or not is_rush or rtype(value) == STOP_ITERATION:
            self._settled()
            self._wake()
            return
        self._ask()
        if self._wake_timer is None:
            loop = asyncio.get_running_loop()
            self._wake_timer = loop.call_later(RUSH_SECONDS, self._wake)

    def _ask(self) -> None:
        self._number += 1
        last, self._session = self._session, self._name + _NUMBER % self._number
        self.made_at = time.monotonic()
        self.silence_seconds = self._limit  # after a break it was less
        if last is None:
            self._pending.add(self._session, self)
        else:
            self._pending.renew(last, self._session, self)
        session = self._session.encode()
        target = self._router.get(self.target)
        if target is None:
            self.fail(ProviderGone(f"The provider {self.target} is not connected", delivered=False))
            return
        if self._head_parts:
            if target.expected is None:
                target.expected = ExpectedReplies()
            self._expected, self._head = target.expected, session.join(self._head_parts)
            self._expected.expect(self._head, self._take_value)
        target.outbox.put(session.join(self._parts))

    def _settled(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._pending.remove(session, self)
            self._forget_head()

    def _forget_head(self) -> None:
        if self._expected is not None:
            self._expected.forget(self._head)

    def _wake(self) -> None:
        self._ahead_bytes = 0
        if self._wake_timer is not None:
            self._wake_timer.cancel()
            self._wake_timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
