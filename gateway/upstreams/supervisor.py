"""Keeps an upstream running: start, watch, and start again, with pauses that grow meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final

from gateway.upstreams.login.needed import CannotLogIn, NeedsLogin, needed_by
from schema.errors import GatewayError

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.25
MAX_PAUSE_SECONDS: Final = 30.0
STABLE_SECONDS: Final = 30.0
"""An upstream that ran for so long is started again as if it had never failed."""

_MAX_REASON: Final = 300


class State(Enum):
    """What an upstream is doing."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """It failed, and is started again after a pause."""
    NEEDS_LOGIN = "needs login"
    """An administrator has to log the gateway in."""
    STOPPED = "stopped"


class Supervisor:
    """Runs ``serve`` again and again, which connects, calls ``ready``, and returns or raises when
    the upstream is lost."""

    def __init__(
        self,
        name: str,
        serve: Callable[[Callable[[], None]], Awaitable[None]],
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        is_away: Callable[[], None] = lambda: None,
    ) -> None:
        """``is_away`` is called when it is clear that the upstream does not run soon: with every
        failure after the first, and when it waits for a login."""
        self._name = name
        self._serve = serve
        self._first_pause = first_pause_seconds
        self._is_away = is_away
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        self.state = State.STOPPED
        self.failures = 0
        """In a row."""
        self.starts = 0
        self.reason: str | None = None
        """Why it is not running, for its operator."""
        self.since = time.time()
        """Unix seconds of the last change of the state."""

    def start(self) -> None:
        """Begin; does nothing if it has begun."""
        if self._task is None:
            self._enter(State.STARTING)
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End the upstream and wait for that."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._enter(State.STOPPED)

    async def restart(self) -> None:
        """End it and begin anew, without a pause."""
        await self.stop()
        self.failures = 0
        self.start()

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until a condition holds that comes with a state, at most so long, and not for one
        that was stopped. The first pause between two attempts is cut short."""
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._task is not None and not condition():
                    await self._changed.wait()

    def to_wire(self) -> dict[str, Any]:
        """How it is, as lists show it."""
        return {
            "state": self.state.value,
            "since": self.since,
            "starts": self.starts,
            "failures": self.failures,
            "reason": self.reason,
        }

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self.since = time.time()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _run(self) -> None:
        while True:
            self._enter(State.STARTING)
            self.starts += 1
            began = time.monotonic()
            needed = await self._served()
            if self._task is not asyncio.current_task():
                return  # stopped just as it failed: the cancellation may be lost in the failure
            if needed is not None:
                self.failures = 0
                self._enter(State.NEEDS_LOGIN)
                self._is_away()
                await needed.over.wait()
                continue
            if time.monotonic() - began > STABLE_SECONDS:
                self.failures = 0
            self.failures += 1
            self._enter(State.WAITING)
            if self.failures > 1:
                self._is_away()
            pause = self._pause()
            log = logger.warning if self.failures <= 1 else logger.info
            log("upstream_lost name=%s reason=%r pause=%.1f", self._name, self.reason, pause)
            await self._wait(pause)

    async def _served(self) -> NeedsLogin | None:
        """Until the upstream is lost. The login that it is lost for, if that is why."""
        try:
            await self._serve(self._ready)
            self.reason = "the connection was lost"
        except asyncio.CancelledError:
            raise
        except BaseExceptionGroup as group:
            if _is_ours(group):
                raise
            self.reason = describe(group)
            return needed_by(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            self.reason = describe(error)
            return needed_by(error)
        return None

    def _ready(self) -> None:
        self.reason = None
        self._hurry.clear()
        self._enter(State.RUNNING)

    def _pause(self) -> float:
        pause = min(MAX_PAUSE_SECONDS, self._first_pause * 2.0 ** min(self.failures - 1, 16))
        return pause * random.uniform(0.8, 1.2)

    async def _wait(self, pause: float) -> None:
        """A call that comes meanwhile ends the first pauses; later ones it has to wait for, so that
        callers cannot make a broken server start all the time."""
        if self.failures > 1:
            await asyncio.sleep(pause)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._hurry.wait()


def describe(error: BaseException) -> str:
    """A failure in one line for the operator."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, CannotLogIn):
        return error.reason[:_MAX_REASON]
    text = error.message if isinstance(error, GatewayError) else str(error)
    line = text.strip().splitlines()[0] if text.strip() else ""
    name = type(error).__name__
    if isinstance(error, TimeoutError) and not line:
        return "it did not start in time"
    return (line if isinstance(error, GatewayError) else f"{name}: {line}")[:_MAX_REASON]


def _is_ours(group: BaseExceptionGroup[Any]) -> bool:
    """Whether it is the end of this program rather than a failure of the upstream."""
    return group.subgroup((KeyboardInterrupt, SystemExit)) is not None
