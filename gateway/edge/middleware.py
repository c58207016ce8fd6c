"""The outermost layer: what every request passes first, and its answer last.

In this order: the id of the request, who is behind the proxies, and then the doors; they say who
calls as soon as they know (``RequestRecord.admit``), and whose answer begins before anybody said so
counts against its address. It answers for whatever fails unexpectedly. It knows nothing of doors.
"""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import Awaitable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.counters import Counters
from gateway.edge.access_log import access_log
from gateway.edge.answers import failure, refusal, refuse_socket
from gateway.edge.bounds import Bounds
from gateway.edge.connections import STRANGER, Stranger
from gateway.requests import (
    REQUEST_ID,
    RequestRecord,
    attach,
    current_address,
    current_door,
    current_request_id,
    sane_request_id,
    take_upstream_credentials,
)
from gateway.settings import Settings
from gateway.tracing import Tracing
from schema.errors import GatewayError, LimitExceeded, Overloaded

logger = logging.getLogger(__name__)

PROBES: Final = ("/health", "/health/liveness", "/health/readiness")
"""Paths that no limit applies to: an orchestrator that gets no answer kills the process."""

_PROCESS: Final = secrets.token_hex(10)
_numbers: Final = itertools.count(1)
"""Ids have to be unique, not secret: random for the process, then counted."""

_NONE: Final[Mapping[str, Any]] = {}

NO_ROUTE: Final = "(none)"
"""What a path that matches nothing is counted as."""


