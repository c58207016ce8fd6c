"""Stopping well: on SIGTERM or SIGINT, finish what is in flight before the server stops.

uvicorn closes websockets as soon as it is told to stop, and ends the process by the signal it got.
Clients should instead see their calls answered and a close with "going away" (1001), and whoever
started the process an exit code of 0. So the first signal starts the drain and only then asks the
server to stop; a second one is handled by the server as usual.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def drain_on_signal(drain: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """While active, a signal that uvicorn would stop on first awaits ``drain``.

    Does nothing outside the main thread or under a server that handles signals otherwise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    replaced: dict[int, Any] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def stop(server: Any) -> None:
        await drain()
        server.should_exit = True

    def on_signal(number: int, frame: FrameType | None) -> None:
        original = replaced[number]
        server = original.__self__
        if tasks:  # asked twice: no more patience
            server.force_exit = True
            server.should_exit = True
            return
        loop.call_soon_threadsafe(lambda: tasks.add(loop.create_task(stop(server))))

    for number in SIGNALS:
        handler = signal.getsignal(number)
        if hasattr(getattr(handler, "__self__", None), "should_exit"):
            replaced[number] = handler
            signal.signal(number, on_signal)
    try:
        yield
    finally:
        for replaced_number, handler in replaced.items():
            signal.signal(replaced_number, handler)
