"""Errors → status codes and bodies: the one table of the HTTP door.

The status follows the type of the error and never its text; ``code`` in the body is the stable
word for programs. Above: ``endpoint`` and ``streams``. It does not log and does not catch.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

import orjson

from http_proxy.replies import BytesReply, Header, content
from schema import errors

_PAUSE_SECONDS = 1
"""``Retry-After`` where the error itself names no time: the gateway starts or drains in seconds."""


class MethodNotAllowed(errors.InvalidRequest):
    """The resource does not offer this method; ``allow`` lists those it does."""

    code = "method_not_allowed"

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"{method} is not allowed here. Allowed: {allow}")
        self.allow = allow


class UnsupportedCoding(errors.UnsupportedMediaType):
    """The request is compressed in a way that is not read here; the answer says in which ways it
    may be (RFC 9110 sections 12.5.3 and 15.5.16)."""

    def __init__(self) -> None:
        super().__init__("Content-Encoding can only be gzip or deflate")


class NotAcceptable(errors.InvalidRequest):
    """The result exists, but the format that the caller asked for cannot express it."""

    code = "not_acceptable"


class ResultTooLarge(errors.GatewayError):
    """The function has returned more than this gateway sends."""

    code = "result_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The result has more than {limit} bytes")


STATUS: dict[type[errors.GatewayError], int] = {
    errors.GatewayError: 500,
    errors.InvalidRequest: 400,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Unauthenticated: 401,
    errors.PermissionDenied: 403,
    errors.FunctionHeld: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    # Existing clients expect 400 where a service id fits several instances.
    errors.AmbiguousService: 400,
    errors.LimitExceeded: 429,
    errors.ServiceError: 500,
    # To an HTTP caller the gateway is a proxy, and its upstream broke off: Bad Gateway.
    errors.ProviderGone: 502,
    ResultTooLarge: 502,
    errors.CannotAsk: 409,
    errors.Unavailable: 503,
    errors.Overloaded: 503,
    errors.CallTimeout: 504,
    errors.InternalError: 500,
}

REMOTE_STATUS = {
    "ValueError": 400,
    "TypeError": 400,
    "AssertionError": 400,
    "ValidationError": 400,  # pydantic's, a ValueError: what hypha-rpc checks models with
    "KeyError": 404,
    "PermissionError": 403,
    "TimeoutError": 504,
}
"""Status for what the called function raised, by the name of its exception; else 500."""


def status_of(error: errors.GatewayError) -> int:
    """The status for an error: that of its nearest class in the table."""
    if isinstance(error, errors.ServiceError):
        return REMOTE_STATUS.get(error.remote_type, STATUS[errors.ServiceError])
    return status_of_type(type(error))


def status_of_type(kind: type[errors.GatewayError]) -> int:
    """The status for a type of error, whatever its instance says."""
    return next(STATUS[cls] for cls in kind.__mro__ if cls in STATUS)


def is_defect(error: Exception) -> bool:
    """Whether the gateway itself failed: its log is told everything, the caller nothing."""
    return not isinstance(error, errors.GatewayError) or isinstance(error, errors.InternalError)


def defect() -> errors.InternalError:
    """What a caller is told about a defect."""
    return errors.InternalError("Internal error; the server's log has the details")


def describe(error: errors.GatewayError) -> dict[str, Any]:
    """What a caller is told, whatever the framing: ``code``, ``type`` and ``detail``.

    ``type`` names the exception: that of the provider if it said one, else the gateway's own.
    """
    if isinstance(error, errors.ServiceError):
        name = error.remote_type or errors.ServiceError.__name__
        return {"code": error.code, "type": name, "detail": error.wire_text()}
    return {"code": error.code, "type": type(error).__name__, "detail": error.message}


def error_reply(error: errors.GatewayError, *, as_problem: bool = False) -> BytesReply:
    """The response for an error: JSON with ``success: false`` (HTTP contract, also for callers
    that speak msgpack), or Problem Details (RFC 9457) for those that ask for it."""
    status = status_of(error)
    told = describe(error)
    body: dict[str, Any]
    if as_problem:
        # RFC 9457 keeps "type" for a URI; without one, the title is the status phrase.
        body = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": told["detail"],
            "code": told["code"],
        }
    else:
        body = {"success": False, **told}
    if error.data is not None:
        body["data"] = error.data
    media_type = b"application/problem+json" if as_problem else b"application/json"
    return content(_dump(body), media_type, status=status, more=_headers(error))


def _dump(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Providers write these texts, and an unpaired surrogate must not hide the error.
        return json.dumps(body, default=str, skipkeys=True).encode()


def _headers(error: errors.GatewayError) -> list[Header]:
    if isinstance(error, errors.Unauthenticated):
        return [(b"www-authenticate", b"Bearer")]
    if isinstance(error, errors.LimitExceeded):
        return _retry_after(error.retry_after_seconds or _PAUSE_SECONDS)
    if isinstance(error, errors.Unavailable):
        return _retry_after(_PAUSE_SECONDS)
    if isinstance(error, UnsupportedCoding):
        return [(b"accept-encoding", b"gzip, deflate")]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", error.allow.encode())]
    return []


def _retry_after(seconds: float) -> list[Header]:
    # A page of another origin sees only headers that are exposed to it.
    return [
        (b"retry-after", b"%d" % max(1, math.ceil(seconds))),
        (b"access-control-expose-headers", b"Retry-After"),
    ]
