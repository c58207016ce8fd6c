"""A request while it is answered: its id, who sends it from where, and what its log line will say.

The edge makes one record per request and puts it into the ASGI scope; whoever learns something on
the way notes it there. Doors that are tested by themselves have none. Below all doors: no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

from gateway.bodies import UNCOUNTED_BYTES, BodyBudget
from schema.errors import LimitExceeded
from schema.identity import Caller, User

REQUEST_ID: Final = b"x-request-id"
TRACE_HEADERS: Final = (b"traceparent", b"tracestate", b"baggage")
"""W3C Trace Context, sections 3.2 and 3.3; W3C Baggage, section 3.2."""

UNKNOWN: Final = "unknown"
"""The address of a peer that has none, as one that came by a Unix socket."""

UPSTREAM_PREFIX: Final = b"x-upstream-"
_UPSTREAM_HEADER: Final = re.compile(rb"x-upstream-([a-z0-9._-]{1,64})-authorization")

_NONE: Final[Mapping[str, str]] = {}
_upstream_credentials: ContextVar[Mapping[str, str]] = ContextVar(
    "credentials for upstreams that came with the request", default=_NONE
)
current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)
"""The id of the request that the running task answers, for its log lines."""

current_door: ContextVar[str] = ContextVar("current_door", default="http")
"""The door that the running task answers a request at, as the audit log names it."""

current_address: ContextVar[str] = ContextVar("current_address", default=UNKNOWN)
"""The IP address that the running task answers to, of a request or of a websocket."""

_RECORD: Final = "polyport.request"
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-.+"
)
_MAX_TRACE_CHARACTERS: Final = 8192
"""Of ``tracestate`` and ``baggage``: what the latter's specification has everybody pass on."""


class Limits(Protocol):
    """Counts requests. Each method gives 0, or the seconds until one may come again."""

    def take_for_address(self, address: str) -> float: ...

    def take_for(self, user: User, address: str) -> float: ...


class Stranger(Protocol):
    """A connection that is counted because nobody knows who is at its other end."""

    def leave(self) -> None:
        """Somebody does now."""
        ...


class RequestRecord:
    """What is known of one request."""

    __slots__ = (
        "_bodies",
        "_body_bytes",
        "_limits",
        "address",
        "is_counted",
        "operation",
        "request_id",
        "stranger",
        "user_id",
    )

    def __init__(self, request_id: str, address: str, limits: Limits, bodies: BodyBudget) -> None:
        self.request_id = request_id
        """The client's own if it sent a sane one, else made here; also in the request's headers
        and in those of the answer."""
        self.address = address
        """The IP address it comes from, behind the proxies that are trusted."""
        self.user_id: str | None = None
        """Who sends it, once that is known."""
        self.operation: str | None = None
        """What is asked for, where the path does not say it: the method of an MCP request. One of
        few known names, never the client's own text."""
        self.is_counted = False
        """Whether it counts against a rate limit already, or against none."""
        self.stranger: Stranger | None = None
        """What the connection is counted as until it is known who sends the request."""
        self._limits = limits
        self._bodies = bodies
        self._body_bytes = 0

    def admit(self, caller: Caller) -> None:
        """Note who sends the request, and count it. Raises LimitExceeded."""
        self.identify(caller.user)
        if not self.is_counted:
            self._settle(self._limits.take_for(caller.user, self.address))

    def identify(self, user: User) -> None:
        """Note who sends the request."""
        self.user_id = user.id
        if self.stranger is not None and not user.is_anonymous:
            self.stranger.leave()

    def admit_stranger(self) -> None:
        """Count a request that nobody has identified the sender of. Raises LimitExceeded."""
        self._settle(self._limits.take_for_address(self.address))

    def expect_body(self, size: int) -> None:
        """A body of so many bytes is announced. Raises Overloaded if it has no room now."""
        if size > UNCOUNTED_BYTES:
            self._bodies.check(size)

    def hold_body(self, size: int) -> None:
        """So many bytes of its body are in memory, until ``release_body``. Raises Overloaded."""
        if size > UNCOUNTED_BYTES:
            has_already = self._body_bytes
            self._bodies.take(size - has_already, has_already=has_already)
            self._body_bytes = size

    def release_body(self) -> None:
        """Its body is not needed any more. The edge sees to it at the end of each request."""
        if self._body_bytes:
            self._bodies.give_back(self._body_bytes)
            self._body_bytes = 0

    def _settle(self, wait_seconds: float) -> None:
        self.is_counted = True
        if wait_seconds:
            raise LimitExceeded(
                "Rate limit exceeded. Please slow down.", retry_after_seconds=wait_seconds
            )


