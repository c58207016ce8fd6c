"""How one request of the gateway gets to an MCP server and its result back, on the shortest way.

The SDK's session shakes hands, lists and listens. Calls are what there are many of, so they go past
it: nothing is validated twice and no message is copied from one form into another. A ``Channel`` is
what they take; there is one over pipes and one over HTTP.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from gateway.upstreams.mcp_client import faults
from gateway.upstreams.mcp_client.patience import Patience
from schema.errors import LimitExceeded
from schema.integers import exactly

CANCELLED: Final = "notifications/cancelled"
PROGRESS: Final = "notifications/progress"
LOG: Final = "notifications/message"

FIRST_ID: Final = 1_000_000_000
"""The session counts its own requests from one. Servers take texts for granted less than numbers,
and these fit into 32 bits."""
_MAX_ID: Final = 2_000_000_000
_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_ID_IN_TEXT: Final = re.compile(rb'"id"\s*:\s*"?(\d{10})\b')

Noticed = Callable[[str, Mapping[str, Any]], bool]
"""Gets the method and parameters of a notification that names no call; False if it is about nothing
that is known here."""

Heard = Callable[[Mapping[str, Any]], None]
"""Gets the parameters of each progress notification of a request."""


class CallFailed(Exception):
    """The server, or what is between, answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``params`` has no progress token; ``headers`` are for HTTP alone."""

    method: str
    params: Mapping[str, Any]
    heard: Heard | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: Patience | None = None
    """Whoever made the call, if they can be reached."""

    def encoded(self, identifier: int) -> bytes:
        """As JSON-RPC. Raises CallFailed for what is no JSON."""
        params = self.params
        if self.heard is not None:
            meta = {**params.get("_meta", {}), "progressToken": identifier}
            params = {**params, "_meta": meta}
        return encoded(
            {"jsonrpc": "2.0", "id": identifier, "method": self.method, "params": params}
        )


class Channel(Protocol):
    """See the module."""

    async def call(self, request: Request) -> Mapping[str, Any]:
        """The result. The server is told if the caller gives up. Raises CallFailed."""
        ...


class Identifiers:
    """Numbers for requests; no two that are open at once have the same."""

    def __init__(self) -> None:
        self._last = FIRST_ID

    def next(self) -> int:
        """The next one."""
        self._last = self._last + 1 if self._last < _MAX_ID else FIRST_ID
        return self._last


class Multiplexer:
    """A channel that many requests share, of which answers come in any order. ``send`` writes a
    message; it may raise OSError and LimitExceeded."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._identifiers = Identifiers()
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._heard: dict[int, Heard] = {}
        self._is_closed = False

    async def call(self, request: Request) -> Mapping[str, Any]:
        identifier = self._identifiers.next()
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._write(request.encoded(identifier))
        self._waiting[identifier] = answer
        if request.heard is not None:
            self._heard[identifier] = request.heard
        try:
            message = await answer
        except asyncio.CancelledError:
            self._give_up(identifier)
            raise
        finally:
            self._waiting.pop(identifier, None)
            self._heard.pop(identifier, None)
        return result_of(message)

    def take(self, message: Mapping[str, Any]) -> bool:
        """Whether a message belongs to a request of this channel; it is seen to then."""
        if "method" in message:
            return self._take_progress(message)
        identifier = number_of(message.get("id"))
        if identifier is None or identifier <= FIRST_ID:
            return False
        answer = self._waiting.get(identifier)
        if answer is not None and not answer.done():
            answer.set_result(message)
        return True

    def refuse(self, begin: bytes, end: bytes, message: str) -> None:
        """An answer came that is not read. The request that it is for fails, by its identifier at
        either end of the text."""
        found = _ID_IN_TEXT.search(begin) or _ID_IN_TEXT.search(end)
        answer = self._waiting.get(int(found[1])) if found else None
        if answer is not None and not answer.done():
            answer.set_exception(CallFailed(faults.TOO_LARGE, message))

    def close(self) -> None:
        """Nothing more will come: all requests fail."""
        self._is_closed = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(CallFailed(faults.BROKEN_OFF, "The connection was lost"))

    def _write(self, data: bytes) -> None:
        if self._is_closed:
            raise CallFailed(faults.UNREACHABLE, "The connection was lost")
        try:
            self._send(data)
        except LimitExceeded as error:
            raise CallFailed(faults.BUSY, error.message) from None
        except OSError:
            raise CallFailed(faults.UNREACHABLE, "The connection was lost") from None

    def _give_up(self, identifier: int) -> None:
        try:
            self._write(cancellation(identifier))
        except CallFailed:
            return  # then it knows

    def _take_progress(self, message: Mapping[str, Any]) -> bool:
        params = message.get("params")
        if message["method"] != PROGRESS or not isinstance(params, Mapping):
            return False
        token = number_of(params.get("progressToken"))
        heard = self._heard.get(token) if token is not None else None
        if heard is not None:
            heard(params)
        return heard is not None


def encoded(message: Mapping[str, Any]) -> bytes:
    """A message as JSON. Raises CallFailed for what JSON does not have."""
    try:
        return orjson.dumps(message, _as_json, _OPTIONS)
    except (TypeError, ValueError) as error:
        raise CallFailed(faults.NO_JSON, f"The arguments cannot be JSON: {error}") from None


def decoded(data: bytes) -> Any:
    """A message from JSON; integers keep all their digits. Raises ValueError."""
    return exactly(data, orjson.loads(data))


def _as_json(value: object) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no form in it")


def number_of(identifier: object) -> int | None:
    """The identifier of a request, also of a server that makes a text of it."""
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        return identifier
    is_text = isinstance(identifier, str) and identifier.isascii() and identifier.isdecimal()
    return int(identifier) if is_text and len(str(identifier)) <= 10 else None  # type: ignore[call-overload]


def cancellation(identifier: int) -> bytes:
    """What tells a server that nobody waits for a request any more."""
    params = {"requestId": identifier, "reason": "The caller has left"}
    return encoded({"jsonrpc": "2.0", "method": CANCELLED, "params": params})


def result_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The result in a response. Raises CallFailed if it is an error, or neither."""
    result = message.get("result")
    if isinstance(result, Mapping):
        return result
    error = message.get("error")
    if not isinstance(error, Mapping):
        raise CallFailed(faults.NO_ANSWER, "The answer has no result")
    code, text = error.get("code"), error.get("message")
    raise CallFailed(
        code if isinstance(code, int) else faults.NO_ANSWER,
        text if isinstance(text, str) else "The server gave no reason",
        error.get("data"),
    )
