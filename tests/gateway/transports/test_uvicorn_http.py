"""What is written to the socket for a response, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.edge.connections import STRANGER, Connections
from gateway.transports.uvicorn_http import ABORT, MAX_HEAD_BYTES, OneWriteHttpProtocol
from gateway.transports.uvicorn_websocket import RelayWebSocketProtocol
from tests.patience import PATIENCE_SECONDS


class Socket(asyncio.Transport):
    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__({"peername": (address, 4711)})
        self.writes: list[bytes] = []
        self.written = asyncio.Event()
        self.ended = asyncio.Event()
        self.unsent = 0
        """Bytes that the peer has not taken."""

    def get_write_buffer_size(self) -> int:
        return self.unsent

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

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol


def serve(
    app: Any, address: str = "127.0.0.1", connections: Connections | None = None, **more: Any
) -> tuple[OneWriteHttpProtocol, Socket]:
    config = uvicorn.Config(
        app, ws=RelayWebSocketProtocol, log_config=None, access_log=False, lifespan="off"
    )
    config.load()
    protocol = OneWriteHttpProtocol(config, ServerState(), {}, connections=connections, **more)
    socket = Socket(address)
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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


@pytest.mark.parametrize(
    ("before", "end"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 80000\r\n\r\n", b"b" * 80_000),
        (b"", REQUEST * 3000),
        (REQUEST[:9], REQUEST[9:] + REQUEST * 3000),
    ],
    ids=["the end of a body", "whole requests", "the end of a request"],
)
async def test_what_comes_before_a_head_is_no_part_of_it(before: bytes, end: bytes) -> None:
    protocol, socket = serve(small)
    if before:
        protocol.data_received(before)
    protocol.data_received(end + REQUEST[:-2])
    for _ in range(MAX_HEAD_BYTES // 4096):
        assert not socket.closed
        protocol.data_received(b"X: " + b"a" * 4091 + b"\r\n")
    protocol.data_received(b"X: a\r\n")
    assert socket.closed
    protocol.connection_lost(None)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX: ", REQUEST + b"GET /"])
async def test_a_head_that_does_not_come_is_not_waited_for_without_an_end(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.transports.uvicorn_http.HEAD_SECONDS", 0.01)
    protocol, socket = serve(small)
    protocol.data_received(sent)
    async with asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
        await socket.written.wait()
    assert len(socket.writes) == 1
    assert socket.writes[0].startswith(b"HTTP/1.1 200 " if is_answered else b"HTTP/1.1 400 ")
    protocol.connection_lost(None)


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize("request_", [REQUEST, UPGRADE], ids=["request", "websocket"])
async def test_one_connection_too_many_is_told_when_to_come_back(request_: bytes) -> None:
    connections = Connections(2, lambda address: False)
    first, second = [serve(small, "192.0.2.1", connections)[0] for _ in "12"]
    refused, socket = serve(small, "192.0.2.1", connections)
    assert socket.writes == []
    refused.data_received(request_)
    (answer,) = socket.writes
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\nToo many connections from this address. Try again later.")
    assert socket.closed
    refused.connection_lost(None)
    elsewhere, _ = serve(small, "192.0.2.2", connections)
    first.connection_lost(None)
    again, socket = serve(small, "192.0.2.1", connections)
    again.data_received(REQUEST)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await socket.written.wait()
    assert socket.writes[0].startswith(b"HTTP/1.1 200 ")
    assert (connections.open, connections.refused) == (3, 1)
    for protocol in (second, elsewhere, again):
        protocol.connection_lost(None)
    assert connections.open == 0


async def test_a_connection_too_many_that_asks_nothing_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.transports.uvicorn_http.REFUSED_SECONDS", 0.01)
    connections = Connections(1, lambda address: False)
    first, _ = serve(small, "192.0.2.1", connections)
    refused, socket = serve(small, "192.0.2.1", connections)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await socket.ended.wait()
    for protocol in (first, refused):
        protocol.connection_lost(None)


async def test_a_websocket_is_counted_until_it_ends_or_is_known() -> None:
    connections = Connections(9, lambda address: False)
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.put_nowait(scope["extensions"][STRANGER])
        while (await receive())["type"] != "websocket.disconnect":
            pass

    ends = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in "12":
            protocol, socket = serve(app, "192.0.2.1", connections)
            protocol.data_received(UPGRADE)
            ends.append(socket)
            stranger = await told.get()
    assert connections.open == 2
    stranger.leave()
    assert connections.open == 1
    for socket in ends:
        socket.protocol.connection_lost(None)
    assert connections.open == 0


async def test_a_peer_that_takes_nothing_of_its_answer_is_given_up() -> None:
    protocol, socket = serve(small, stalled_seconds=0.02)
    protocol.data_received(REQUEST)
    socket.unsent = 1_000_000
    protocol.pause_writing()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await socket.ended.wait()
    protocol.connection_lost(None)


async def test_a_peer_that_reads_slowly_is_not_given_up() -> None:
    protocol, socket = serve(small, stalled_seconds=0.01)
    protocol.data_received(REQUEST)
    sizes = iter(range(10, 0, -1))
    looked = asyncio.Event()

    def size() -> int:
        unsent = next(sizes)
        if unsent == 5:
            looked.set()
        return unsent

    socket.get_write_buffer_size = size  # type: ignore[method-assign]
    protocol.pause_writing()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await looked.wait()
    protocol.resume_writing()
    assert not socket.closed
    protocol.connection_lost(None)
