"""Short answers of the HTTP transport: statuses of errors, and cross-origin access."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schema.errors import (
    Conflict,
    GatewayError,
    InvalidMessage,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)

STATUS: Final[dict[type[GatewayError], int]] = {
    GatewayError: 500,
    InvalidRequest: 400,
    # Clients send what is answered with 400 again, because they may be about to reconnect.
    InvalidMessage: 422,
    Unauthenticated: 401,
    PermissionDenied: 403,
    NotFound: 404,
    Conflict: 409,
    PayloadTooLarge: 413,
    LimitExceeded: 429,
    Unavailable: 503,
}
METHODS: Final = "GET, POST, OPTIONS"
PAUSE_SECONDS: Final = "5"


def refusal(error: GatewayError) -> Response:
    """The answer to a request that failed."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    response = JSONResponse({"success": False, "detail": error.message}, status)
    if isinstance(error, LimitExceeded) and error.retry_after_seconds is not None:
        response.headers["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
    elif isinstance(error, (LimitExceeded, Unavailable)):
        response.headers["retry-after"] = PAUSE_SECONDS
    if isinstance(error, Unauthenticated):
        response.headers["www-authenticate"] = "Bearer"
    return response


def method_not_allowed() -> Response:
    return Response(status_code=405, headers={"allow": METHODS})


def preflight(request: Request) -> Response:
    """Fetch standard, CORS preflight: the wildcard for headers would not cover Authorization."""
    wanted = request.headers.get("access-control-request-headers", "")
    headers = {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": wanted,
        "access-control-max-age": "86400",
    }
    return Response(status_code=204, headers=headers)


def cross_origin(request: Request, allowed: Sequence[str]) -> dict[str, str]:
    """Headers that let pages of the allowed origins read the answer. No cookie of theirs gives
    access to anything, so ``*`` can stand for all of them."""
    if "*" in allowed:
        return {"access-control-allow-origin": "*"}
    origin = request.headers.get("origin")
    if origin is None or origin not in allowed:
        return {"vary": "Origin"}
    return {"access-control-allow-origin": origin, "vary": "Origin"}
