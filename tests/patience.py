"""How long tests wait for what is sure to come, and how they measure what must be quick."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PATIENCE_SECONDS: Final = 120.0
"""Far more than anything takes on a busy machine. A test that passes never waits that long."""


def cpu_seconds(work: Callable[[], object], *, runs: int = 3) -> float:
    """The time on the CPU that ``work`` takes, at best: collecting the garbage of other tests or
    loading a module is no part of it."""
    best = float("inf")
    for _ in range(runs):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best