def take_upstream_credentials(scope: Any, headers: dict[bytes, bytes]) -> None:
    """Take the headers ``X-Upstream-<service>-Authorization`` out of a request, before anything
    else sees them: what they carry is for the upstream of that name alone, and for this request.
    ``headers`` are those of the scope, by name."""
    if UPSTREAM_PREFIX not in b"\n".join(headers):
        return  # one search is faster than one for each header
    taken: dict[str, str] = {}
    for name, value in headers.items():
        found = _UPSTREAM_HEADER.fullmatch(name)
        if found is not None:
            taken[found[1].decode()] = value.decode("latin-1")
    kept = [pair for pair in scope["headers"] if not pair[0].startswith(UPSTREAM_PREFIX)]
    scope["headers"] = kept
    headers.clear()
    headers.update(kept)
    _upstream_credentials.set(taken)


def upstream_credentials() -> Mapping[str, str]:
    """What the request that is being answered brought along, by name of the upstream in small
    letters."""
    return _upstream_credentials.get()


def attach(scope: Any, record: RequestRecord) -> None:
    """Put the record of a request where ``record_of`` finds it."""
    scope[_RECORD] = record


def record_of(scope: Mapping[str, Any]) -> RequestRecord | None:
    """The record of the request with this ASGI scope."""
    record: RequestRecord | None = scope.get(_RECORD)
    return record


def admit(scope: Mapping[str, Any], caller: Caller) -> None:
    """Tell the edge who sends a request, as soon as that is known. Raises LimitExceeded."""
    record = record_of(scope)
    if record is not None:
        record.admit(caller)


def identify(scope: Mapping[str, Any], user: User) -> None:
    """Tell the edge who is at the other end of a connection that is not counted as a request."""
    record = record_of(scope)
    if record is not None:
        record.identify(user)


def note_operation(scope: Mapping[str, Any], name: str) -> None:
    """Tell the edge which of a door's known operations is asked for."""
    record = record_of(scope)
    if record is not None:
        record.operation = name


def expect_body(scope: Mapping[str, Any], size: int) -> None:
    """Tell the edge what size the body of a request is said to have. Raises Overloaded if so much
    has no room now."""
    record = record_of(scope)
    if record is not None:
        record.expect_body(size)


def hold_body(scope: Mapping[str, Any], size: int) -> None:
    """Tell the edge how much of the body of a request is in memory. Raises Overloaded if all of
    them together are too much."""
    record = record_of(scope)
    if record is not None:
        record.hold_body(size)


def release_body(scope: Mapping[str, Any]) -> None:
    """Tell the edge that the body of a request is not needed any more; for answers that go on for
    long. At the end of a request the edge knows by itself."""
    record = record_of(scope)
    if record is not None:
        record.release_body()


def client_address(scope: Mapping[str, Any]) -> str:
    """The IP address that a request or websocket comes from; behind a trusted proxy, its client's.
    ``UNKNOWN`` for a peer without one."""
    record = record_of(scope)
    if record is not None:
        return record.address
    client = scope.get("client")
    return str(client[0]) if client else UNKNOWN


def sane_request_id(value: bytes | None) -> str | None:
    """The id that a client gave its request, if it can be repeated in logs and headers."""
    if value is None or not _SANE_ID.fullmatch(value):
        return None
    return value.decode()


def call_context(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """What the function that is called is told of the request: ``request_id`` and, if the request
    is part of a trace, ``traceparent`` with its companions."""
    context = {}
    request_id = headers.get(REQUEST_ID)
    if request_id is not None:
        context["request_id"] = request_id.decode("latin-1")
    if b"traceparent" in headers:
        sent = {name.decode(): headers.get(name) for name in TRACE_HEADERS}
        context |= trace_context(
            {name: value.decode("latin-1") for name, value in sent.items() if value is not None}
        )
    return context


def trace_context(sent: Mapping[str, Any]) -> dict[str, str]:
    """The parts of a trace context that can be passed on; none if its ``traceparent`` is not valid
    (W3C Trace Context, section 3.2.2.3: it is then ignored, and its ``tracestate`` with it)."""
    parent = sent.get("traceparent")
    if not isinstance(parent, str) or len(parent) > 128 or not _TRACEPARENT.fullmatch(parent):
        return {}
    context = {"traceparent": parent}
    for name in ("tracestate", "baggage"):
        value = sent.get(name)
        if isinstance(value, str) and 0 < len(value) <= _MAX_TRACE_CHARACTERS:
            context[name] = value
    return context
