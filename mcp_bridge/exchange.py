"""The response to a call that may take long: plain JSON if it ends soon and quietly, else events.

The work runs in the task of the request. What only a long call needs (seeing that the client
left, keep-alives, heartbeats) starts after a moment, so that a short call costs one timer.
It knows HTTP and notifications but no methods; ``methods`` tells it what to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import Receive, Send

from mcp_bridge import sse
from mcp_bridge.guard import RawHeaders
from mcp_bridge.headers import Accepts

JSON: Final = (b"content-type", b"application/json")
_HEARTBEAT: Final = 0.001
"""What a heartbeat adds to the progress, which must grow with every notification but otherwise
counts items."""
_MAX_HELD_BACK: Final = 4_000
"""Characters of progress messages that wait to be sent together; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a call counts as long, and how often its client hears something."""

    settle_seconds: float = 0.05
    """After this a leaving client is noticed, and its call cancelled. Sooner would cost much on a
    busy machine, where calls that are not long take so long."""
    commit_seconds: float = 10.0
    """A silent call's response becomes an event stream, so that keep-alives are possible."""
    keep_alive_seconds: float = 15.0
    """Idle timeouts on the way are commonly 30 s or more; TypeScript clients give up after 60 s
    without progress."""
    progress_seconds: float = 0.1
    """Mean time between progress notifications that come in a stream; items made faster are
    sent together."""
    progress_burst: int = 10
    """How many notifications may come faster than that, so that a few items are shown singly."""


@dataclass(slots=True)
class Reply:
    """A finished response."""

    body: bytes
    status: int = 200
    headers: RawHeaders = ()
    content_type: tuple[bytes, bytes] = JSON


class ClientGone(Exception):
    """The client closed the connection before the exchange was complete."""


