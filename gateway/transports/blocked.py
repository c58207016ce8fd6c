"""Keeps blocked addresses out, in front of every route."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.blocks import Blocks
from gateway.routing.session import CLOSE_POLICY
from schema.errors import Blocked


class BlockedAddresses:
    """An ASGI application that answers those who may come in. Whoever sets the client's address in
    the scope, because a proxy is in front, has to stand outside of it."""

    def __init__(self, app: ASGIApp, blocks: Blocks) -> None:
        self._app = app
        self._blocks = blocks

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not a coroutine: each one that is waited in adds to every step of the request.
        try:
            self._blocks.check_address(address_of(scope))
        except Blocked as error:
            return _refuse(error, scope, receive, send)
        return self._app(scope, receive, send)


def address_of(scope: Scope) -> str | None:
    """The IP address of whoever sent a request."""
    client = scope.get("client")
    return client[0] if client else None


async def _refuse(error: Blocked, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        # Accepted first, because only then the client learns the reason.
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": CLOSE_POLICY, "reason": error.message})
        return
    body = {"success": False, "code": error.code, "detail": error.message}
    await JSONResponse(body, status_code=403)(scope, receive, send)
