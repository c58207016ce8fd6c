"""A server that is not at the root of its host: the path in front of all of its own.

Routes know nothing of it. It is taken off before they are asked, and put in front again by the one
setting from which every URL is made.
"""

from __future__ import annotations

from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.edge.answers import body_of, refuse_socket
from schema.errors import NotFound


class BasePath:
    """An ASGI application that is found below ``path`` only."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path
        self._raw_path = path.encode()
        self._missing = NotFound(f"Not below {path}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(f"{self._path}/"):
            raw = scope.get("raw_path") or path.encode()
            # In place: what stands outside of this looks at what the router found.
            scope["path"] = path[len(self._path) :]
            scope["raw_path"] = raw.removeprefix(self._raw_path)
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # websocket.connect
            await refuse_socket(send, 404, self._missing)
        elif path == self._path:
            await RedirectResponse(f".{self._path[self._path.rindex('/') :]}/")(
                scope, receive, send
            )
        else:
            await JSONResponse(body_of(self._missing), 404)(scope, receive, send)
