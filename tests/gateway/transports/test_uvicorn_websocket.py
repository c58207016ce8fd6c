"""What the websocket protocol keeps of a connection, and when it writes."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

from websockets.asyncio.client import connect

from gateway.settings import Settings
from gateway.transports.uvicorn_websocket import DIRECT_FRAMES, RelayWebSocketProtocol
from tests.behaviour.in_process import in_process
from tests.gateway.transports.test_uvicorn_http import Socket, serve
from tests.patience import PATIENCE_SECONDS

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def protocol_at(port: int) -> RelayWebSocketProtocol:
    """The one connection that is served at a port of this process."""
    found = (o for o in gc.get_objects() if type(o) is RelayWebSocketProtocol)
    (protocol,) = (p for p in found if p.server is not None and p.server[1] == port)
    return protocol


async def test_an_admitted_client_costs_no_memory_for_the_headers_it_came_with() -> None:
    with in_process(Settings(ephemeral=True)) as gateway:
        header = {"x-long": "x" * 4096}
        async with connect(gateway.websocket_url, additional_headers=header) as client:
            await client.send(json.dumps({"client_id": "me"}))
            await client.recv()
            await client.send(json.dumps({"type": "ping"}))
            assert json.loads(await client.recv()) == {"type": "pong"}
            served = protocol_at(client.remote_address[1])
            assert len(served.request.headers) == len(served.response.headers) == 0
            assert served.scope["headers"] == []


class Opened:
    """A connection whose application does nothing by itself."""

    def __init__(self) -> None:
        self.accepted = asyncio.Event()
        self.ended = asyncio.Event()
        http, self.socket = serve(self)
        http.data_received(HANDSHAKE)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.write = scope["extensions"][DIRECT_FRAMES].write
        self.accepted.set()
        await receive()
        self.ended.set()

    async def __aenter__(self) -> Socket:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.accepted.wait()
        self.socket.writes.clear()
        self.socket.written.clear()
        return self.socket

    async def __aexit__(self, *_: object) -> None:
        self.socket.protocol.connection_lost(None)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.ended.wait()


async def test_what_is_sent_in_one_turn_of_the_event_loop_is_one_write() -> None:
    connection = Opened()
    async with connection as socket:
        assert connection.write(b"one")
        assert connection.write(b"two")
        assert socket.writes == []
        async with asyncio.timeout(PATIENCE_SECONDS):
            await socket.written.wait()
        assert socket.writes == [b"\x82\x03one\x82\x03two"]


async def test_what_was_sent_comes_before_the_end() -> None:
    connection = Opened()
    async with connection as socket:
        assert connection.write(b"last")
        socket.protocol.shutdown()
        assert socket.writes[0] == b"\x82\x04last"
        assert socket.writes[1].startswith(b"\x88")
        assert socket.closed
