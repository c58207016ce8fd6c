"""Drives the MCP door as a server would: raw ASGI, so that tests see every byte as it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.routing import Router
from starlette.types import ASGIApp, Message, Scope

from gateway.extensions import ExtensionContext
from gateway.settings import Settings
from gateway.testing import FakeGateway
from mcp_bridge.exchange import Timing
from mcp_bridge.routes import mcp_routes
from tests.patience import PATIENCE_SECONDS

MODERN = "2026-07-28"
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
META = "io.modelcontextprotocol/"
CALC = "/ws-lab/mcp/calc/mcp"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

Headers = Mapping[str, str | None]


@dataclass
class Response:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def result(self) -> Any:
        assert self.status == 200, self.body
        assert "result" in self.json, self.body
        return self.json["result"]

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """Messages of an event stream."""
        assert self.headers["content-type"] == "text/event-stream", self.headers
        frames = self.body.decode().split("\n\n")
        return [json.loads(f.partition("data: ")[2]) for f in frames if f.startswith("event: ")]


class Live:
    """A request whose response is read while it is made."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self.response = Response()
        self._body: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._left = asyncio.Event()
        self._news = asyncio.Condition()
        self.done = asyncio.ensure_future(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._body:
            return self._body.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        async with self._news:
            if message["type"] == "http.response.start":
                self.response.status = message["status"]
                self.response.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                self.response.body += message["body"]
                if not message.get("more_body"):
                    self._left.set()  # as ASGI has it: there is nothing more to receive
            self._news.notify_all()

    async def until_body_has(self, text: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: text.encode() in self.response.body)

    async def until_started(self) -> None:
        """Wait for the status."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: self.response.status)

    async def until_more(self) -> None:
        """Wait for something to be sent."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait()

    def leave(self) -> None:
        """Close the connection, as a client that gives up does."""
        self._left.set()

    async def finished(self) -> Response:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.done
        return self.response


class Wire:
    """An application behind an address."""

    def __init__(self, app: ASGIApp, path: str = CALC) -> None:
        self.app = app
        self.path = path

    def start(
        self,
        body: bytes,
        *,
        method: str = "POST",
        path: str | None = None,
        headers: list[tuple[str, str]],
        query: str = "",
    ) -> Live:
        scope = {
            "type": "http",
            "method": method,
            "path": path or self.path,
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers],
        }
        return Live(self.app, scope, body)

    async def send(
        self,
        body: Any = b"",
        *,
        method: str = "POST",
        path: str | None = None,
        headers: Headers | None = None,
        more: list[tuple[str, str]] | None = None,
    ) -> Response:
        """Send anything. A header of None is left out; ``more`` may repeat headers."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = _headers(headers, more)
        return await self.start(data, method=method, path=path, headers=sent).finished()


class Door(Wire):
    """Our routes over a gateway."""

    def __init__(
        self, gateway: FakeGateway, *, timing: Timing | None = None, **settings: Any
    ) -> None:
        self.gateway = gateway
        context = ExtensionContext(gateway, Settings(**settings))
        self.context = context
        super().__init__(Router(mcp_routes(context, timing or Timing())))

    def begin(
        self,
        version: str | None,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        path: str = CALC,
        headers: Headers | None = None,
    ) -> Live:
        """Start a well-formed request of a revision."""
        body, sent = message(version, name, params, headers)
        return self.start(json.dumps(body).encode(), path=path, headers=_headers(sent, None))

    async def request(
        self,
        version: str | None,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        path: str = CALC,
        headers: Headers | None = None,
    ) -> Response:
        """Send a well-formed request of a revision."""
        return await self.begin(version, name, params, path=path, headers=headers).finished()

    async def ask(
        self,
        version: str,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        path: str = CALC,
        query: str = "",
    ) -> Response:
        """As ``request``, at an address with a query."""
        body, sent = message(version, name, params)
        data = json.dumps(body).encode()
        return await self.start(
            data, path=path, headers=_headers(sent, None), query=query
        ).finished()

    async def call(self, tool: str, arguments: Any = None, *, version: str = MODERN) -> Any:
        """The result of a call."""
        params = {"name": tool, "arguments": arguments}
        return (await self.request(version, "tools/call", params)).result


def message(
    version: str | None,
    name: str,
    params: Mapping[str, Any] | None = None,
    headers: Headers | None = None,
) -> tuple[dict[str, Any], dict[str, str | None]]:
    """A well-formed request of a revision (None: without any version), and its headers."""
    sent: dict[str, str | None] = {}
    inner = dict(params or {})
    if version is not None:
        sent["MCP-Protocol-Version"] = version
    if version == MODERN:
        meta = {f"{META}protocolVersion": version, f"{META}clientCapabilities": {}}
        inner["_meta"] = {**meta, **inner.get("_meta", {})}
        sent["Mcp-Method"] = name
        if name in NAMED_BY and isinstance(value := inner.get(NAMED_BY[name]), str):
            sent["Mcp-Name"] = value
    body = {"jsonrpc": "2.0", "id": 1, "method": name, "params": inner}
    return body, {**sent, **(headers or {})}


def _headers(headers: Headers | None, more: list[tuple[str, str]] | None) -> list[tuple[str, str]]:
    usual: dict[str, str | None] = {
        "host": "localhost:9527",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
    }
    usual.update({name.lower(): value for name, value in (headers or {}).items()})
    return [(name, value) for name, value in usual.items() if value is not None] + (more or [])
