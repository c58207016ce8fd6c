"""Logins for which a browser is on its way.

Each is known by the ``state`` that the browser brings back: a secret that only those have seen who
manage the upstream, good for one answer and for a limited time (RFC 6749, section 10.12).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from gateway.auth.digests import digest
from schema.errors import NotFound

LOGIN_SECONDS: Final = 3600.0
"""How long an address to log in at is good. After that there is a new one."""
OUTCOME_SECONDS: Final = 20.0


class LoginAbandoned(Exception):
    """No browser came back with a code; the text says why."""


@dataclass(slots=True)
class Pending:
    """One login. ``outcome`` is None when it has succeeded, else what was wrong."""

    name: str
    answer: asyncio.Future[dict[str, str]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    outcome: asyncio.Future[str | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, problem: str | None) -> None:
        """It is over."""
        if not self.outcome.done():
            self.outcome.set_result(problem)


class LoginCallbacks:
    """See the module. States are looked up by their hash, so that looking takes the same time
    whatever they are like."""

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}

    async def answer(self, state: str, pending: Pending) -> dict[str, str]:
        """Wait for what the browser brings: ``code`` and perhaps ``iss``. Raises LoginAbandoned."""
        key = digest(state)
        self._pending[key] = pending
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                return await pending.answer
        except TimeoutError:
            raise LoginAbandoned("nobody logged in in time") from None
        finally:
            self._pending.pop(key, None)

    async def take(self, state: str, brought: dict[str, str]) -> tuple[str, str | None]:
        """A browser is back, with a code or an error. The name of the upstream, and what was wrong
        if the login has failed. Raises NotFound, for a state that is not waited for."""
        pending = self._pending.pop(digest(state), None)
        if pending is None or pending.answer.done():
            raise NotFound("No login is waiting for this answer. Ask for a new address.")
        if "code" in brought:
            pending.answer.set_result(brought)
        else:
            pending.answer.set_exception(LoginAbandoned("the authorization server said no"))
        try:
            async with asyncio.timeout(OUTCOME_SECONDS):
                return pending.name, await asyncio.shield(pending.outcome)
        except TimeoutError:
            return pending.name, "the authorization server does not answer"
