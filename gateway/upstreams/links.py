"""Connections of single users with an MCP server, each with a credential of their own.

A connection is kept for a while, since an older server ties a session to it; never longer, and
never for another credential.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gateway.upstreams.entries import Upstream
from gateway.upstreams.loading import mcp_client
from gateway.upstreams.supervisor import describe
from schema.errors import GatewayError, ProviderGone

if TYPE_CHECKING:
    from gateway.upstreams.mcp_client.link import Link

MAX_LINKS: Final = 64
IDLE_SECONDS: Final = 120.0


class PersonalLinks:
    """The connections of one server, by credential."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    @contextlib.asynccontextmanager
    async def open(self, headers: Mapping[str, str]) -> AsyncIterator[Link]:
        """A connection that sends ``headers``. Raises ProviderGone, or what the handshake says."""
        key = hashlib.sha256(json.dumps(sorted(headers.items())).encode()).digest()
        kept = self._kept.get(key)
        if kept is None or kept.is_over:
            kept = self._kept[key] = _Kept(self._upstream, headers)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_LINKS:
            self._kept.popitem(last=False)[1].end()
        async with kept.used() as link:
            yield link

    async def close(self) -> None:
        """End them all."""
        kept = list(self._kept.values())
        self._kept.clear()
        for link in kept:
            link.end()
        await asyncio.gather(*(link.ended() for link in kept))


class _Kept:
    """One connection, in a task of its own, until nobody has used it for a while."""

    def __init__(self, upstream: Upstream, headers: Mapping[str, str]) -> None:
        self._upstream = upstream
        self._headers = headers
        loop = asyncio.get_running_loop()
        self._link: asyncio.Future[Any] = loop.create_future()
        self._users = 0
        self._last_used = loop.time()
        self._task = loop.create_task(self._run())

    @property
    def is_over(self) -> bool:
        if self._task.done():
            return True
        return (
            self._link.done()
            and self._link.exception() is None
            and self._link.result().lost.is_set()
        )

    @contextlib.asynccontextmanager
    async def used(self) -> AsyncIterator[Link]:
        self._users += 1
        try:
            yield await asyncio.shield(self._link)
        finally:
            self._users -= 1
            self._last_used = asyncio.get_running_loop().time()

    def end(self) -> None:
        self._task.cancel()

    async def ended(self) -> None:
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            await self._serve()
        except BaseException as error:
            if not self._link.done():
                self._link.set_exception(self._failure(error))
                self._link.exception()  # nobody may be waiting any more
            if isinstance(error, asyncio.CancelledError):
                raise

    async def _serve(self) -> None:
        client = await mcp_client()
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(self._upstream.start_seconds):
                opening = client.opened(self._upstream, client.Diagnosis(), headers=self._headers)
                link: Link = await stack.enter_async_context(opening)
            self._link.set_result(link)
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):
                        await link.lost.wait()
                        return
                idle = asyncio.get_running_loop().time() - self._last_used
                if not self._users and idle >= IDLE_SECONDS:
                    return

    def _failure(self, error: BaseException) -> GatewayError:
        if isinstance(error, GatewayError) and not isinstance(error, ProviderGone):
            return error
        reason = describe(error)
        return ProviderGone(f"{self._upstream.name} cannot be reached: {reason}", delivered=False)
