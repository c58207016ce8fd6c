"""Websockets to services of type ``asgi``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import Message

from gateway.testing import FakeGateway
from schema.errors import ProviderGone
from tests.patience import PATIENCE_SECONDS

PATH = "/ws-lab/apps/web/chat"


class Socket:
    """One websocket, message by message."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()

    async def get(self) -> Message:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._outgoing.get()

    async def put(self, message: Message) -> None:
        self._outgoing.put_nowait(message)


@asynccontextmanager
async def opened(
    app: Starlette, path: str = PATH, *, headers: dict[str, str] | None = None, **scope: Any
) -> AsyncIterator[Socket]:
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.connect"})
    full = {
        "type": "websocket",
        "scheme": "ws",
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        "subprotocols": ["a", "b"],
        "extensions": {"websocket.http.response": {}},
        **scope,
    }
    task = asyncio.ensure_future(app(full, socket.incoming.get, socket.put))
    try:
        yield socket
    finally:
        await asyncio.wait((task,), timeout=PATIENCE_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def offer(gateway: FakeGateway, serve: Any, type: str = "asgi") -> None:
    gateway.add_service("ws-lab/worker:web", {"serve": serve}, type=type, visibility="public")


async def test_messages_go_both_ways_until_the_client_leaves(
    app: Starlette, gateway: FakeGateway
) -> None:
    seen: list[Any] = []

    async def serve(args: dict[str, Any]) -> None:
        receive, send = args["receive"], args["send"]
        seen.append((args["scope"]["path"], args["scope"]["subprotocols"], await receive()))
        await send({"type": "websocket.accept", "subprotocol": "b"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
        seen.append(message)

    offer(gateway, serve)
    async with opened(app) as socket:
        accepted = await socket.get()
        assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", "b")
        socket.incoming.put_nowait({"type": "websocket.receive", "text": "hé"})
        assert (await socket.get())["text"] == "hé"
        socket.incoming.put_nowait({"type": "websocket.receive", "bytes": b"\x00"})
        assert (await socket.get())["bytes"] == b"\x00"
        socket.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001, "reason": "x"})
    assert seen == [
        ("/chat", ["a", "b"], {"type": "websocket.connect"}),
        {"type": "websocket.disconnect", "code": 1001, "reason": "x"},
    ]


@pytest.mark.parametrize(
    ("code", "reason", "sent"),
    [
        (4001, "bye", (4001, "bye")),
        (1005, "é" * 200, (1011, "é" * 61)),
        (None, None, (1000, "")),
    ],
)
async def test_the_application_closes(
    app: Starlette, gateway: FakeGateway, code: Any, reason: Any, sent: tuple[int, str]
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        await args["send"]({"type": "websocket.accept"})
        await args["send"]({"type": "websocket.close", "code": code, "reason": reason})

    offer(gateway, serve)
    async with opened(app) as socket:
        await socket.get()
        closed = await socket.get()
        assert (closed["code"], closed["reason"]) == sent


async def test_an_application_that_fails_closes_with_an_error(
    app: Starlette, gateway: FakeGateway
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        await args["send"]({"type": "websocket.accept"})
        raise ProviderGone("away")

    offer(gateway, serve)
    async with opened(app) as socket:
        await socket.get()
        assert (await socket.get())["code"] == 1011


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ws-lab/apps/nothing/", {}, 404),
        ("/ws-lab/apps/private/", {}, 403),
        ("/ws-lab/apps/fns/", {}, 404),
        (PATH, {"authorization": "Bearer bad"}, 401),
        (PATH, {"cookie": "access_token=bad"}, 401),
        (
            PATH,
            {"cookie": "access_token=good", "origin": "https://evil.example", "host": "test"},
            403,
        ),
    ],
)
async def test_a_refused_handshake_has_a_status_and_a_reason(
    app: Starlette, gateway: FakeGateway, path: str, headers: dict[str, str], status: int
) -> None:
    gateway.add_service("ws-lab/worker:fns", {}, type="functions", visibility="public")
    offer(gateway, lambda args: None)
    async with opened(app, path, headers=headers) as socket:
        assert (await socket.get())["status"] == status
        assert b'"success":false' in (await socket.get())["body"]
    async with opened(app, path, headers=headers, extensions={}) as socket:
        assert (await socket.get())["type"] == "websocket.close"


async def test_a_page_of_the_gateways_own_origin_uses_the_cookie(
    app: Starlette, gateway: FakeGateway
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        await args["send"]({"type": "websocket.accept"})

    offer(gateway, serve)
    headers = {"cookie": "access_token=good", "origin": "https://test", "host": "test"}
    async with opened(app, headers=headers) as socket:
        assert (await socket.get())["type"] == "websocket.accept"
        assert (await socket.get())["code"] == 1000
    assert gateway.calls[-1][0].user.id == "alice"


async def test_an_application_that_does_not_accept_has_refused(
    app: Starlette, gateway: FakeGateway
) -> None:
    async def serve(args: dict[str, Any]) -> None: ...

    offer(gateway, serve)
    async with opened(app) as socket:
        assert (await socket.get())["status"] == 500
