"""How long a request waits for its answer: as long as its client does.

A call whose client has left is given up; how long it may take at most can be said with
``?_timeout=SECONDS`` or ``Prefer: wait=SECONDS`` (RFC 7240 section 4.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Final, TypeVar

from http_proxy.arguments import TIMEOUT
from http_proxy.request import ClientGone, Request
from http_proxy.streams import disconnected
from schema.errors import CallTimeout, InvalidRequest

WATCH_AFTER_SECONDS: Final = 0.2
"""A call that is answered sooner ends before anybody could have left, and is not watched."""

MAX_SECONDS: Final = 86400.0

_Result = TypeVar("_Result")


def limit_of(request: Request, query: Mapping[str, str]) -> float | None:
    """Seconds that the caller is ready to wait; None: any time. Raises InvalidRequest for a
    parameter that is no such number; a preference is then ignored, as the RFC wants it."""
    text = query.get(TIMEOUT)
    if text is not None:
        limit = _seconds(text)
        if limit is None:
            raise InvalidRequest(f"A time to wait is a number of seconds, not {text[:40]!r}")
        return limit
    prefer = request.headers.get(b"prefer")
    text = _preferred(prefer.decode("latin-1")) if prefer is not None else None
    return _seconds(text) if text is not None else None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds <= MAX_SECONDS else None


def _preferred(header: str) -> str | None:
    for preference in header.replace(";", ",").split(","):
        name, equals, value = preference.partition("=")
        if equals and name.strip().lower() == "wait":
            return value.strip().strip('"')
    return None


async def waited_for(
    call: Awaitable[_Result], request: Request, limit_seconds: float | None
) -> _Result:
    """The result of a call. Raises ClientGone if the client leaves first, CallTimeout, or what the
    call raises."""
    watch = _Watch(request)
    try:
        return await within(limit_seconds, call)
    except asyncio.CancelledError:
        if not watch.has_fired:
            raise
        watch.task.uncancel()
        raise ClientGone from None
    finally:
        watch.stop()


async def within(limit_seconds: float | None, call: Awaitable[_Result]) -> _Result:
    """The result of a call, whatever its client does meanwhile. Raises CallTimeout, or what the
    call raises."""
    if limit_seconds is None:
        return await call
    try:
        async with asyncio.timeout(limit_seconds):
            return await call
    except TimeoutError:
        raise CallTimeout(f"There was no answer within {limit_seconds:g} s") from None


class _Watch:
    """Cancels the task it is made in when the client leaves. It costs a timer until it matters."""

    __slots__ = ("_request", "_timer", "_watching", "has_fired", "task")

    def __init__(self, request: Request) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self.task = task
        self.has_fired = False
        self._request = request
        self._watching: asyncio.Future[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._begin)

    def _begin(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        await disconnected(self._request.receive)
        self.has_fired = True
        self.task.cancel()

    def stop(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
