"""Calls of the gateway that wait for a provider, and every way in which one can end: a reply, an
error, silence, or a provider that leaves."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.rpc.callbacks import Callbacks
from gateway.rpc.values import decode_error
from gateway.wire.codec import unpack_body
from schema.errors import CallTimeout, GatewayError, InvalidMessage, ProviderGone, ServiceError

SETTLING: Final = frozenset({"resolve", "reject", "heartbeat"})

RESUMED_SILENCE_SECONDS: Final = 6.0
"""After a provider came back from a break, how long it may be silent about an earlier call. Longer
than the interval at which it is asked for heartbeats."""

PROBE_SECONDS: Final = 5.0
"""Longest interval at which a provider that sends no heartbeats is asked whether it is there."""

TIMER_SECONDS: Final = 0.01
"""By how much a timer may be early."""


@dataclass(slots=True, eq=False)
class Awaited(ABC):
    """Something that a provider has to answer."""

    target: str
    description: str
    silence_seconds: float
    made_at: float = field(default_factory=time.monotonic)
    heard_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    probe: Callable[[Awaited], None] | None = None
    """Asks a silent provider whether it is there; for calls without heartbeats."""
    callbacks: Callbacks | None = None

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Nothing is waited for any more, or not at present."""

    @abstractmethod
    def succeed(self, value: Any, size: int, frame: bytes) -> None:
        """The provider has answered, with a message whose body has so many bytes; ``frame`` is the
        whole of it, or empty if it came in chunks. It is not over."""

    @abstractmethod
    def fail(self, error: GatewayError) -> None:
        """There will be no answer. It is not over."""

    @property
    def probe_seconds(self) -> float:
        """How long the provider may be silent until it is asked."""
        return min(PROBE_SECONDS, self.silence_seconds / 2)

    def hear(self) -> None:
        """The provider has shown that it works on the call."""
        self.heard_at = time.monotonic()

    def settle(self, action: str, body: bytes, frame: bytes) -> None:
        """Take ``resolve``, ``reject`` or ``heartbeat`` from the provider; see ``succeed``."""
        if action == "heartbeat":
            self.hear()
            return
        if self.is_over:
            return
        try:
            args = unpack_body(body).get("args")
            value = args[0] if isinstance(args, list) and args else None
        except InvalidMessage as error:
            self.fail(ServiceError(f"The answer cannot be read: {error.message}"))
            return
        if action == "resolve":
            self.succeed(value, len(body), frame)
        else:
            self.fail(decode_error(value))


@dataclass(slots=True, eq=False)
class PendingCall(Awaited):
    """A call that waits for its provider."""

    future: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def is_over(self) -> bool:
        return self.future.done()

    def succeed(self, value: Any, size: int, frame: bytes) -> None:
        self.future.set_result(value)

    def fail(self, error: GatewayError) -> None:
        self.future.set_exception(error)


class PendingCalls:
    """All that is waited for, by session and by the client that has to answer."""

    def __init__(self) -> None:
        self._calls: dict[str, Awaited] = {}
        self._by_target: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, session: str) -> Awaited | None:
        return self._calls.get(session)

    def open(
        self, session: str, target: str, description: str, silence_seconds: float
    ) -> PendingCall:
        """Begin to wait. Its future fails with CallTimeout after so much silence."""
        call = PendingCall(target, description, silence_seconds)
        self.add(session, call)
        return call

    def add(self, session: str, call: Awaited) -> None:
        """Begin to wait. What has been waited for before keeps its timer as long as it is asked
        for again and again. With a ``probe``, that is called in times of silence."""
        if call.timer is None:
            first = call.silence_seconds if call.probe is None else call.probe_seconds
            call.timer = asyncio.get_running_loop().call_later(first, self._check_silence, call)
        self._calls[session] = call
        self._by_target.setdefault(call.target, set()).add(session)

    def renew(self, session: str, new_session: str, call: Awaited) -> None:
        """Wait for the next answer in place of the one that has come."""
        del self._calls[session]
        self._calls[new_session] = call
        waiting = self._by_target[call.target]
        waiting.discard(session)
        waiting.add(new_session)

    def remove(self, session: str, call: Awaited) -> None:
        """Wait no more; the timer ends by itself."""
        self._calls.pop(session, None)
        waiting = self._by_target.get(call.target)
        if waiting is not None:
            waiting.discard(session)
            if not waiting:
                del self._by_target[call.target]

    def close(self, session: str, call: PendingCall) -> None:
        """Wait no more, whatever the outcome; what was lent to the provider is taken back."""
        self.remove(session, call)
        if call.callbacks is not None:
            call.callbacks.end()
        if call.timer is not None:
            call.timer.cancel()
        if not call.future.cancel() and not call.future.cancelled():
            call.future.exception()  # looked at here, or asyncio would report it as lost

    def peer_gone(self, address: str, *, calls_before: float | None = None) -> None:
        """Fail what waits for a client: all of it, or the calls made before a monotonic time (the
        later ones are kept for its return)."""
        for call in self._of(address):
            if calls_before is not None and call.made_at >= calls_before:
                continue
            if not call.is_over:
                call.fail(ProviderGone(f"The provider {address} has disconnected"))

    def peer_resumed(self, address: str, away_since: float) -> None:
        """A client is back after a break. What was sent to it just before may be lost with the old
        connection, so it has to show soon that it works on the calls from before."""
        for call in self._of(address):
            if call.made_at < away_since and call.timer is not None:
                call.timer.cancel()
                call.hear()
                call.silence_seconds = min(call.silence_seconds, RESUMED_SILENCE_SECONDS)
                call.timer = asyncio.get_running_loop().call_later(
                    call.silence_seconds, self._check_silence, call
                )

    def _of(self, address: str) -> list[Awaited]:
        return [self._calls[session] for session in self._by_target.get(address, ())]

    def _check_silence(self, call: Awaited) -> None:
        call.timer = None
        if call.is_over:
            return
        quiet = time.monotonic() - max(call.heard_at, call.made_at)
        left = call.silence_seconds - quiet
        if left > 0:
            if call.probe is not None:
                left = min(left, _probed(call, call.probe, quiet))
            call.timer = asyncio.get_running_loop().call_later(left, self._check_silence, call)
            return
        call.fail(
            CallTimeout(
                f"Method call timed out: {call.description} has sent neither reply nor "
                f"heartbeat for {call.silence_seconds:g} s"
            )
        )


def _probed(call: Awaited, probe: Callable[[Awaited], None], quiet: float) -> float:
    """Ask a provider that has been silent for long enough. Returns when to look again."""
    left = call.probe_seconds - quiet
    if left > TIMER_SECONDS:
        return left  # the timer is that of an earlier call
    probe(call)
    return call.probe_seconds
