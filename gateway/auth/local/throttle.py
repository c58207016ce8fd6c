"""Slow down who guesses: after some failures a subject has to wait, each time twice as long."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from gateway.storage.rows import LoginFailures
from schema.errors import LimitExceeded

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.login_failures import LoginFailureRepository

FIRST_WAIT_SECONDS: Final = 15.0
LONGEST_WAIT_SECONDS: Final = 900.0
FORGET_SECONDS: Final = 3600.0
MAX_SUBJECTS: Final = 20_000
"""Of each kind; above that the longest quiet are forgotten."""


class Throttle:
    """Counts failures by kind and subject, in memory and on disk.

    ``free`` says for each kind how many failures cost nothing; ``key`` hides the subjects on disk;
    ``clock`` gives Unix seconds. Await ``load`` before anything else, and ``save`` afterwards: in
    between nothing is waited for, so that many attempts at the same time are many.
    """

    def __init__(
        self,
        free: Mapping[str, int],
        repository: LoginFailureRepository,
        key: bytes,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._free = free
        self._repository = repository
        self._key = key
        self._clock = clock
        self._failures: dict[str, OrderedDict[str, LoginFailures]] = {
            kind: OrderedDict() for kind in free
        }
        self._changed: set[tuple[str, str]] = set()
        self._is_loaded = False
        self._storing = asyncio.Lock()

    async def load(self) -> None:
        """Read what earlier processes have counted, once."""
        if self._is_loaded:
            return
        async with self._storing:
            if self._is_loaded:
                return
            for failures in await self._repository.load(self._clock() - FORGET_SECONDS):
                if failures.kind in self._failures:
                    self._failures[failures.kind][failures.subject] = failures
            self._is_loaded = True

    async def save(self) -> None:
        """Write what has changed."""
        async with self._storing:
            changed, self._changed = self._changed, set()
            if not changed:
                return
            kept = [f for k, s in changed if (f := self._failures[k].get(s)) is not None]
            gone = [(k, s) for k, s in changed if s not in self._failures[k]]
            await self._repository.save(kept, gone)

    def check(self, kind: str, subject: str) -> None:
        """Raises LimitExceeded while the subject has to wait."""
        failures = self._failures[kind].get(self._digest(subject))
        left = failures.wait_until - self._clock() if failures is not None else 0.0
        if left > 0:
            raise LimitExceeded("Too many attempts. Try again later.", retry_after_seconds=left)

    def failed(self, kind: str, subject: str) -> None:
        """Count one."""
        now = self._clock()
        name = self._digest(subject)
        all_failures = self._failures[kind]
        earlier = all_failures.pop(name, None)
        number = 1
        if earlier is not None and now - earlier.last_at <= FORGET_SECONDS:
            number += earlier.number
        over = number - self._free[kind]
        wait = 0.0
        if over >= 0:
            wait = min(FIRST_WAIT_SECONDS * 2 ** min(over, 16), LONGEST_WAIT_SECONDS)
        all_failures[name] = LoginFailures(kind, name, number, now, now + wait)
        self._changed.add((kind, name))
        if len(all_failures) > MAX_SUBJECTS:
            forgotten, _ = all_failures.popitem(last=False)
            self._changed.add((kind, forgotten))

    def succeeded(self, kind: str, subject: str) -> None:
        """Forget its failures."""
        name = self._digest(subject)
        if self._failures[kind].pop(name, None) is not None:
            self._changed.add((kind, name))

    def _digest(self, subject: str) -> str:
        text = f"failures {subject}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, "sha256").hex()
