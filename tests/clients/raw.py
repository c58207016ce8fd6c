"""A websocket client that sends whatever a test tells it to, and the network in between."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.clients.gateways import Gateway
from tests.patience import PATIENCE_SECONDS

NO_BODY: dict[str, Any] = {}
CONNECTING = {"open_timeout": PATIENCE_SECONDS, "close_timeout": 1, "max_size": None}


class Message(NamedTuple):
    """A binary frame, decoded."""

    header: dict[str, Any]
    body: dict[str, Any]


class Closed(NamedTuple):
    """How a connection ended."""

    code: int
    reason: str


class RawClient:
    """One connection. Text and binary frames are read in the order in which they came."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.info: dict[str, Any] = {}

    @property
    def workspace(self) -> str:
        return str(self.info["workspace"])

    @property
    def address(self) -> str:
        return f"{self.workspace}/{self.info['client_id']}"

    @property
    def manager(self) -> str:
        return f"*/{self.info['manager_id']}"

    async def say(self, message: object) -> None:
        """Send a text frame: what is not text already, as JSON."""
        await self.connection.send(message if isinstance(message, str) else json.dumps(message))

    async def send(self, header: object, *bodies: object) -> None:
        """Send a binary frame of concatenated msgpack values."""
        await self.connection.send(b"".join(map(msgpack.packb, (header, *bodies))))

    async def frame(self) -> str | bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.connection.recv()

    async def heard(self) -> Any:
        """The next frame, which must be text: control messages are JSON."""
        frame = await self.frame()
        assert isinstance(frame, str), frame
        return json.loads(frame)

    async def received(self) -> Message:
        """The next frame, which must be binary."""
        frame = await self.frame()
        assert isinstance(frame, bytes), frame
        unpacker = msgpack.Unpacker()
        unpacker.feed(frame)
        header, *bodies = unpacker
        return Message(header, bodies[0] if bodies else {})

    async def closed(self) -> Closed:
        """Wait for the end of the connection; frames that come before it are dropped."""
        try:
            while True:
                await self.frame()
        except ConnectionClosed:
            close = self.connection
            assert close.close_code is not None
            return Closed(close.close_code, close.close_reason or "")

    async def call(self, to: str, method: str, *args: object) -> Message:
        """Call and return the reply, the next binary frame but for heartbeats."""
        session = secrets.token_hex(8)
        await self.send(call_header(to, method, session), {"args": args, "promise": "*"})
        while True:
            reply = await self.received()
            if reply.header.get("method") != f"{session}.heartbeat":
                return reply

    async def ask_manager(self, function: str, *args: object) -> Any:
        """The value that a function of the workspace manager returns."""
        header, body = await self.call(self.manager, f"services.default.{function}", *args)
        assert header["method"].endswith(".resolve"), body
        return body["args"][0]

    async def is_served(self) -> bool:
        """Whether the gateway has taken all that was sent so far, and still answers."""
        await self.say({"type": "ping"})
        return bool(await self.heard() == {"type": "pong"})


def call_header(to: str, method: str, session: str = "s1") -> dict[str, Any]:
    return {"type": "method", "to": to, "method": method, "session": session}


def rejection(reply: Message) -> str:
    """The text of the error in a reply."""
    assert str(reply.header["method"]).endswith(".reject"), reply
    return str(reply.body["args"][0]["_rvalue"])


@asynccontextmanager
async def opened(gateway: Gateway, query: str = "", **options: Any) -> AsyncIterator[RawClient]:
    """Open a websocket and say nothing yet."""
    url = options.pop("url", gateway.websocket_url)
    async with connect(f"{url}{query}", **CONNECTING | options) as ws:
        yield RawClient(ws)


@asynccontextmanager
async def admitted(
    gateway: Gateway, *, options: dict[str, Any] | None = None, **hello: Any
) -> AsyncIterator[RawClient]:
    """Open a websocket and shake hands."""
    async with opened(gateway, **(options or {})) as client:
        await client.say({"client_id": secrets.token_hex(6), **hello})
        client.info = await client.heard()
        assert client.info["type"] == "connection_info", client.info
        yield client


def small_socket(gateway: Gateway) -> socket.socket:
    """A connection whose receiver takes next to nothing before it has been read."""
    host, _, port = gateway.url.removeprefix("http://").rpartition(":")
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect((host, int(port)))
    return small


class Cable:
    """A way to the gateway that can be frozen, so that nothing arrives, and cut."""

    def __init__(self, gateway: Gateway) -> None:
        host, _, port = gateway.url.removeprefix("http://").rpartition(":")
        self._target = host, int(port)
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: list[asyncio.StreamWriter] = []
        self.url = ""

    def freeze(self) -> None:
        """Carry nothing until ``thaw``, and connect nobody."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """End all connections without goodbye."""
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers += [writer, far_writer]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry(reader, far_writer))
            group.create_task(self._carry(far_reader, writer))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flows.wait()
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()


@asynccontextmanager
async def cable(gateway: Gateway) -> AsyncIterator[Cable]:
    way = Cable(gateway)
    async with await asyncio.start_server(way.serve, "127.0.0.1", 0) as server:
        way.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield way
        finally:
            way.thaw()
            way.cut()
