"""What is written to the socket for a response, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.transports.uvicorn_http import ABORT, MAX_HEAD_BYTES, OneWriteHttpProtocol


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.written = asyncio.Event()
        self.ended = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self.ended.is_set()

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        self.written.set()

    def close(self) -> None:
        self.ended.set()

    def abort(self) -> None:
        self.ended.set()

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


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """Answers once it has the whole body."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if not message.get("more_body"):
            break
    await small(scope, receive, send)


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: "])
async def test_a_head_without_an_end_is_refused(start: bytes) -> None:
    protocol, socket = serve(small)
    protocol.data_received(start)
    for _ in range(MAX_HEAD_BYTES // 4096):
        assert not socket.closed
        protocol.data_received(b"a" * 4096)
    assert socket.closed
    assert socket.writes[-1].startswith(b"HTTP/1.1 431 ")
    protocol.connection_lost(None)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX: ", REQUEST + b"GET /"])
async def test_a_head_that_does_not_come_is_not_waited_for_without_an_end(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.transports.uvicorn_http.HEAD_SECONDS", 0.01)
    protocol, socket = serve(small)
    protocol.data_received(sent)
    async with asyncio.timeout(5):
        await socket.ended.wait()
    assert socket.writes[-1].startswith(b"HTTP/1.1 408 ")
    protocol.connection_lost(None)


async def test_a_request_that_is_being_answered_is_not_ended_by_the_next_ones_late_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.transports.uvicorn_http.HEAD_SECONDS", 0.01)
    release = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await small(scope, receive, send)

    protocol, socket = serve(slow)
    protocol.data_received(REQUEST + b"GET /")
    asyncio.get_running_loop().call_later(0.05, release.set)
    async with asyncio.timeout(5):
        await socket.ended.wait()
    assert socket.writes[0].endswith(b"ok")
    protocol.connection_lost(None)


POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab"


async def test_a_body_that_stops_in_the_middle_is_not_waited_for_without_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.transports.uvicorn_http.BODY_SECONDS", 0.01)
    protocol, socket = serve(reading)
    protocol.data_received(POST)
    async with asyncio.timeout(5):
        await socket.ended.wait()
    assert socket.writes[-1].startswith(b"HTTP/1.1 408 ")
    protocol.connection_lost(None)


async def test_a_body_may_take_its_time_once_its_answer_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.transports.uvicorn_http.BODY_SECONDS", 0.01)

    async def both_ways(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await reading_on(receive)
        await send({"type": "http.response.body", "body": b"ended"})

    async def reading_on(receive: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    protocol, socket = serve(both_ways)
    protocol.data_received(POST)
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, protocol.data_received, b"cd")
    async with asyncio.timeout(5):
        while b"ended" not in b"".join(socket.writes):
            socket.written.clear()
            await socket.written.wait()
    assert not socket.closed
    protocol.connection_lost(None)


@pytest.mark.parametrize(
    ("head", "is_answered"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nHost: a\r\nhost: b\r\nContent-Length: 1\r\n\r\nx", False),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", True),
    ],
)
async def test_a_request_names_one_host(head: bytes, is_answered: bool) -> None:
    protocol, socket = serve(small)
    protocol.data_received(head)
    async with asyncio.timeout(5):
        await socket.written.wait()
    assert len(socket.writes) == 1
    assert socket.writes[0].startswith(b"HTTP/1.1 200 " if is_answered else b"HTTP/1.1 400 ")
    protocol.connection_lost(None)
