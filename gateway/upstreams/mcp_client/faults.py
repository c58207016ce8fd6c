"""What failed between the gateway and an MCP server over HTTP, as JSON-RPC errors of one request.

The SDK's transport ends a whole connection, with all calls in flight, when a single request fails
below HTTP, and forgets the status of a refusal. This one answers such a request in the server's
place, so that only its own call fails, and the code says how.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import httpx2
from mcp_types import INVALID_PARAMS

from schema.errors import (
    GatewayError,
    InvalidArguments,
    LimitExceeded,
    ProviderGone,
    ServiceError,
)

UNREACHABLE: Final = -32950
"""The request did not reach the server."""
BROKEN_OFF: Final = -32951
"""The connection broke; the server may have acted on the request."""
REFUSED: Final = -32952
"""The server answered with an HTTP status of refusal; ``data.status`` is it."""
SESSION_GONE: Final = -32953
"""The server does not know its session any more: it was started again."""
BUSY: Final = -32954
"""Too much waits for the server to read it; nothing was sent."""
TOO_LARGE: Final = -32955
"""The answer is larger than the gateway takes."""
NO_JSON: Final = -32956
"""What was to be sent is no JSON."""
NO_ANSWER: Final = -32957
"""What came is no answer to the request."""

NOT_RUN: Final = frozenset({UNREACHABLE, SESSION_GONE})
LOSSES: Final = frozenset({UNREACHABLE, SESSION_GONE, BROKEN_OFF})

_MAX_BODY: Final = 500
_SESSION: Final = "mcp-session-id"
_NEGOTIATING: Final = (b'"server/discover"', b'"initialize"')


def failure(name: str, code: int, message: str) -> GatewayError:
    """What a JSON-RPC error of the server ``name`` is here."""
    if code in LOSSES:
        return ProviderGone(f"The connection to {name} was lost", delivered=code not in NOT_RUN)
    if code in (INVALID_PARAMS, NO_JSON):
        return InvalidArguments(message)
    if code == BUSY:
        return LimitExceeded(f"{name} is busy: {message}")
    if code == REFUSED:
        return ServiceError(f"{name} refused the request: {message}", remote_type="HTTPError")
    if code in (TOO_LARGE, NO_ANSWER):
        return ServiceError(f"{name} gave an answer that cannot be used: {message}")
    return ServiceError(message, remote_type="McpError")


class FaultReporting(httpx2.AsyncBaseTransport):
    """See the module."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        on_session: Callable[[str], None],
        on_answer: Callable[[int], None],
    ) -> None:
        """``on_session`` gets the identifier of the session that the server begins, ``on_answer``
        the status of each answer to the handshake."""
        self._inner = inner
        self._on_session = on_session
        self._on_answer = on_answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return _answer(request, UNREACHABLE, str(error) or type(error).__name__)
        except httpx2.TransportError as error:
            return _answer(request, BROKEN_OFF, str(error) or type(error).__name__)
        if _SESSION in response.headers:
            self._on_session(response.headers[_SESSION])
        if request.method == "POST" and _is_negotiation(request):
            self._on_answer(response.status_code)
            return response
        if response.status_code < 400 or request.method != "POST":
            return response
        return await _judged(request, response)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_negotiation(request: httpx2.Request) -> bool:
    """How a server refuses tells its era, so the SDK has to see that itself."""
    try:
        return any(method in request.content[:200] for method in _NEGOTIATING)
    except httpx2.RequestNotRead:
        return False


async def _judged(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    status = response.status_code
    if status == 404 and _SESSION in request.headers:
        await response.aclose()
        return _answer(request, SESSION_GONE, "The session has ended")
    if status in (401, 403) or not _is_json(response):
        await response.aclose()
        return _answer(request, REFUSED, f"HTTP {status}", {"status": status})
    return response


def _is_json(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").lower().startswith("application/json")


def _answer(
    request: httpx2.Request, code: int, message: str, data: dict[str, int] | None = None
) -> httpx2.Response:
    error = {"code": code, "message": message[:_MAX_BODY], "data": data}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
    headers = {"content-type": "application/json"}
    return httpx2.Response(503, headers=headers, content=body, request=request)
