"""How long a call waits for its server: as long as the server shows that it is at work, and not at
all while it waits for an answer of the caller's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

Progress = Callable[[float, float | None, str | None], Awaitable[None]]

MAX_REPORTS: Final = 1_000
"""Reports that the caller has not taken yet; of more the oldest are lost."""


class Patience:
    """The time of one call, and its caller as the server may reach them meanwhile
    (``gateway.api.Interaction``). It stands in for the interaction of the call."""

    def __init__(self, limit: float, interaction: Any, report: Progress | None) -> None:
        """``limit`` are seconds without a sign of the server."""
        self._limit = limit
        self._to = interaction
        self._report = report
        self._timeout: asyncio.Timeout | None = None
        self._questions = 0
        self._reports: deque[tuple[float, float | None, str | None]] = deque(maxlen=MAX_REPORTS)
        self._reporting: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> tuple[str, ...]:
        return tuple(self._to.capabilities) if self._to is not None else ()

    @property
    def is_anybody(self) -> bool:
        """Whether there is a caller who hears anything."""
        return self._to is not None

    def begin(self, timeout: asyncio.Timeout) -> None:
        """A request was sent; ``timeout`` is what ends the wait for it."""
        self._timeout = timeout

    def heard(self, params: Mapping[str, Any]) -> None:
        """The server has told of progress."""
        self._renew()
        progress, total, message = (params.get(key) for key in ("progress", "total", "message"))
        if self._report is None or not _is_number(progress):
            return
        assert isinstance(progress, (int, float))  # noqa: S101 - which mypy cannot know
        text = message if isinstance(message, str) else None
        self._reports.append((progress, total if _is_number(total) else None, text))
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.get_running_loop().create_task(self._hand_on(self._report))

    async def told(self) -> None:
        """Until the caller has all reports: they come before the result."""
        if self._reporting is not None:
            await self._reporting

    def end(self) -> None:
        """The call is over."""
        if self._reporting is not None:
            self._reporting.cancel()

    async def request(self, requests: Mapping[str, Any]) -> Any:
        """Ask the caller. A person may think for as long as the door lets them."""
        self._questions += 1
        self._renew()
        try:
            return await self._to.request(requests)
        finally:
            self._questions -= 1
            self._renew()

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Tell the caller something."""
        self._renew()
        await self._to.log(level, data, logger)

    def _renew(self) -> None:
        if self._timeout is None or self._timeout.expired():
            return
        now = asyncio.get_running_loop().time()
        self._timeout.reschedule(None if self._questions else now + self._limit)

    async def _hand_on(self, report: Progress) -> None:
        while self._reports:
            await report(*self._reports.popleft())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
