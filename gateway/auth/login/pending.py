"""Logins that have begun and wait for their user. Each has a key, a short life, and one use.

In memory and bounded. Knows nothing of tokens; whoever waits is woken, nothing polls.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from schema.errors import CallTimeout, Conflict, InvalidRequest, LimitExceeded, Unavailable

MAX_LOGINS: Final = 10_000
_KEY_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What ``report`` leaves for ``check``."""

    token: str
    workspace: str | None
    expires_in: int
    """Seconds that the token is good for, from the report on."""
    user_id: str
    email: str | None = None
    email_verified: bool | None = None
    name: str | None = None
    nickname: str | None = None
    picture: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """The profile as clients get it."""
        return {
            "token": self.token,
            "workspace": self.workspace,
            "expires_in": self.expires_in,
            "email": self.email,
            "email_verified": self.email_verified,
            "name": self.name,
            "nickname": self.nickname,
            "user_id": self.user_id,
            "picture": self.picture,
        }


@dataclass(eq=False, slots=True)
class Login:
    """One login. ``workspace`` and ``expires_in`` are what its program asked for."""

    key: str
    ends_at: float
    workspace: str | None = None
    expires_in: float | None = None
    checker: str | None = None
    """Id of the only user who may check; None for anybody who knows the key."""
    result: LoggedIn | None = None
    waiting: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class PendingLogins:
    """All logins between ``start`` and ``check``. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        life_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_logins: int = MAX_LOGINS,
    ) -> None:
        self._life_seconds = life_seconds
        self._clock = clock
        self._max_logins = max_logins
        self._logins: dict[str, Login] = {}
        """In the order in which they began, which is the order in which they end."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._logins)

    def begin(
        self,
        *,
        workspace: str | None = None,
        expires_in: float | None = None,
        checker: str | None = None,
    ) -> Login:
        """A new login. Raises LimitExceeded if as many as there may be are being waited for, and
        Unavailable."""
        if self._closed:
            raise Unavailable("The server is stopping")
        self._drop_ended()
        if len(self._logins) >= self._max_logins:
            self._drop_abandoned()
        key = secrets.token_urlsafe(_KEY_BYTES)
        ends_at = self._clock() + self._life_seconds
        login = self._logins[key] = Login(key, ends_at, workspace, expires_in, checker)
        return login

    def get(self, key: str) -> Login:
        """Raises InvalidRequest if there is no such login, or no longer."""
        login = self._logins.get(key)
        if login is None or login.ends_at <= self._clock():
            raise InvalidRequest("Invalid key, key does not exist")
        return login

    def complete(self, login: Login, result: LoggedIn) -> None:
        """Settle a login and wake who waits for it. Raises Conflict if it is settled."""
        if login.result is not None:
            raise Conflict("This login is already complete")
        login.result = result
        login.settled.set()

    async def outcome(self, login: Login, seconds: float) -> LoggedIn | None:
        """The result, which is then forgotten; None if there is none and none is waited for.

        All who wait at that moment get it: one of them may be a request whose client has gone.
        Raises CallTimeout after ``seconds``, or when the login ends, and Unavailable.
        """
        if login.result is None and seconds > 0:
            await self._settled(login, seconds)
        if login.result is not None:
            self._logins.pop(login.key, None)
        return login.result

    def close(self) -> None:
        """The server stops: whoever waits is told so at once."""
        self._closed = True
        for login in self._logins.values():
            login.settled.set()

    async def _settled(self, login: Login, seconds: float) -> None:
        seconds = min(seconds, max(0.0, login.ends_at - self._clock()))
        login.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await login.settled.wait()
        except TimeoutError:
            raise CallTimeout(f"Login timeout, waited for {round(seconds, 1):g} seconds") from None
        finally:
            login.waiting -= 1
        if self._closed and login.result is None:
            raise Unavailable("The server is stopping")

    def _drop_ended(self) -> None:
        now = self._clock()
        while self._logins:
            oldest = next(iter(self._logins.values()))
            if oldest.ends_at > now:
                return
            del self._logins[oldest.key]

    def _drop_abandoned(self) -> None:
        """Make room by the oldest login that nobody waits for: who floods the store with logins
        of no consequence throws out those, and not the ones of clients in earnest."""
        for key, login in self._logins.items():
            if not login.waiting:
                del self._logins[key]
                return
        raise LimitExceeded("Too many logins are waiting for their users", retry_after_seconds=30)
