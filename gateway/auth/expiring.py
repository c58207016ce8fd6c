"""Values that are kept for a short while under keys that nobody can guess. In memory, bounded."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

MAX_ENTRIES: Final = 10_000
_BYTES: Final = 32

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
