"""Websockets between a client and an ASGI application: which messages are valid, how one ends."""

from __future__ import annotations

from typing import Any, Final

from starlette.types import Message, Scope, Send

from http_proxy.apps.http import as_bytes, response_headers
from http_proxy.endpoint import failure_reply
from schema.errors import GatewayError, InvalidRequest, ServiceError

RESPONSE_EXTENSION: Final = "websocket.http.response"
"""Of ASGI: a handshake can be refused with a whole response instead of a bare 403."""

_NORMAL, _INTERNAL_ERROR = 1000, 1011
_RESERVED: Final = frozenset({1004, 1005, 1006})
"""Codes that no close frame may have (RFC 6455 section 7.4)."""
_MAX_REASON: Final = 123
"""Bytes that a close frame has for its reason (RFC 6455 section 5.5)."""


class WebSocketDialogue:
    """One websocket. See ``exchange.Dialogue``."""

    def __init__(self, *, is_operators: bool = False) -> None:
        self._is_operators = is_operators
        self._accepted = False
        self._closed = False

    @property
    def is_complete(self) -> bool:
        return self._closed

    def last_message(self) -> Message:
        return {"type": "websocket.disconnect", "code": _NORMAL, "reason": ""}

    def is_last(self, message: Message) -> bool:
        return bool(message["type"] == "websocket.disconnect")

    def check(self, message: Any) -> Message:
        """Raises InvalidRequest for what is no message, or none that may come now."""
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "websocket.accept" and not self._accepted:
            self._accepted = True
            chosen = message.get("subprotocol")
            return {
                "type": kind,
                "subprotocol": chosen if isinstance(chosen, str) else None,
                "headers": response_headers(
                    message.get("headers") or (), is_operators=self._is_operators
                ),
            }
        if kind == "websocket.send" and self._accepted and not self._closed:
            text = message.get("text")
            if isinstance(text, str):
                return {"type": kind, "text": text}
            return {"type": kind, "bytes": as_bytes(message.get("bytes"))}
        if kind == "websocket.close" and not self._closed:
            self._closed = True
            code = message.get("code", _NORMAL)
            return _close(code if type(code) is int else _NORMAL, message.get("reason"))
        raise InvalidRequest(f"Not a message that can be sent here: {kind!r}")

    async def conclude(self, scope: Scope, send: Send, error: GatewayError | None) -> None:
        """Refuse the handshake with the error, or close."""
        if self._accepted:
            await send(_close(_NORMAL if error is None else _INTERNAL_ERROR, None))
        else:
            ended = ServiceError("The service has ended without accepting the websocket")
            await refuse(scope, send, error or ended)


async def refuse(scope: Scope, send: Send, error: Exception) -> None:
    """Answer a handshake with an error and its status."""
    if RESPONSE_EXTENSION not in (scope.get("extensions") or {}):
        await send(_close(_NORMAL, None))
        return
    reply = failure_reply(error, scope)
    start = {"status": reply.status, "headers": reply.headers}
    await send({"type": f"{RESPONSE_EXTENSION}.start", **start})
    await send({"type": f"{RESPONSE_EXTENSION}.body", "body": reply.body, "more_body": False})


def _close(code: int, reason: Any) -> Message:
    text = reason if isinstance(reason, str) else ""
    cut = text.encode()[:_MAX_REASON].decode("utf-8", "ignore")
    if not (1000 <= code <= 1014 and code not in _RESERVED) and not 3000 <= code <= 4999:
        code = _INTERNAL_ERROR
    return {"type": "websocket.close", "code": code, "reason": cut}
