"""What is written to the socket for a response, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.transports.uvicorn_http import ABORT, OneWriteHttpProtocol


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.written = asyncio.Event()
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        self.written.set()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def serve(app: Any) -> tuple[OneWriteHttpProtocol, Socket]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    config.load()
    protocol = OneWriteHttpProtocol(config, ServerState(), {})
    socket = Socket()
    protocol.connection_made(socket)
    return protocol, socket


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def small(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_a_small_response_is_one_write() -> None:
    protocol, socket = serve(small)
    protocol.data_received(REQUEST)
    async with asyncio.timeout(5):
        await socket.written.wait()
    assert len(socket.writes) == 1
    assert socket.writes[0].startswith(b"HTTP/1.1 200 OK")
    assert socket.writes[0].endswith(b"\r\n\r\nok")


async def test_the_head_of_a_slow_response_does_not_wait_for_its_body() -> None:
    release = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await release.wait()
        await send({"type": "http.response.body", "body": b"late"})

    protocol, socket = serve(slow)
    protocol.data_received(REQUEST)
    async with asyncio.timeout(5):
        await socket.written.wait()
        assert socket.writes[0].endswith(b"\r\n\r\n")
        socket.written.clear()
        release.set()
        await socket.written.wait()
    assert b"late" in socket.writes[1]


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
async def test_nothing_is_lost_when_the_connection_closes_after_the_response(
    connection: bytes,
) -> None:
    protocol, socket = serve(small)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: " + connection + b"\r\n\r\n"
    protocol.data_received(request)
    async with asyncio.timeout(5):
        await socket.written.wait()
    assert b"".join(socket.writes).endswith(b"ok")
    assert socket.closed is (connection == b"close")
    if protocol.timeout_keep_alive_task is not None:
        protocol.timeout_keep_alive_task.cancel()


async def test_the_application_can_end_a_connection_whose_peer_does_not_read() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def giving_up(scope: Any, receive: Any, send: Any) -> None:
        heard.put_nowait((await receive())["type"])
        scope["extensions"][ABORT]()
        heard.put_nowait((await receive())["type"])

    protocol, socket = serve(giving_up)
    protocol.data_received(REQUEST)
    async with asyncio.timeout(5):
        assert await heard.get() == "http.request"
        assert socket.closed
        protocol.connection_lost(None)
        assert await heard.get() == "http.disconnect"
    assert socket.writes == []
