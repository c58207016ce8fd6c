"""How an upstream is started again, and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway.upstreams import supervisor as module
from gateway.upstreams.supervisor import State, Supervisor, describe
from schema.errors import ProviderGone
from tests.patience import PATIENCE_SECONDS

FIRST = 0.01


class Attempts:
    """Notes when it is started; every attempt fails, or the first ones do."""

    def __init__(self, failing: int = 1_000) -> None:
        self.at: list[float] = []
        self._failing = failing
        self.enough = asyncio.Event()
        self.wanted = 5

    async def __call__(self, ready: Callable[[], None]) -> None:
        self.at.append(time.monotonic())
        if len(self.at) == self.wanted:
            self.enough.set()
        if len(self.at) <= self._failing:
            raise ProviderGone("no licence")
        ready()
        await asyncio.Event().wait()


async def test_the_pauses_between_attempts_grow() -> None:
    attempts = Attempts()
    supervisor = Supervisor("a", attempts, first_pause_seconds=FIRST)
    supervisor.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await attempts.enough.wait()
    await supervisor.stop()
    gaps = [b - a for a, b in zip(attempts.at, attempts.at[1:], strict=False)]
    for number, gap in enumerate(gaps):
        assert gap >= FIRST * 2**number * 0.8
    assert supervisor.failures >= 4
    assert supervisor.reason == "no licence"


async def test_they_grow_to_half_a_minute_and_not_further(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.MAX_PAUSE_SECONDS == 30
    monkeypatch.setattr(module, "MAX_PAUSE_SECONDS", FIRST)
    attempts = Attempts()
    attempts.wanted = 30
    supervisor = Supervisor("a", attempts, first_pause_seconds=FIRST)
    supervisor.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await attempts.enough.wait()
    await supervisor.stop()


async def test_whoever_waits_cuts_the_first_pause_short_and_no_other() -> None:
    attempts = Attempts(failing=1)
    supervisor = Supervisor("a", attempts, first_pause_seconds=60)
    supervisor.start()
    await supervisor.until(lambda: supervisor.state is State.RUNNING, 10)
    assert supervisor.state is State.RUNNING
    assert supervisor.reason is None
    await supervisor.stop()

    broken = Attempts()
    supervisor = Supervisor("b", broken, first_pause_seconds=60)
    supervisor.start()
    await supervisor.until(lambda: supervisor.failures == 2, 10)
    await supervisor.until(lambda: supervisor.failures == 3, 0.1)
    assert supervisor.failures == 2, "callers do not make it start all the time"
    await supervisor.stop()
    assert supervisor.state is State.STOPPED


async def test_a_restart_forgets_what_has_failed() -> None:
    attempts = Attempts(failing=1)
    supervisor = Supervisor("a", attempts, first_pause_seconds=60)
    supervisor.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while supervisor.failures == 0:
            await asyncio.sleep(0)
    await supervisor.restart()
    await supervisor.until(lambda: supervisor.state is State.RUNNING, 10)
    assert (supervisor.failures, supervisor.starts) == (0, 2)
    await supervisor.stop()


def test_a_failure_is_described_in_one_line() -> None:
    nested = ExceptionGroup("several", [ExceptionGroup("more", [ValueError("bad\nworse")])])
    assert describe(nested) == "ValueError: bad"
    assert describe(ProviderGone("it has left")) == "it has left"
    assert describe(TimeoutError()) == "it did not start in time"
    assert len(describe(ValueError("x" * 10_000))) == 300
