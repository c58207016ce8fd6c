"""An MCP server over HTTP, written by hand: what it answers depends on the tool that is called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

INFO = {"name": "odd", "version": "1"}
TEXT = {"content": [{"type": "text", "text": "good"}]}
LARGE = 33 * 1024 * 1024

Answer = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request and the way to answer it."""

    def __init__(self, message: Mapping[str, Any], path: str, receive: Receive, send: Send) -> None:
        self.message = message
        self.path = path
        self.receive = receive
        self._send = send

    async def answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        await self.begin(status, kind, **headers)
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self, status: int, kind: str, **headers: str) -> None:
        lines = {"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        encoded = [(k.encode(), v.encode()) for k, v in lines.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def event(self, data: str, **fields: str) -> None:
        lines = [f"{key}: {value}" for key, value in fields.items()]
        text = "\r\n".join([*lines, f"data: {data}", "", ""])
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def result(self, result: Mapping[str, Any], **headers: str) -> None:
        await self.answer(200, "application/json", self.response(result).encode(), **headers)

    def response(self, result: Mapping[str, Any]) -> str:
        return json.dumps({"jsonrpc": "2.0", "id": self.message.get("id"), "result": result})


class OddServer:
    """The application. ``is_modern``: of revision 2026-07-28, else of 2025-06-18 with a session."""

    def __init__(self, *, is_modern: bool = False, tools: list[Any] | None = None) -> None:
        self.is_modern = is_modern
        self.refuses_with: int | None = None
        self.began = asyncio.Event()
        self.left = asyncio.Event()
        """Somebody has hung up on the tool ``wait``."""
        self.notifications: list[Mapping[str, Any]] = []
        self.noticed = asyncio.Event()
        self.requests: list[Mapping[str, Any]] = []
        self.tools = tools or [
            {"name": name.removeprefix("on_"), "inputSchema": {"type": "object"}}
            for name in dir(self)
            if name.startswith("on_")
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            event: Message = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        exchange = Exchange(json.loads(body or b"{}"), scope["path"], receive, send)
        if scope["method"] == "GET":
            await self._resumed(exchange, dict(scope["headers"]).get(b"last-event-id"))
        elif scope["method"] == "POST":
            await self._posted(exchange)
        else:
            await exchange.answer(405, "text/plain", b"")

    async def _posted(self, exchange: Exchange) -> None:
        message = exchange.message
        if "id" not in message:
            self.notifications.append(message)
            self.noticed.set()
            await exchange.answer(202, "text/plain", b"")
            return
        self.requests.append(message)
        if self.refuses_with is not None:
            await exchange.answer(self.refuses_with, "text/html", b"<h1>No</h1>")
            return
        method, params = message["method"], message.get("params", {})
        if method == "tools/call":
            name = params["name"]
            if name == "moved" and exchange.path == "/mcp/":
                name = "good"
            await getattr(self, f"on_{name}")(exchange)
        elif method == "tools/list":
            await exchange.result({"tools": self.tools, **self._cached()})
        elif method == "server/discover" and self.is_modern:
            can: dict[str, Any] = {"tools": {}}
            versions = {"supportedVersions": ["2026-07-28"], "capabilities": can}
            await exchange.result({**versions, **self._cached()})
        elif method == "initialize" and not self.is_modern:
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
            await exchange.result({**result, "serverInfo": INFO}, mcp_session_id="session-1")
        elif method == "ping":
            await exchange.result({})
        else:
            error = {"code": -32601, "message": "What?"}
            text = json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error})
            await exchange.answer(404 if self.is_modern else 400, "application/json", text.encode())

    def _cached(self) -> dict[str, Any]:
        hints = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return hints if self.is_modern else {}

    # Tools

    async def on_good(self, exchange: Exchange) -> None:
        await exchange.result({**TEXT, **self._cached()})

    async def on_digits(self, exchange: Exchange) -> None:
        await exchange.result({**TEXT, "structuredContent": {"n": 2**200}})

    async def on_wait(self, exchange: Exchange) -> None:
        self.began.set()
        while (await exchange.receive())["type"] != "http.disconnect":
            pass
        self.left.set()

    async def on_held(self, exchange: Exchange) -> None:
        self.began.set()
        await self.left.wait()
        await exchange.result({**TEXT, **self._cached()})

    async def on_page(self, exchange: Exchange) -> None:
        await exchange.answer(500, "text/html", b"<h1>Internal Server Error</h1>")

    async def on_page_with_200(self, exchange: Exchange) -> None:
        await exchange.answer(200, "text/html", b"<h1>Log in</h1>")

    async def on_forbidden(self, exchange: Exchange) -> None:
        await exchange.answer(403, "application/json", b'{"secret": "canary"}')

    async def on_error(self, exchange: Exchange) -> None:
        error = {"code": -32602, "message": "x is missing"}
        text = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
        await exchange.answer(400, "application/json", text.encode())

    async def on_no_json(self, exchange: Exchange) -> None:
        await exchange.answer(200, "application/json", b"{nothing")

    async def on_no_result(self, exchange: Exchange) -> None:
        await exchange.answer(200, "application/json", b'{"jsonrpc": "2.0", "id": 1}')

    async def on_bad_block(self, exchange: Exchange) -> None:
        await exchange.result({"content": [{"type": "text"}], **self._cached()})

    async def on_large(self, exchange: Exchange) -> None:
        await exchange.answer(200, "application/json", b" " * LARGE)

    async def on_large_event(self, exchange: Exchange) -> None:
        await exchange.answer(200, "text/event-stream", b"data: " + b"x" * LARGE)

    async def on_cut(self, exchange: Exchange) -> None:
        await exchange.begin(200, "application/json", content_length="1000")
        raise ConnectionError

    async def on_events(self, exchange: Exchange) -> None:
        await exchange.begin(200, "text/event-stream")
        await exchange.event("", id="0")
        await exchange.event(json.dumps({"jsonrpc": "2.0", "method": "notifications/odd"}))
        await exchange.event(exchange.response({**TEXT, **self._cached()}), event="message")
        await exchange.end()

    async def on_resumed(self, exchange: Exchange) -> None:
        self._open = exchange
        await exchange.begin(200, "text/event-stream")
        await exchange.event("", id="7", retry="1")
        await exchange.end()

    async def on_moved(self, exchange: Exchange) -> None:
        await exchange.answer(307, "text/plain", b"", location="/mcp/")

    async def on_moved_away(self, exchange: Exchange) -> None:
        await exchange.answer(307, "text/plain", b"", location="http://127.0.0.1:1/mcp")

    async def on_broken(self, exchange: Exchange) -> None:
        await exchange.begin(200, "text/event-stream")
        await exchange.end()

    async def _resumed(self, exchange: Exchange, last: bytes | None) -> None:
        if last != b"7":
            await exchange.answer(405, "text/plain", b"")
            return
        await exchange.begin(200, "text/event-stream")
        await exchange.event(self._open.response(TEXT), id="8")
        await exchange.end()
