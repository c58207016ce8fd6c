"""What a failure looks like to an MCP client: one table from error class to JSON-RPC and HTTP.

``Failure`` is the value that the checks return and ``RpcError`` the same for code that raises.
Which HTTP status a failure gets depends on the era (``Failure.http_status``): the handshake
revisions answer 200 with the error in the body unless the transport itself was misused.

Errors of a called function are not here: they are results with ``isError`` (``calls``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import orjson

from mcp_bridge.text import encodable
from schema import errors

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
RESOURCE_NOT_FOUND: Final = -32002
"""Before revision 2026-07-28, which says invalid params."""
HEADER_MISMATCH: Final = -32020
MISSING_CLIENT_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022

RequestId = str | int | None

_MODERN_STATUS: Final[Mapping[int, int]] = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    MISSING_CLIENT_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""Revision 2026-07-28, Streamable HTTP. It assigns no status to -32603, which stays at 200."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A refused request: members of the JSON-RPC error, and the HTTP status where it is fixed."""

    code: int
    message: str
    data: Mapping[str, Any] | None = None
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def http_status(self, *, is_modern: bool) -> int:
        if self.status is not None:
            return self.status
        return _MODERN_STATUS.get(self.code, 200) if is_modern else 200

    def body(self, request_id: RequestId) -> bytes:
        """The JSON-RPC error message; ``id`` is null when the request's own was unreadable."""
        error: dict[str, Any] = {"code": self.code, "message": encodable(self.message)}
        if self.data is not None:
            error["data"] = self.data
        return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}, default=str)


class RpcError(Exception):
    """A failure on its way to the edge."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, data)


class Rule(NamedTuple):
    """How an error of the gateway is shown when the endpoint itself could not be reached."""

    code: int
    status: int


RULES: Final[Mapping[type[errors.GatewayError], Rule]] = {
    errors.InvalidRequest: Rule(INVALID_REQUEST, 400),
    errors.InvalidArguments: Rule(INVALID_PARAMS, 400),
    errors.InvalidMessage: Rule(INVALID_REQUEST, 400),
    errors.UnsupportedMediaType: Rule(INVALID_REQUEST, 415),
    errors.PayloadTooLarge: Rule(INVALID_REQUEST, 413),
    errors.Unauthenticated: Rule(INVALID_REQUEST, 401),
    errors.TokenRevoked: Rule(INVALID_REQUEST, 401),
    errors.PermissionDenied: Rule(INVALID_REQUEST, 403),
    errors.Blocked: Rule(INVALID_REQUEST, 403),
    errors.FunctionHeld: Rule(INVALID_REQUEST, 403),
    errors.NotFound: Rule(INVALID_REQUEST, 404),
    errors.WorkspaceNotFound: Rule(INVALID_REQUEST, 404),
    errors.ServiceNotFound: Rule(INVALID_REQUEST, 404),
    errors.FunctionNotFound: Rule(INVALID_REQUEST, 404),
    errors.Conflict: Rule(INVALID_REQUEST, 409),
    errors.AmbiguousService: Rule(INVALID_REQUEST, 409),
    errors.LimitExceeded: Rule(INVALID_REQUEST, 429),
    errors.ServiceError: Rule(INTERNAL_ERROR, 502),
    errors.ProviderGone: Rule(INTERNAL_ERROR, 502),
    errors.CallTimeout: Rule(INTERNAL_ERROR, 504),
    errors.CannotAsk: Rule(INTERNAL_ERROR, 409),
    errors.Unavailable: Rule(INTERNAL_ERROR, 503),
    errors.Overloaded: Rule(INTERNAL_ERROR, 503),
    errors.InternalError: Rule(INTERNAL_ERROR, 500),
    errors.GatewayError: Rule(INTERNAL_ERROR, 500),
}

_PAUSE_SECONDS: Final = 1
"""``Retry-After`` where the error names no time: what keeps the gateway passes in seconds."""

INTERNAL: Final = Failure(INTERNAL_ERROR, "Internal error")
"""All that a caller learns about a defect; the rest is in the log."""

_CHALLENGE = b'Bearer realm="polyport", error="invalid_token"'
# No resource_metadata: without an authorization server, clients that find that parameter start
# an OAuth flow and ignore the header their user configured (RFC 6750 section 3, RFC 9728).


class Challenged(errors.GatewayError):
    """An error with a challenge of its own (``WWW-Authenticate``, RFC 9110 section 11.6.1)."""

    def __init__(self, error: errors.GatewayError, header: str) -> None:
        super().__init__(error.message, data=error.data)
        self.error = error
        self.header = header


def endpoint_failure(error: errors.GatewayError) -> Failure:
    """The failure for an error raised before any method ran."""
    if isinstance(error, Challenged):
        challenge = ((b"www-authenticate", error.header.encode("latin-1", "replace")),)
        return replace(endpoint_failure(error.error), headers=challenge)
    rule = next(RULES[cls] for cls in type(error).__mro__ if cls in RULES)
    message = INTERNAL.message if rule.status == 500 else error.message
    return Failure(
        rule.code, message, {"code": error.code, **(error.data or {})}, rule.status, _extra(error)
    )


def _extra(error: errors.GatewayError) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, errors.Unauthenticated):
        return ((b"www-authenticate", _CHALLENGE),)
    if isinstance(error, errors.LimitExceeded) and error.retry_after_seconds is not None:
        # RFC 9110 section 10.2.3: whole seconds.
        return ((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_seconds))),)
    if isinstance(error, errors.Unavailable):
        return ((b"retry-after", b"%d" % _PAUSE_SECONDS),)
    return ()
