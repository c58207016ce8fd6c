"""Calls of the gateway that wait for a provider, and every way in which one can end: a reply, an
error, silence, or a provider that leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.rpc.callbacks import Callbacks
from gateway.rpc.values import decode_error
from gateway.wire.codec import unpack_body
from schema.errors import CallTimeout, InvalidMessage, ProviderGone

SETTLING: Final = frozenset({"resolve", "reject", "heartbeat"})

RESUMED_SILENCE_SECONDS: Final = 6.0
"""After a provider came back from a break, how long it may be silent about an earlier call. Longer
than the interval at which it is asked for heartbeats."""

PROBE_SECONDS: Final = 5.0
"""Longest interval at which a provider that sends no heartbeats is asked whether it is there."""


@dataclass(slots=True)
class PendingCall:
    """A call that waits for its provider."""

    target: str
    description: str
    future: asyncio.Future[Any]
    silence_seconds: float
    made_at: float = field(default_factory=time.monotonic)
    heard_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    probe: Callable[[PendingCall], None] | None = None
    """Asks a silent provider whether it is there; for calls without heartbeats."""
    callbacks: Callbacks | None = None

    def hear(self) -> None:
        """The provider has shown that it works on the call."""
        self.heard_at = time.monotonic()

    def settle(self, action: str, body: bytes) -> None:
        """Take ``resolve``, ``reject`` or ``heartbeat`` from the provider."""
        if action == "heartbeat":
            self.hear()
            return
        if self.future.done():
            return
        try:
            args = unpack_body(body).get("args")
            value = args[0] if isinstance(args, list) and args else None
        except InvalidMessage as error:
            self.future.set_exception(error)
            return
        if action == "resolve":
            self.future.set_result(value)
        else:
            self.future.set_exception(decode_error(value))


class PendingCalls:
    """All such calls, by session and by the client they were sent to."""

    def __init__(self) -> None:
        self._calls: dict[str, PendingCall] = {}
        self._by_target: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, session: str) -> PendingCall | None:
        return self._calls.get(session)

    def open(
        self,
        session: str,
        target: str,
        description: str,
        silence_seconds: float,
        probe: Callable[[PendingCall], None] | None = None,
    ) -> PendingCall:
        """Begin to wait. Its future fails with CallTimeout after so much silence; until then
        ``probe`` is called every now and again."""
        loop = asyncio.get_running_loop()
        call = PendingCall(target, description, loop.create_future(), silence_seconds, probe=probe)
        first = silence_seconds if probe is None else min(PROBE_SECONDS, silence_seconds / 2)
        call.timer = loop.call_later(first, self._check_silence, call)
        self._calls[session] = call
        self._by_target.setdefault(target, set()).add(session)
        return call

    def close(self, session: str, call: PendingCall) -> None:
        """Wait no more, whatever the outcome; what was lent to the provider is taken back."""
        self._calls.pop(session, None)
        if call.callbacks is not None:
            call.callbacks.end()
        if call.timer is not None:
            call.timer.cancel()
        if not call.future.cancel() and not call.future.cancelled():
            call.future.exception()  # looked at here, or asyncio would report it as lost
        waiting = self._by_target.get(call.target)
        if waiting is not None:
            waiting.discard(session)
            if not waiting:
                del self._by_target[call.target]

    def peer_gone(self, address: str, *, calls_before: float | None = None) -> None:
        """Fail what waits for a client: all of it, or the calls made before a monotonic time (the
        later ones are kept for its return)."""
        for call in self._of(address):
            if calls_before is not None and call.made_at >= calls_before:
                continue
            if not call.future.done():
                call.future.set_exception(ProviderGone(f"The provider {address} has disconnected"))

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

    def _of(self, address: str) -> list[PendingCall]:
        return [self._calls[session] for session in self._by_target.get(address, ())]

    def _check_silence(self, call: PendingCall) -> None:
        if call.future.done():
            return
        left = max(call.heard_at, call.made_at) + call.silence_seconds - time.monotonic()
        if left > 0:
            if call.probe is not None:
                call.probe(call)
                left = min(left, PROBE_SECONDS, call.silence_seconds / 2)
            call.timer = asyncio.get_running_loop().call_later(left, self._check_silence, call)
            return
        call.future.set_exception(
            CallTimeout(
                f"Method call timed out: {call.description} has sent neither reply nor "
                f"heartbeat for {call.silence_seconds:g} s"
            )
        )
