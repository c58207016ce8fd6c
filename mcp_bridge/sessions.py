"""Sessions of the handshake era, for services whose functions have to reach back to the client.

Off unless a setting or the service asks for it: a session lives in this process, so its client has
to come back to the same one. A session belongs to the credential and the endpoint it was opened
with; to anybody else it does not exist. Source: revision 2025-11-25, Streamable HTTP, session
management.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
from starlette.types import Scope

from mcp_bridge import sse
from mcp_bridge.errors import INVALID_REQUEST, Failure
from mcp_bridge.exchange import Exchange
from mcp_bridge.feed import EVERYTHING, MAX_URIS, Change, Feed
from mcp_bridge.headers import CREDENTIALS
from mcp_bridge.offer import Offer
from mcp_bridge.parked import USUAL_LEVEL
from mcp_bridge.recording import Recording
from mcp_bridge.revisions import LATEST_LEGACY, Revision
from schema.errors import CannotAsk, LimitExceeded, Unavailable

SESSION_ID: Final = b"mcp-session-id"
MAX_IN_FLIGHT: Final = 100
"""Requests of one session that may be worked on, or wait to be read, at the same time."""
ANSWER_SECONDS: Final = 600.0
"""How long a client, and the user behind it, may take to answer."""

UNKNOWN: Final = Failure(INVALID_REQUEST, "There is no such session: initialize again", status=404)
KEEP_ALIVE_SECONDS: Final = 15.0
_STANDING: Final = "standing"
_MAX_DIGITS: Final = 18
"""Of an event's number. Python reads no number of thousands of them."""


