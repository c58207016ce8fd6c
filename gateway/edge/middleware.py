"""The outermost layer: it gives every request an id and answers for whatever fails unexpectedly.

It knows nothing of doors. What it learns goes into the request's record (``gateway.requests``).
"""

from __future__ import annotations

import logging
import secrets
from typing import Any, Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.requests import REQUEST_ID, RequestRecord, attach, sane_request_id

logger = logging.getLogger(__name__)

_FAILED: Final = orjson.dumps(
    {
        "success": False,
        "code": "internal_error",
        "type": "InternalError",
        "detail": "Internal error; the server's log has the details",
    }
)


class Edge:
    """An ASGI application around the whole gateway."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(_request_id(scope))
        attach(scope, record)
        reply = _Reply(send, record)
        try:
            await self._app(scope, receive, reply.send)
        except Exception:
            if reply.status:
                raise  # the server then breaks the connection: the client sees that it is not all
            logger.exception(
                "request_failed request_id=%s method=%s", record.request_id, scope["method"]
            )
            await _send_failure(reply.send)


class _Reply:
    """The answer on its way out."""

    __slots__ = ("_record", "_send", "status")

    def __init__(self, send: Send, record: RequestRecord) -> None:
        self._send = send
        self._record = record
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = (REQUEST_ID, self._record.request_id.encode())
            headers = [pair for pair in message.get("headers", ()) if pair[0] != REQUEST_ID]
            message = {**message, "headers": [*headers, own]}
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The id of a request, which is from then on the only one in its headers."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    given = [value for name, value in headers if name == REQUEST_ID]
    request_id = sane_request_id(given[0]) if len(given) == 1 else None
    if request_id is None:
        request_id = secrets.token_hex(16)
        others = [pair for pair in headers if pair[0] != REQUEST_ID]
        scope["headers"] = [*others, (REQUEST_ID, request_id.encode())]
    return request_id


async def _send_failure(send: Any) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(_FAILED)),
        (b"access-control-allow-origin", b"*"),
    ]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": _FAILED})
