"""An HTTP exchange driven message by message, for what a buffering test client cannot see: when a
part of a response leaves, and what happens when the client does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp, Message, Scope

from tests.patience import PATIENCE_SECONDS

"""Seconds after which something that should happen is taken not to happen."""


class Exchange:
    """One request to an application. The client reads nothing while ``reading`` is not set."""

    def __init__(
        self,
        app: ASGIApp,
        target: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        parts: tuple[bytes, ...] = (b"",),
        is_complete: bool = True,
    ) -> None:
        path, _, query = target.partition("?")
        self.scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        self._app = app
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self.received_by_app = 0
        self.blocked = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        for index, part in enumerate(parts):
            more = index < len(parts) - 1 or not is_complete
            self._incoming.put_nowait({"type": "http.request", "body": part, "more_body": more})

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._app(self.scope, self._receive, self._send))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _receive(self) -> Message:
        message = await self._incoming.get()
        self.received_by_app += 1
        return message

    async def _send(self, message: Message) -> None:
        if not self.reading.is_set():
            self.blocked.set()
            await self.reading.wait()
        self._outgoing.put_nowait(message)

    def disconnect(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def finished(self) -> None:
        """Wait until the application is done; its exception is raised."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._task

    async def start(self) -> tuple[int, dict[str, str]]:
        """The status and headers, once they are sent."""
        message = await self._next()
        assert message["type"] == "http.response.start"
        headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
        return message["status"], headers

    async def part(self) -> bytes:
        """The next part of the body, as soon as it is sent."""
        message = await self._next()
        assert message["type"] == "http.response.body"
        body: bytes = message.get("body", b"")
        return body

    async def rest(self) -> bytes:
        """All of the body that is still to come."""
        parts: list[bytes] = []
        while True:
            message = await self._next()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    @property
    def unread(self) -> int:
        return self._outgoing.qsize()

    async def _next(self) -> Message:
        async with asyncio.timeout(PATIENCE_SECONDS):
            pending = asyncio.ensure_future(self._outgoing.get())
            await asyncio.wait({pending, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not pending.done():
                pending.cancel()
                raise AssertionError("the application ended without sending more") from (
                    self._task.exception()
                )
            return pending.result()
