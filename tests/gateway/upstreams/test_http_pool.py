"""HTTP/1.1 with upstreams, down to the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.upstreams.http_connection import AnswerTooLarge, ConnectionFailed
from gateway.upstreams.http_pool import CannotConnect, Host, head, is_same_origin, target_of
from tests.patience import PATIENCE_SECONDS

OK = b"HTTP/1.1 200 OK\r\n"
Script = Callable[[int], bytes]


class RawServer:
    """Answers the n-th request on any connection with what a script says."""

    def __init__(self, script: Script, *, hangs_up: bool = False) -> None:
        self._script = script
        self._hangs_up = hangs_up
        self.connections = 0
        self.requests: list[bytes] = []
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self._script(len(self.requests)))
                if self._hangs_up:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: RawServer) -> AsyncIterator[Host]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    host = Host(f"http://127.0.0.1:{port}/x", may_be_private=True)
    try:
        yield host
    finally:
        host.close()
        listening.close()


async def get(host: Host, limit: int = 1_000) -> tuple[int, bytes]:
    request = head("GET", "/x", [("Host", host.authority)]) + b"\r\n"
    async with host.sent(request) as connection:
        return connection.status, await connection.body(limit)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 2\r\n\r\nhi",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
    ],
)
async def test_a_connection_is_used_again(answer: bytes) -> None:
    server = RawServer(lambda _: answer)
    async with serving(server) as host:
        for _ in range(3):
            assert await get(host) == (200, b"hi")
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
async def test_a_server_may_want_no_more_on_it(answer: bytes) -> None:
    server = RawServer(lambda _: answer)
    async with serving(server) as host:
        for _ in range(2):
            assert await get(host) == (200, b"hi")
        assert server.connections == 2


async def test_a_body_may_last_until_the_server_hangs_up() -> None:
    server = RawServer(lambda _: OK + b"\r\nhi there", hangs_up=True)
    async with serving(server) as host:
        assert await get(host) == (200, b"hi there")


async def test_what_nobody_asked_for_does_not_become_the_next_answer() -> None:
    two = (OK + b"Content-Length: 2\r\n\r\nhi") * 2
    server = RawServer(lambda n: two if n == 1 else OK + b"Content-Length: 3\r\n\r\nyes")
    async with serving(server) as host:
        assert await get(host) == (200, b"hi")
        assert await get(host) == (200, b"yes")
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-server\r\n",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_what_is_no_answer_of_http_is_a_failure(answer: bytes) -> None:
    async with serving(RawServer(lambda _: answer)) as host:
        with pytest.raises(ConnectionFailed):
            await get(host)


async def test_an_answer_that_is_cut_short_is_a_failure() -> None:
    server = RawServer(lambda _: OK + b"Content-Length: 9\r\n\r\nhi", hangs_up=True)
    async with serving(server) as host:
        with pytest.raises(ConnectionFailed) as caught:
            await get(host)
        assert caught.value.began


async def test_whoever_leaves_before_the_end_hangs_up() -> None:
    server = RawServer(lambda _: OK + b"Content-Length: 9\r\n\r\nhi")
    async with serving(server) as host:
        getting = asyncio.create_task(get(host))
        while not server.requests:
            await asyncio.sleep(0)
        getting.cancel()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.left.wait()


async def test_a_body_has_a_largest_size() -> None:
    server = RawServer(lambda _: OK + b"Content-Length: 20\r\n\r\n" + b"x" * 20)
    async with serving(server) as host:
        with pytest.raises(AnswerTooLarge):
            await get(host, limit=10)


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with serving(RawServer(lambda _: b"")) as gone:
        pass
    with pytest.raises(CannotConnect):
        await get(gone)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/"])
async def test_a_host_that_must_be_public_is_not_reached_at_a_private_address(url: str) -> None:
    with pytest.raises(CannotConnect, match="private or local address"):
        await get(Host(url, may_be_private=False))


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\rb", "ä"])
def test_one_header_is_never_two(value: str) -> None:
    with pytest.raises(CannotConnect):
        head("GET", "/", [("X", value)])


def test_the_target_is_what_the_url_says_and_no_more() -> None:
    assert target_of("https://example.com") == "/"
    assert target_of("https://example.com/a%20b/ä?x=1&y=ü#z") == "/a%20b/%C3%A4?x=1&y=%C3%BC"
    assert target_of("https://example.com/a b\r\nX") == "/a%20bX"


def test_origins_are_compared_with_their_ports() -> None:
    assert is_same_origin("https://a.example/x", "https://a.example:443/y")
    assert not is_same_origin("https://a.example/x", "http://a.example/x")
    assert not is_same_origin("https://a.example/x", "https://a.example:444/x")


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://Example.com:8080/", "example.com:8080"),
        ("http://user:pw@example.com/", "example.com"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
async def test_a_host_is_called_as_http_wants_it(url: str, authority: str) -> None:
    assert Host(url, may_be_private=True).authority == authority
