"""Slow down who guesses: after some failures a subject has to wait, each time twice as long."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from schema.errors import LimitExceeded

FIRST_WAIT_SECONDS: Final = 15.0
LONGEST_WAIT_SECONDS: Final = 900.0
FORGET_SECONDS: Final = 3600.0
_KEPT: Final = 20_000


class Throttle:
    """Counts failures by subject. In memory and bounded; ``clock`` gives monotonic seconds."""

    def __init__(self, free: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``free`` failures cost nothing."""
        self._free = free
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float, float]] = OrderedDict()
        """Number, when the last was, and until when to wait."""

    def check(self, subject: str) -> None:
        """Raises LimitExceeded while the subject has to wait."""
        _, _, until = self._failures.get(subject, (0, 0.0, 0.0))
        left = until - self._clock()
        if left > 0:
            raise LimitExceeded("Too many attempts. Try again later.", retry_after_seconds=left)

    def failed(self, subject: str) -> None:
        """Count one."""
        now = self._clock()
        number, last, _ = self._failures.pop(subject, (0, now, 0.0))
        number = 1 if now - last > FORGET_SECONDS else number + 1
        over = number - self._free
        wait = 0.0
        if over >= 0:
            wait = min(FIRST_WAIT_SECONDS * 2 ** min(over, 16), LONGEST_WAIT_SECONDS)
        self._failures[subject] = (number, now, now + wait)
        if len(self._failures) > _KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, subject: str) -> None:
        """Forget its failures."""
        self._failures.pop(subject, None)
