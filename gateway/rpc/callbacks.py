"""Functions among the arguments of a call, which its provider calls back while the call lasts.

Below: the wire format. Above: ``endpoint``, which hands in what the provider sends and decides who
may send it. A function that is kept for longer than one call is another thing (``_rintf`` of the
clients) and not here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from gateway.wire.codec import pack_with
from schema.errors import FunctionNotFound, InvalidArguments, InvalidMessage, LimitExceeded
from schema.values import METHOD, RTYPE

MAX_RUNNING: Final = 1000
"""Callbacks of one call that may run at the same time: a provider that does not wait for its
``send`` must not fill the memory of the gateway."""


def _welcome() -> None:
    """No check."""


class Callbacks:
    """The functions lent to the provider of one call, under names below the call's session.

    Calls of them start in the order in which they arrive. They end with the call: what still runs
    is cancelled, and its caller told that the function has expired.
    """

    def __init__(self, address: str, session: str, check: Callable[[], None] | None = None) -> None:
        """``address`` is where the provider sends its calls of them. ``check`` raises if whoever
        lent them is not welcome any more: then nothing goes either way."""
        self._address = address
        self._check = check or _welcome
        self._session = session
        self._functions: dict[str, Callable[..., Awaitable[Any]]] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._ended = False

    def pack(self, content: Mapping[str, Any]) -> bytes:
        """Encode the content of the call; functions in it are lent. Raises InvalidMessage."""
        return pack_with(content, self._lend)

    def _lend(self, value: Any) -> dict[str, Any]:
        if not callable(value):
            raise InvalidMessage(f"The value cannot be sent: a {type(value).__name__}")
        name = str(len(self._functions))
        self._functions[name] = value
        return {
            RTYPE: METHOD,
            "_rtarget": self._address,
            "_rmethod": f"{self._session}.{name}",
            "_rpromise": "*",
            "_rname": getattr(value, "__name__", "callback"),
            "_rasync": True,
            "_rdoc": inspect.getdoc(value) or "",
        }

    async def run(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call one of the functions. Raises FunctionNotFound, InvalidArguments, LimitExceeded, or
        what the function raises."""
        function = self._named(name)
        self._check()
        if len(self._running) >= MAX_RUNNING:
            raise LimitExceeded("Too many calls of a callback at the same time")
        try:
            inspect.signature(function).bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(str(error)) from None
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._running.add(task)
        try:
            value = await function(*args, **kwargs)
            self._check()  # it may have waited for long
            return value
        except asyncio.CancelledError:
            if not self._ended:
                raise
            task.uncancel()
            raise self._expired(name) from None
        finally:
            self._running.discard(task)

    def _named(self, name: str) -> Callable[..., Awaitable[Any]]:
        function = self._functions.get(name)
        if function is None or self._ended:
            raise self._expired(name)
        return function

    def _expired(self, name: str) -> FunctionNotFound:
        return FunctionNotFound(f"Method expired or not found: {self._session}.{name}")

    def end(self) -> None:
        """The call has ended, and so do they."""
        self._ended = True
        for task in self._running:
            task.cancel()
