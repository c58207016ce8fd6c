"""Entries in the audit log for calls of websocket clients: those that the gateway only relays, and
those of services that it hosts.

It does not look into what is relayed. What came of a call is what its provider says of the promise
that it was given; of one without a promise, that it was passed on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.auth.audit import AuditLog
from gateway.routing.session import ClientSession
from gateway.wire.methods import SERVICES, called
from schema.errors import GatewayError
from schema.services import BUILT_IN

WAIT_SECONDS: Final = 60.0
"""How long the outcome of a call is waited for before it is noted without one."""

MAX_OPEN: Final = 100_000

NO_ANSWER: Final = "no_answer"
"""Outcome of a call that nobody has answered, or not yet when it was noted."""

PASSED_ON: Final = "passed_on"
"""Outcome of a call whose caller wanted no answer."""


class _Open(NamedTuple):
    """A call that waits for its outcome."""

    sender: ClientSession
    call: tuple[str, str, str, str]
    began: float
    since: float
    """Monotonic."""


class RelayAudit:
    """What a router tells of calls. ``clock`` gives monotonic seconds."""

    def __init__(self, audit: AuditLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._clock = clock
        self._open: dict[tuple[str, str], _Open] = {}
        """By address of the caller and session of the call, the oldest first."""
        self._timer: asyncio.TimerHandle | None = None
        audit.at_close(self.close)

    def passed(self, sender: ClientSession, to: str, method: str, session: str | None) -> None:
        """A call goes to the client at ``to``."""
        call = _call(to, method)
        if call is None:
            return
        began = self._audit.now()
        if session is None:
            self._audit.note(sender.caller, call, None, began, PASSED_ON, address=sender.remote)
            return
        if len(self._open) >= MAX_OPEN:
            self._give_up(next(iter(self._open)))
        self._open[sender.address, session] = _Open(sender, call, began, self._clock())
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WAIT_SECONDS, self._sweep)

    def refused(self, sender: ClientSession, to: str, method: str, error: GatewayError) -> None:
        """A call of the client at ``to`` is not its sender's to make."""
        call = _call(to, method)
        if call is not None:
            began = self._audit.now()
            self._audit.note(sender.caller, call, None, began, error, address=sender.remote)

    def settled(self, caller: str, session: str, outcome: str) -> None:
        """The client at ``caller`` is told what came of its call."""
        done = self._open.pop((caller, session), None)
        if done is not None:
            self._note(done, outcome)

    def close(self) -> None:
        """Note what is still open."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for key in list(self._open):
            self._give_up(key)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock()
        for key, waiting in list(self._open.items()):
            rest = waiting.since + WAIT_SECONDS - now
            if rest > 0:
                self._timer = asyncio.get_running_loop().call_later(rest, self._sweep)
                return
            self._give_up(key)

    def _give_up(self, key: tuple[str, str]) -> None:
        self._note(self._open.pop(key), NO_ANSWER)

    def _note(self, done: _Open, outcome: str) -> None:
        sender = done.sender
        self._audit.note(sender.caller, done.call, None, done.began, outcome, address=sender.remote)


def _call(to: str, method: str) -> tuple[str, str, str, str] | None:
    """Workspace, door, service and function; None for what is no call of a service that somebody
    offers."""
    if not method.startswith(SERVICES):
        return None
    service_id, function = called(method)
    if service_id == BUILT_IN:
        return None
    return to.partition("/")[0], "websocket", f"{to}:{service_id}", function
