"""``subscriptions/listen``: a response that stays open and tells of changes as they happen.

A stream costs its client's connection and little else: it has one task, which waits for the client
to leave; what is written to it is written by whoever has something to say, and one timer keeps all
of them alive. Source: revision 2026-07-28, subscriptions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from mcp_bridge import sse
from mcp_bridge.feed import Change, Feed, Wanted
from mcp_bridge.guard import RawHeaders
from mcp_bridge.ladder import Request
from mcp_bridge.offer import Offer
from mcp_bridge.revisions import SUBSCRIPTION_KEY, finish_result
from schema.errors import LimitExceeded
from schema.identity import Caller

_READ: Final[Mapping[str, Any]] = {}


class Stream:
    """One open response."""

    __slots__ = (
        "_answer",
        "_busy_since",
        "_feed",
        "_is_given_up",
        "_meta",
        "_send",
        "_task",
        "_tasks",
    )

    def __init__(self, offer: Offer, request: Request, send: Send) -> None:
        """Raises RpcError for a filter that cannot be read."""
        wanted = Wanted.of(request.params.get("notifications"), offer)
        self._send = send
        self._meta = {SUBSCRIPTION_KEY: request.id}
        result = {"_meta": dict(self._meta)}
        finish_result(result, request.revision, offer.catalogue.server_info)
        answer = {"jsonrpc": "2.0", "id": request.id, "result": result}
        self._answer = sse.frame(orjson.dumps(answer))
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._task: asyncio.Task[Any] | None = None
        self._busy_since: float | None = None
        self._is_given_up = False
        self._feed = Feed(offer, wanted, self._tell, self.finish)

    async def serve(self, receive: Receive, headers: RawHeaders) -> None:
        """Keep the response open until the client leaves or the stream is finished."""
        self._task = asyncio.current_task()
        start = [*sse.HEADERS, *headers]
        try:
            await self._send({"type": "http.response.start", "status": 200, "headers": start})
            honoured = {"notifications": self._feed.wanted.shown()}
            await self._write(self._message("notifications/subscriptions/acknowledged", honoured))
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if not self._is_given_up or self._task is None:
                raise
            self._task.uncancel()
        finally:
            self._feed.close()
            for task in self._tasks:
                task.cancel()

    def keep_alive(self, patience: float) -> None:
        """Send a comment. A client that has read nothing for ``patience`` seconds is given up:
        there is no replay, and it can list again."""
        if self._busy_since is None:
            self._spawn(self._write(sse.KEEP_ALIVE))
        elif asyncio.get_running_loop().time() - self._busy_since > patience and self._task:
            self._is_given_up = True
            self._task.cancel()

    def finish(self) -> None:
        """Say that there will be nothing more, and end the response."""
        self._feed.close()
        self._spawn(self._end())

    async def _end(self) -> None:
        await self._write(self._answer, is_last=True)

    async def _tell(self, changes: Sequence[Change]) -> None:
        await self._write(b"".join(self._message(c.method, c.params) for c in changes))

    def _message(self, method: str, params: Mapping[str, Any]) -> bytes:
        params = {**params, "_meta": self._meta}
        return sse.frame(orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    async def _write(self, data: bytes, *, is_last: bool = False) -> None:
        # Each call is one whole event, so two that wait for a slow client cannot mix.
        self._busy_since = asyncio.get_running_loop().time()
        await self._send({"type": "http.response.body", "body": data, "more_body": not is_last})
        self._busy_since = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks = (*(t for t in self._tasks if not t.done()), task)


class Seats:
    """How many streams of the door there may be, in all and of one user."""

    def __init__(self, *, most: int, most_per_user: int) -> None:
        self._most = most
        self._most_per_user = most_per_user
        self._by_user: Counter[str] = Counter()
        self._count = 0

    @contextlib.contextmanager
    def taken(self, caller: Caller, scope: Scope) -> Iterator[None]:
        """One more, as long as this lasts. Raises LimitExceeded."""
        user = _user(caller, scope)
        if self._count >= self._most or self._by_user[user] >= self._most_per_user:
            raise LimitExceeded("Too many open subscriptions", retry_after_seconds=60)
        self._by_user[user] += 1
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            self._by_user[user] -= 1
            if not self._by_user[user]:
                del self._by_user[user]


class Listening:
    """All open subscriptions of the door."""

    def __init__(self, seats: Seats, *, keep_alive_seconds: float) -> None:
        self._seats = seats
        self._keep_alive = keep_alive_seconds
        self._streams: set[Stream] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def serve(
        self,
        offer: Offer,
        request: Request,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: RawHeaders,
    ) -> None:
        """Serve one stream to its end. Raises LimitExceeded and RpcError before it begins."""
        with self._seats.taken(offer.caller, scope):
            stream = Stream(offer, request, send)
            request.params = request.meta = _READ  # it stays for as long as the stream
            self._streams.add(stream)
            self._schedule()
            try:
                await stream.serve(receive, headers)
            finally:
                self._streams.discard(stream)
                self._schedule()

    def close(self) -> None:
        """The server stops: tell every client."""
        for stream in self._streams:
            stream.finish()

    def _schedule(self) -> None:
        if self._timer is not None and not self._streams:
            self._timer.cancel()
            self._timer = None
        elif self._timer is None and self._streams:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._keep_alive, self._keep_all_alive)

    def _keep_all_alive(self) -> None:
        self._timer = None
        for stream in self._streams:
            stream.keep_alive(self._keep_alive)
        self._schedule()


def _user(caller: Caller, scope: Scope) -> str:
    """Who is counted: a user, or where one comes from who has not said who it is."""
    client = scope.get("client")
    return f"from {client[0]}" if caller.user.is_anonymous and client else caller.user.id