class Exchange:
    """One request and its response."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        accepts: Accepts,
        *,
        headers: RawHeaders = (),
        progress_token: str | int | None = None,
        timing: Timing,
    ) -> None:
        self._receive = receive
        self._send = send
        self._accepts = accepts
        self._headers = headers
        self._token = progress_token
        self._timing = timing
        self._worker: asyncio.Task[Any] | None = None
        """The task of the request, while it works."""
        self._attendants: list[asyncio.Task[None]] = []
        self._stopped_by: BaseException | None = None
        """The failure of an attendant, for which the work was cancelled."""
        self._is_committed = False
        # One writer at a time on this response, which nobody else shares.
        self._writing = asyncio.Lock()
        self._held_back: list[str] = []
        self._something_held = asyncio.Event()
        self._unsent = False
        self._value = 0.0
        self._total: float | None = None
        self._progress: float | None = None
        self._now = asyncio.get_running_loop().time
        self._started = self._last_sent = self._now()
        # When progress is next due at the mean rate; a burst may run that far ahead of it.
        self._due = self._started
        self._ahead = (timing.progress_burst - 1) * timing.progress_seconds

    @property
    def takes_events(self) -> bool:
        """True if anything can be sent to the client before the reply."""
        return self._accepts.events

    @property
    def wants_progress(self) -> bool:
        """True if notifications about this request can reach its client."""
        return self._token is not None and self._accepts.events

    async def serve(self, work: Callable[[Exchange], Awaitable[Reply]]) -> None:
        """Run the work and send its reply. If the client leaves, the work is cancelled."""
        reply: Reply | None = None
        # What a task group does, for those that have attendants: it would cost each short call more
        # than all else here.
        self._worker = worker = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(self._timing.settle_seconds, self._attend)
        try:
            reply = await work(self)
        except asyncio.CancelledError:
            if self._stopped_by is None:
                raise
        finally:
            self._worker = None
            timer.cancel()
            if self._attendants:
                await self._dismiss()
        if self._stopped_by is not None:
            if worker is not None and worker.uncancel():
                raise asyncio.CancelledError  # somebody else has cancelled it as well
            if isinstance(self._stopped_by, ClientGone):
                return
            raise self._stopped_by
        if reply is not None:
            await self._finish(reply)

    async def progress(self, count: int, message: str) -> None:
        """Tell the client of ``count`` items so far. Sent at once, or together with the next ones
        if there were many a moment ago. Waits for a client that reads slowly."""
        await self.report(count, None, message)

    async def report(self, value: float, total: float | None, message: str | None) -> None:
        """Tell the client how far the work is, in units of its own; as often as ``progress``."""
        if not self.wants_progress:
            return
        self._value, self._total, self._unsent = value, total, True
        if message:
            self._held_back.append(message)
        if self._now() >= self._due - self._ahead:
            await self._send_progress()
        else:
            self._attend()
            self._something_held.set()

    async def begin(self) -> None:
        """Make the response one of events, if its client takes them, before there are any."""
        if self._accepts.events:
            await self._write(b"")

    async def message(self, message: Mapping[str, Any]) -> None:
        """Send a message of any kind on the response, before the reply."""
        if self._unsent:
            await self._send_progress()  # in the order in which they were made
        await self._write(sse.frame(orjson.dumps(message)))

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send any notification about this request, if its client takes events."""
        if self._accepts.events:
            await self.message({"jsonrpc": "2.0", "method": method, "params": params})

    def _attend(self) -> None:
        """Start what a long call needs beside it."""
        if self._attendants or self._worker is None:
            return
        loop = asyncio.get_running_loop()
        self._attendants.append(loop.create_task(self._watch()))
        if self._accepts.events:
            self._attendants.append(loop.create_task(self._tend()))
        for attendant in self._attendants:
            attendant.add_done_callback(self._attendant_ended)

    def _attendant_ended(self, attendant: asyncio.Task[None]) -> None:
        """The work is cancelled if an attendant fails while it lasts."""
        failure = None if attendant.cancelled() else attendant.exception()
        if failure is not None and self._worker is not None and self._stopped_by is None:
            self._stopped_by = failure
            self._worker.cancel()

    async def _dismiss(self) -> None:
        """End the attendants, and wait until they write nothing any more."""
        for attendant in self._attendants:
            attendant.cancel()
        await asyncio.wait(self._attendants)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise ClientGone

    async def _tend(self) -> None:
        """Send held-back progress when it is due, and break long silences."""
        while True:
            if self._unsent:
                await asyncio.sleep(max(0.0, self._due - self._ahead - self._now()))
                if self._unsent:
                    await self._send_progress()
                continue
            try:
                async with asyncio.timeout_at(self._silence_ends()):
                    await self._something_held.wait()
            except TimeoutError:
                await self._break_silence()

    def _silence_ends(self) -> float:
        if self._is_committed:
            return self._last_sent + self._timing.keep_alive_seconds
        return self._started + self._timing.commit_seconds

    async def _break_silence(self) -> None:
        if self.wants_progress:
            elapsed = self._now() - self._started
            text = f"still running, {elapsed:.0f} s"
            await self._notify((self._progress or 0.0) + _HEARTBEAT, text)
        else:
            await self._write(sse.KEEP_ALIVE)

    async def _send_progress(self) -> None:
        message = "\n".join(self._held_back)[-_MAX_HELD_BACK:]
        self._held_back.clear()
        self._something_held.clear()
        self._unsent = False
        # It has to grow with every notification, whatever the function says.
        least = self._value if self._progress is None else self._progress + _HEARTBEAT
        await self._notify(max(self._value, least), message)

    async def _notify(self, progress: float, message: str) -> None:
        self._progress = progress
        self._due = max(self._due, self._now()) + self._timing.progress_seconds
        params: dict[str, Any] = {"progressToken": self._token, "progress": progress}
        if self._total is not None:
            params["total"] = self._total
        if message:
            params["message"] = message
        notification = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
        await self._write(sse.frame(orjson.dumps(notification)))

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            if not self._is_committed:
                self._is_committed = True
                start = [*sse.HEADERS, *self._headers]
                await self._send({"type": "http.response.start", "status": 200, "headers": start})
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._last_sent = self._now()

    async def _finish(self, reply: Reply) -> None:
        """The last message; nothing may follow it."""
        if self._unsent:
            await self._send_progress()
        if self._is_committed:
            await self._send({"type": "http.response.body", "body": sse.frame(reply.body)})
        else:
            await respond(self._send, self._accepts, reply, self._headers)


async def respond(send: Send, accepts: Accepts, reply: Reply, headers: RawHeaders) -> None:
    """Send a finished response in the form its client takes. A refusal by status stays JSON."""
    if accepts.json or reply.status != 200:
        await send_reply(send, reply, headers)
        return
    start = [*sse.HEADERS, *headers]
    await send({"type": "http.response.start", "status": 200, "headers": start})
    await send({"type": "http.response.body", "body": sse.frame(reply.body)})


async def send_reply(send: Send, reply: Reply, headers: RawHeaders = ()) -> None:
    """Send a finished response; one without a body has no content type."""
    start = [*reply.headers, *headers]
    if reply.body:
        start.append(reply.content_type)
    if reply.status != 204:  # RFC 9110 section 8.6
        start.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": start})
    await send({"type": "http.response.body", "body": reply.body})
