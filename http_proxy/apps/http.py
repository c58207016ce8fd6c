"""HTTP between a client and an ASGI application: which messages are valid, how a response ends.

The status, the headers and the body are the application's; only what concerns the connection to
the client (RFC 9110 section 7.6.1) is the server's.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

from starlette.types import Message, Scope, Send

from http_proxy.callers import COOKIE
from http_proxy.endpoint import failure_reply
from schema.errors import GatewayError, InvalidRequest, ServiceError
from schema.values import MEMORY_VIEW, TYPED_ARRAY, rtype

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A field name (RFC 9110 section 5.1)."""
_VALUE: Final = re.compile(rb"[^\x00\r\n]*")
"""A field value; a line break in it would begin another field, or another response."""
_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_OF_THE_ORIGIN: Final = frozenset(
    {
        b"alt-svc",
        b"clear-site-data",
        b"nel",
        b"report-to",
        b"service-worker-allowed",
        b"strict-transport-security",
    }
)
"""What a browser would take for all of the gateway's pages, whichever of them said it."""
_LOGIN_COOKIE: Final = re.compile(rb"\s*" + COOKIE.encode() + rb"\s*=")

Header = tuple[bytes, bytes]

logger = logging.getLogger(__name__)


class HttpDialogue:
    """One request and its response. See ``exchange.Dialogue``."""

    def __init__(self, *, is_operators: bool = False) -> None:
        self._is_operators = is_operators
        self._started = False
        self._complete = False
        self._missing: int | None = None

    @property
    def is_complete(self) -> bool:
        return self._complete

    def last_message(self) -> Message:
        return {"type": "http.disconnect"}

    def is_last(self, message: Message) -> bool:
        return bool(message["type"] == "http.disconnect")

    def check(self, message: Any) -> Message:
        """Raises InvalidRequest for what is no message, or none that may come now."""
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "http.response.start" and not self._started:
            status = message.get("status")
            if type(status) is not int or not 200 <= status <= 599:
                raise InvalidRequest(f"The status of a response is a number, not {status!r}")
            headers = response_headers(
                message.get("headers") or (), is_operators=self._is_operators
            )
            self._missing = _declared_length(headers)
            self._started = True
            return {"type": kind, "status": status, "headers": headers}
        if kind == "http.response.body" and self._started and not self._complete:
            body = as_bytes(message.get("body", b""))
            more = bool(message.get("more_body"))
            if self._missing is not None:
                self._missing -= len(body)
            self._complete = not more
            return {"type": kind, "body": body, "more_body": more}
        raise InvalidRequest(f"Not a message that can be sent here: {kind!r}")

    async def conclude(self, scope: Scope, send: Send, error: GatewayError | None) -> None:
        """Answer with the error, or finish the body. If part of it is missing, the client learns
        that from the connection, which the server then closes."""
        if not self._started:
            if error is None:
                error = ServiceError("The service has ended without a response")
            await failure_reply(error, scope)(scope, _nothing, send)
        elif error is None and (self._missing or 0) <= 0:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            code = error.code if error is not None else "incomplete"
            logger.info("web_service_response_cut_off code=%s", code)


def response_headers(headers: Any, *, is_operators: bool = False) -> list[Header]:
    """Headers of a provider as pairs of bytes, without those of the connection.

    Sites of all providers and the gateway's own pages are one origin to a browser. What concerns
    the whole of it, and who the visitor is logged in as, only the operator's services say
    (``is_operators``). Raises InvalidRequest for what could not be written as a header.
    """
    pairs: list[Header] = []
    for pair in headers.items() if isinstance(headers, dict) else headers:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise InvalidRequest("Headers are pairs of a name and a value")
        name, value = as_bytes(pair[0]).lower(), as_bytes(pair[1])
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidRequest(f"Not a header: {name[:80]!r}")
        if name in _CONNECTION or not (is_operators or _is_its_own(name, value)):
            continue
        pairs.append((name, value))
    return pairs


def _is_its_own(name: bytes, value: bytes) -> bool:
    if name == b"set-cookie":
        return _LOGIN_COOKIE.match(value) is None
    return name not in _OF_THE_ORIGIN


def as_bytes(value: Any) -> bytes:
    """Bytes in one of the forms in which providers send them. Raises InvalidRequest."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if rtype(value) in (MEMORY_VIEW, TYPED_ARRAY) and isinstance(value.get("_rvalue"), bytes):
        inner: bytes = value["_rvalue"]
        return inner
    if value is None:
        return b""
    raise InvalidRequest(f"Expected bytes, not {type(value).__name__}")


def _declared_length(headers: list[Header]) -> int | None:
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value[:18])
    return None


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