class Session:
    """One client between ``initialize`` and its end."""

    def __init__(self, offer: Offer, owner: bytes, revision: Revision, capabilities: Any) -> None:
        self.id = secrets.token_urlsafe(24)
        self.owner = owner
        self.revision = revision
        self.capabilities: Mapping[str, Any] = (
            capabilities if isinstance(capabilities, Mapping) else {}
        )
        self.log_level = USUAL_LEVEL
        self.touched = asyncio.get_running_loop().time()
        self.is_over = False
        self.standing = Recording(_STANDING, keep_alive_seconds=KEEP_ALIVE_SECONDS)
        self._recordings: dict[str, Recording] = {}
        self._by_request: dict[str | int, Recording] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: dict[str, asyncio.Future[Any]] = {}
        self._count = 0
        self._feed = Feed(offer, EVERYTHING, self._tell, self.close)

    @property
    def is_busy(self) -> bool:
        """Whether it is being used, even if nothing has come from the client for long."""
        return bool(self._tasks) or self.standing.has_reader

    # Requests of the client

    def record(self, request_id: str | int, poll_seconds: float | None = None) -> Recording:
        """A new response; ``poll_seconds`` as of ``Recording``. Raises LimitExceeded."""
        self._recordings = {n: r for n, r in self._recordings.items() if not r.is_read}
        if len(self._recordings) >= MAX_IN_FLIGHT:
            raise LimitExceeded("Too many requests of one session at the same time")
        self._count += 1
        name = f"r{self._count}"
        primes = self.revision is LATEST_LEGACY
        recording = Recording(
            name,
            primes=primes,
            poll_seconds=poll_seconds,
            abandon=lambda: self._abandon(name),
        )
        self._recordings[name] = self._by_request[request_id] = recording
        return recording

    def work(self, request_id: str | int, recording: Recording, task: asyncio.Task[None]) -> None:
        """Keep a task that makes a response, to its end."""
        self._tasks.add(task)

        def done(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if self._by_request.get(request_id) is recording:
                del self._by_request[request_id]
            recording.end()

        task.add_done_callback(done)

    def _abandon(self, name: str) -> None:
        recording = self._recordings.pop(name, None)
        if recording is not None:
            recording.give_up()

    def resumed(self, last_event_id: str) -> tuple[Recording, int] | None:
        """The response that an event belongs to, and the event's number in it."""
        name, _, number = last_event_id.partition(".")
        recording = self.standing if name == _STANDING else self._recordings.get(name)
        if recording is None or not number.isdecimal() or len(number) > _MAX_DIGITS:
            return None
        return (recording, int(number)) if recording.has_had(int(number)) else None

    def note(self, method: str, params: Mapping[str, Any]) -> None:
        """Act on a notification of the client."""
        if method == "notifications/cancelled":
            request_id = params.get("requestId")
            if type(request_id) is str or type(request_id) is int:
                recording = self._by_request.get(request_id)
                if recording is not None:
                    recording.give_up()

    # Requests to the client

    async def ask(self, method: str, params: Mapping[str, Any], exchange: Exchange) -> Any:
        """The client's result for a request that is made on the response to one of its own. Raises
        CannotAsk."""
        if not exchange.takes_events:
            raise CannotAsk("The client does not take events, so it cannot be asked")
        self._count += 1
        request_id = f"ask-{self._count}"
        answer = self._asked[request_id] = asyncio.get_running_loop().create_future()
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        try:
            await exchange.message(message)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise CannotAsk(f"The client has not answered in {ANSWER_SECONDS:g} s") from None
        finally:
            self._asked.pop(request_id, None)

    def answer(self, message: Mapping[str, Any]) -> None:
        """Take the client's answer. One that nobody waits for is passed over."""
        waiting = self._asked.get(str(message.get("id")))
        if waiting is None or waiting.done():
            return
        if "result" in message:
            waiting.set_result(message["result"])
            return
        error = message.get("error")
        told = error.get("message") if isinstance(error, Mapping) else None
        text = told if isinstance(told, str) else "no reason given"
        waiting.set_exception(CannotAsk(f"The client cannot answer: {text[:500]}"))

    # Changes

    def watch(self, offer: Offer, uri: str) -> None:
        """Tell the client when a resource has changed. Raises LimitExceeded."""
        uris = dict.fromkeys([*self._feed.wanted.uris, uri])
        if len(uris) > MAX_URIS:
            raise LimitExceeded(f"At most {MAX_URIS} resources at a time")
        self._feed.want(replace(self._feed.wanted, uris=tuple(uris)), offer)

    def unwatch(self, offer: Offer, uri: str) -> None:
        uris = tuple(kept for kept in self._feed.wanted.uris if kept != uri)
        self._feed.want(replace(self._feed.wanted, uris=uris), offer)

    async def _tell(self, changes: Sequence[Change]) -> None:
        for change in changes:
            message: dict[str, Any] = {"jsonrpc": "2.0", "method": change.method}
            if change.params:
                message["params"] = change.params
            self.standing.push(sse.frame(orjson.dumps(message)))

    def close(self) -> None:
        """End it, and everything that runs for it."""
        self.is_over = True
        self._feed.close()
        self.standing.end()
        for recording in self._recordings.values():
            recording.give_up()
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(CannotAsk("The session has ended"))


class Sessions:
    """All sessions of the door."""

    def __init__(self, *, is_usual: bool, most: int, idle_seconds: float) -> None:
        """``is_usual``: services get sessions unless they ask for none."""
        self._is_usual = is_usual
        self._most = most
        self._idle_seconds = idle_seconds
        self._sessions: dict[str, Session] = {}

    def serves(self, offer: Offer) -> bool:
        """Whether clients of this endpoint get sessions."""
        asked = _options(offer).get("stateful")
        return asked if isinstance(asked, bool) else self._is_usual

    @property
    def may_be_there(self) -> bool:
        """Whether a session id can mean anything."""
        return self._is_usual or bool(self._sessions)

    def open(
        self, offer: Offer, scope: Scope, headers: Mapping[bytes, bytes], *opening: Any
    ) -> Session:
        """A new session for a revision and the client's capabilities. Raises Unavailable."""
        if len(self._sessions) >= self._most:
            raise Unavailable("Too many sessions are open")
        session = Session(offer, owner_of(offer, scope, headers), *opening)
        self._sessions[session.id] = session
        self._watch_idle(session)
        return session

    def find(self, offer: Offer, scope: Scope, headers: Mapping[bytes, bytes]) -> Session | None:
        """The session that a request names, if it is its sender's."""
        session = self._sessions.get(headers.get(SESSION_ID, b"").decode("latin-1"))
        owner = owner_of(offer, scope, headers)
        if session is None or session.is_over:
            return None
        if not secrets.compare_digest(session.owner, owner):
            return None
        session.touched = asyncio.get_running_loop().time()
        return session

    def end(self, session: Session) -> None:
        """Forget a session."""
        if self._sessions.pop(session.id, None) is not None:
            session.close()

    def close(self) -> None:
        """The server stops."""
        for session in list(self._sessions.values()):
            self.end(session)

    def _watch_idle(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        if session.is_busy:
            session.touched = loop.time()
        left = session.touched + self._idle_seconds - loop.time()
        if session.is_over or left <= 0:
            self.end(session)
        else:
            loop.call_later(left, self._watch_idle, session)


def poll_seconds(offer: Offer) -> float | None:
    """How long a service lets connections last, for those behind a proxy that cuts them off; None
    for as long as the call."""
    seconds = _options(offer).get("poll_seconds")
    return max(0.1, float(seconds)) if isinstance(seconds, int | float) else None


def _options(offer: Offer) -> Mapping[str, Any]:
    options = offer.service.config.get("mcp")
    return options if isinstance(options, Mapping) else {}


def owner_of(offer: Offer, scope: Scope, headers: Mapping[bytes, bytes]) -> bytes:
    """A credential and an endpoint, in one: what a session is bound to."""
    path = scope["path_params"]
    user = offer.caller.user
    parts = (
        user.id,
        # Wherever it came from; the headers are for those that have no id of their own.
        user.credential_id,
        offer.caller.workspace,
        *(headers.get(name, b"").decode("latin-1") for name in CREDENTIALS),
        path["workspace"],
        path.get("service"),  # the endpoint of a workspace has none
    )
    return hashlib.sha256(orjson.dumps(parts)).digest()
