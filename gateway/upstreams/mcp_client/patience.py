"""How long a call waits for its server: as long as the server shows that it is at work, and not at
all while it waits for an answer of the caller's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

MAX_UNTOLD: Final = 1_000
"""What the caller has not taken yet; of more the oldest is lost."""


class Patience:
    """The time of one call, and its caller as the server may reach them meanwhile: it stands in for
    the interaction of the call (``gateway.api.Interaction``), which may be None."""

    def __init__(self, limit: float, interaction: Any = None) -> None:
        """``limit`` are seconds without a sign of the server."""
        self._limit = limit
        self._to = interaction
        self._timeout: asyncio.Timeout | None = None
        self._questions = 0
        self._untold: deque[Callable[[], Awaitable[None]]] = deque(maxlen=MAX_UNTOLD)
        self._telling: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> tuple[str, ...]:
        return tuple(self._to.capabilities) if self._to is not None else ()

    @property
    def is_anybody(self) -> bool:
        """Whether there is a caller who hears anything."""
        return self._to is not None

    async def wait(self, work: Awaitable[Any]) -> Any:
        """What comes of a request. Raises TimeoutError."""
        async with asyncio.timeout(self._limit) as self._timeout:
            try:
                return await work
            finally:
                self._timeout = None

    def heard(self, params: Mapping[str, Any]) -> None:
        """The server has told of progress."""
        self._renew()
        progress, total, message = (params.get(key) for key in ("progress", "total", "message"))
        if self._to is not None and _is_number(progress):
            total = total if _is_number(total) else None
            message = message if isinstance(message, str) else None
            self._tell(partial(self._to.progress, progress, total, message))

    def log(self, level: str, data: Any, logger: str | None) -> None:
        """The server has told something else."""
        self._renew()
        if self._to is not None:
            self._tell(partial(self._to.log, level, data, logger))

    async def request(self, requests: Mapping[str, Any]) -> Any:
        """Ask the caller. A person may think for as long as the door lets them."""
        self._questions += 1
        self._renew()
        try:
            return await self._to.request(requests)
        finally:
            self._questions -= 1
            self._renew()

    async def told(self) -> None:
        """Until the caller has heard everything: that comes before the result."""
        if self._telling is not None:
            await self._telling

    def end(self) -> None:
        """The call is over."""
        if self._telling is not None:
            self._telling.cancel()

    def _renew(self) -> None:
        if self._timeout is not None and not self._timeout.expired():
            now = asyncio.get_running_loop().time()
            self._timeout.reschedule(None if self._questions else now + self._limit)

    def _tell(self, tell: Callable[[], Awaitable[None]]) -> None:
        """In the order in which it came, and without holding the server up."""
        self._untold.append(tell)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._hand_on())

    async def _hand_on(self) -> None:
        while self._untold:
            await self._untold.popleft()()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