class Edge:
    """An ASGI application around the whole gateway."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        bounds: Bounds,
        counters: Counters,
        routes: Sequence[BaseRoute] = (),
        tracing: Tracing | None = None,
    ) -> None:
        """``routes`` are those that the application looks at, complete when the first request
        comes."""
        self.app = app
        """What is behind it."""
        self._routes = routes
        self._templates: dict[object, str] = {}
        self._tracing = tracing
        self._bounds = bounds
        self._counters = counters
        self._access_log = access_log() if settings.access_log else None
        self._origins = settings.allow_origins
        prefix = settings.base_path.rstrip("/")
        self._unlimited = frozenset(prefix + path for path in PROBES)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not a coroutine: each one that is waited in adds to every step of the request.
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        take_upstream_credentials(scope, headers)
        record = RequestRecord(
            _request_id(scope, headers),
            self._bounds.proxies.resolve(scope, headers),
            self._bounds.rates,
            self._bounds.bodies,
        )
        attach(scope, record)
        current_request_id.set(record.request_id)
        current_address.set(record.address)
        current_door.set("http")  # one that is another says so
        is_probe = record.is_counted = scope["path"] in self._unlimited
        reply = Reply(send, record, self._origins, headers)
        try:
            entered = None if is_probe else self._enter(scope, record)
        except Overloaded as error:
            return _turned_away(error, scope, receive, reply)
        if scope["type"] == "websocket":
            answer = self.app(scope, receive, send)
        elif self._tracing is None:
            answer = self._answer(scope, receive, reply)
        else:
            answer = self._traced(self._tracing, scope, receive, reply)
        return answer if entered is None else _during(answer, entered)

    def _enter(self, scope: Scope, record: RequestRecord) -> Stranger | None:
        """Count the request as a connection, unless the server has counted the connection that it
        came by. Raises Overloaded."""
        record.stranger = (scope.get("extensions") or _NONE).get(STRANGER)
        if record.stranger is not None:
            return None
        record.stranger = entered = self._bounds.connections.enter(record.address)
        return entered

    async def _traced(self, tracing: Tracing, scope: Scope, receive: Receive, reply: Reply) -> None:
        with tracing.request(scope) as span:
            await self._answer(scope, receive, reply)
            tracing.answered(span, scope["method"], self._template(scope), reply.status)

    async def _answer(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        self._counters.active_requests += 1
        try:
            await self.app(scope, receive, reply.send)
        except Exception:
            if reply.status:
                raise  # the server then breaks the connection: the client sees that it is not all
            logger.exception("request_failed method=%s", scope["method"])
            await reply.instead(*failure(self._origins, reply.asked))
        finally:
            self._ended(scope, reply)

    def _ended(self, scope: Scope, reply: Reply) -> None:
        counters, record = self._counters, reply.record
        counters.active_requests -= 1
        record.release_body()
        if reply.status:
            seconds = reply.began_at - reply.came_at
            counters.answered(self._template(scope), scope["method"], reply.status, seconds)
        if self._access_log is not None:
            self._access_log(self._template(scope), scope["method"], record, reply)
        if record.operation is not None:
            counters.operations[record.operation] += 1

    def _template(self, scope: Scope) -> str:
        """The path of the route that answered, as it is written in the table of routes."""
        if not self._templates:
            for route in self._routes:
                endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
                self._templates.setdefault(endpoint, getattr(route, "path", NO_ROUTE))
        return self._templates.get(scope.get("endpoint"), NO_ROUTE)


class Reply:
    """The answer on its way out."""

    __slots__ = (
        "_is_replaced",
        "_origins",
        "asked",
        "began_at",
        "came_at",
        "raw",
        "record",
        "status",
    )

    def __init__(
        self,
        send: Send,
        record: RequestRecord,
        origins: tuple[str, ...],
        asked: Mapping[bytes, bytes],
    ) -> None:
        """``asked`` are the headers of the request."""
        self.raw = send
        """Sends it as it is."""
        self.record = record
        self._origins = origins
        self.asked = asked
        self._is_replaced = False
        self.came_at = self.began_at = perf_counter()
        self.status = 0
        """Of the answer, once it has begun."""

    def send(self, message: Message) -> Awaitable[None]:
        if self._is_replaced:
            return _nothing()
        if message["type"] != "http.response.start":
            return self.raw(message)
        if not self.record.is_counted:
            try:
                self.record.admit_stranger()
            except LimitExceeded as error:
                self._is_replaced = True
                return self.refuse(429, error)
        return self.raw(self._named(message))

    def refuse(self, status: int, error: GatewayError) -> Awaitable[None]:
        """Answer with an error of the edge, as it is."""
        return self.instead(*refusal(status, error, self._origins, self.asked))

    async def instead(self, start: Message, body: Message) -> None:
        """Send this answer; what the application sends goes nowhere."""
        await self.raw(self._named(start))
        await self.raw(body)

    def _named(self, start: Message) -> Message:
        self.began_at = perf_counter()
        self.status = start["status"]
        headers = [pair for pair in start.get("headers", ()) if pair[0] != REQUEST_ID]
        headers.append((REQUEST_ID, self.record.request_id.encode()))
        return {**start, "headers": headers}


async def _during(answer: Awaitable[None], entered: Stranger) -> None:
    """Answer, and leave the count."""
    try:
        await answer
    finally:
        entered.leave()


async def _turned_away(error: Overloaded, scope: Scope, receive: Receive, reply: Reply) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await refuse_socket(reply.raw, 503, error)
    else:
        await reply.refuse(503, error)


async def _nothing() -> None:
    """What is sent goes nowhere."""


def _request_id(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """The id of a request, which is from then on the only one in its headers."""
    raw: list[tuple[bytes, bytes]] = scope["headers"]
    sent = headers.get(REQUEST_ID)
    request_id = sane_request_id(sent)
    if request_id is not None:
        is_single = len(raw) == len(headers) or [name for name, _ in raw].count(REQUEST_ID) == 1
        if is_single:
            return request_id
    if sent is not None:
        raw = [pair for pair in raw if pair[0] != REQUEST_ID]
    request_id = f"{_PROCESS}{next(_numbers):012x}"
    scope["headers"] = [*raw, (REQUEST_ID, request_id.encode())]
    return request_id
