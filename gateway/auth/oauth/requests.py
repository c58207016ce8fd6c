"""Authorization requests between the client's first redirect and its last, and codes: short-lived,
in memory, bounded, and each bound to the browser in which it began."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from gateway.auth.login.pending import Login
from gateway.auth.oauth.clients import OAuthClient
from gateway.auth.oauth.resources import Resource
from schema.identity import User

REQUEST_SECONDS: Final = 600.0
CODE_SECONDS: Final = 60.0
MAX_ENTRIES: Final = 10_000
_BYTES: Final = 32


@dataclass(slots=True)
class AuthorizationRequest:
    """What a client asks for."""

    client: OAuthClient
    redirect_uri: str
    challenge: str
    resource: Resource
    scopes: tuple[str, ...]
    state: str | None
    login: Login
    browser: str = field(default_factory=lambda: secrets.token_urlsafe(_BYTES))
    """Known to the browser alone (in a cookie)."""
    form: str = field(default_factory=lambda: secrets.token_urlsafe(_BYTES))
    """Known to the consent page alone."""
    user: User | None = None
    """Who has logged in."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a user has allowed a client, in exchange for its code."""

    client_id: str
    redirect_uri: str
    challenge: str
    resource: Resource
    scope: str
    user: User
    grant_id: str


_T = TypeVar("_T")


class Expiring(Generic[_T]):
    """Values under unguessable keys, each for the same time. ``clock`` gives monotonic seconds."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, _T]] = OrderedDict()

    def put(self, value: _T, key: str | None = None) -> str:
        """Keep a value and return its key; the oldest goes if there are too many."""
        now = self._clock()
        while self._values and next(iter(self._values.values()))[0] <= now:
            self._values.popitem(last=False)
        if len(self._values) >= MAX_ENTRIES:
            self._values.popitem(last=False)
        key = key or secrets.token_urlsafe(_BYTES)
        self._values[key] = (now + self._seconds, value)
        return key

    def get(self, key: str) -> _T | None:
        found = self._values.get(key)
        return found[1] if found is not None and found[0] > self._clock() else None

    def take(self, key: str) -> _T | None:
        """The value, which is then forgotten."""
        value = self.get(key)
        self._values.pop(key, None)
        return value
