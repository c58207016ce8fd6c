"""A client that speaks the wire contract itself, over a websocket or over the HTTP transport.

Both kinds look the same to a test: messages go out as header and body, and come in as ``Message``.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import httpx
import msgpack
from websockets.asyncio.client import ClientConnection

from tests.patience import PATIENCE_SECONDS

CONTROL = ("connection_info", "pong", "reconnection_token", "error")
NO_BODY: dict[str, Any] = {}
PUBLIC = {"visibility": "public"}


class Rejected(Exception):
    """A call was rejected. The text is what a client library raises."""


class Message(NamedTuple):
    """A message, decoded, and its bytes after the header."""

    header: dict[str, Any]
    body: dict[str, Any]
    body_bytes: bytes


class Client(ABC):
    """One connected client. What it registers is answered by ``functions``, by method path."""

    transport: str

    def __init__(self) -> None:
        self.info: dict[str, Any] = {}
        self.functions: dict[str, Callable[..., Any]] = {}
        self.heartbeats: list[str] = []
        self.calls: list[Message] = []
        """Calls of ``functions``, as they came."""
        self._waiting: list[Message] = []
        self._controls: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._arrived = asyncio.Condition()
        self.functions["services.built-in.ping"] = lambda text: "pong"

    @property
    def workspace(self) -> str:
        return str(self.info["workspace"])

    @property
    def address(self) -> str:
        return f"{self.workspace}/{self.info['client_id']}"

    @property
    def manager_address(self) -> str:
        return f"*/{self.info['manager_id']}"

    @abstractmethod
    async def send_bytes(self, frame: bytes) -> None:
        """Send one message."""

    @abstractmethod
    async def control(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a control message and return the answer."""

    async def send(self, header: dict[str, Any], body: dict[str, Any] | None = None) -> None:
        frame = msgpack.packb(header) + (b"" if body is None else msgpack.packb(body))
        await self.send_bytes(frame)

    async def message(self, matches: Callable[[Message], bool] = lambda m: True) -> Message:
        """Take the first message that matches, waiting for it if need be."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            while True:
                for index, message in enumerate(self._waiting):
                    if matches(message):
                        return self._waiting.pop(index)
                await self._arrived.wait()

    async def event(self, kind: str) -> Message:
        return await self.message(lambda m: m.header["type"] == kind)

    def unread(self) -> list[Message]:
        """What has arrived and nobody has asked for."""
        return list(self._waiting)

    async def raw_call(
        self, to: str, method: str, body: dict[str, Any] | None, session: str | None = None
    ) -> Message:
        """Call with a body of one's own and return the reply."""
        session = session or secrets.token_hex(8)
        await self.send({"type": "method", "to": to, "method": method, "session": session}, body)
        return await self.message(lambda m: belongs(m, session))

    async def call(self, to: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call and return the value. Raises Rejected."""
        body: dict[str, Any] = {"args": [*args], "promise": "*", "t": 15.0}
        if kwargs:
            body |= {"args": [*args, kwargs], "with_kwargs": True}
        return value_of(await self.raw_call(to, method, body))

    async def manager(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the workspace manager."""
        method = f"services.default.{function}"
        return await self.call(self.manager_address, method, *args, **kwargs)

    async def settled(self) -> None:
        """Everything sent so far has been taken, and what it caused here has arrived."""
        await self.control({"type": "ping"})

    async def register(
        self, service_id: str, functions: dict[str, Callable[..., Any]] | None = None, **info: Any
    ) -> str:
        """Register a service, public if nothing else is said, and return its full id."""
        config = info.pop("config", PUBLIC)
        shown: dict[str, Any] = {"id": service_id, "config": dict(config)}
        for name, function in (functions or {}).items():
            self.functions[f"services.{service_id}.{name}"] = function
            shown[name] = encoded(self.info["client_id"], f"services.{service_id}.{name}")
        previous = self.functions.get("services.built-in.get_service")

        def get_service(wanted: str) -> Any:
            if wanted.rpartition(":")[2] == service_id:
                return shown
            if previous is None:
                raise KeyError(f"Service not found: {wanted}")
            return previous(wanted)

        self.functions["services.built-in.get_service"] = get_service
        full = f"{self.address}:{service_id}"
        entry = {"id": full, "name": service_id, "config": config, **info}
        assert await self.manager("register_service", entry) is None
        return full

    async def take(self, frame: bytes) -> None:
        """Sort in what has arrived."""
        unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=1 << 26)
        unpacker.feed(frame)
        header = unpacker.unpack()
        rest = frame[unpacker.tell() :]
        body = msgpack.unpackb(rest, strict_map_key=False) if rest else NO_BODY
        if header["type"] in CONTROL and "to" not in header:
            self._controls.put_nowait(header)
            return
        if header["type"] == "ping" and "to" not in header:
            return
        message = Message(header, body, rest)
        method = str(header.get("method"))
        if header["type"] == "method" and method.endswith(".heartbeat"):
            self.heartbeats.append(method)
        elif header["type"] == "method" and method in self.functions:
            self.calls.append(message)
            await self._answer(message)
        else:
            async with self._arrived:
                self._waiting.append(message)
                self._arrived.notify_all()

    async def _answer(self, call: Message) -> None:
        try:
            args = list(call.body.get("args") or [])
            kwargs = args.pop() if call.body.get("with_kwargs") else {}
            outcome, value = "resolve", self.functions[call.header["method"]](*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a provider tells whatever goes wrong
            text = f"{type(error).__name__}: {error}"
            outcome, value = "reject", {"_rtype": "error", "_rvalue": text, "_rtrace": ""}
        if session := call.header.get("session"):
            reply = {"type": "method", "to": call.header["from"], "method": f"{session}.{outcome}"}
            await self.send(reply, {"args": [value]})


def belongs(message: Message, session: str) -> bool:
    """Whether a message settles the call of this session."""
    header = message.header
    if header["type"] == "peer_not_found":
        return bool(header["session"] == session)
    return header.get("method") in (f"{session}.resolve", f"{session}.reject")


def value_of(reply: Message) -> Any:
    """What a reply returns. Raises Rejected."""
    if reply.header["type"] == "peer_not_found":
        raise Rejected(reply.header["error"])
    (value,) = reply.body["args"]
    if reply.header["method"].endswith(".reject"):
        raise Rejected(value["_rvalue"])
    return value


def encoded(target: str, method: str) -> dict[str, Any]:
    """A function as clients send it."""
    return {"_rtype": "method", "_rtarget": target, "_rmethod": method, "_rpromise": "*"}


class WebSocketClient(Client):
    transport = "websocket"

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self.connection = connection

    async def send_bytes(self, frame: bytes) -> None:
        await self.connection.send(frame)

    async def control(self, message: dict[str, Any]) -> dict[str, Any]:
        await self.connection.send(json.dumps(message))
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._controls.get()

    async def read(self) -> None:
        async for frame in self.connection:
            if isinstance(frame, str):
                self._controls.put_nowait(json.loads(frame))
            else:
                await self.take(frame)


class HttpClient(Client):
    transport = "http"

    def __init__(self, http: httpx.AsyncClient, token: str | None) -> None:
        super().__init__()
        self._http = http
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    async def send_bytes(self, frame: bytes) -> None:
        where = {"client_id": self.info["client_id"], "workspace": self.workspace}
        response = await self._http.post("/rpc", params=where, content=frame, headers=self.headers)
        if response.status_code != 200:
            # What a websocket client is told in a control message.
            detail = response.json()["detail"]
            self._controls.put_nowait({"type": "error", "message": detail})

    async def control(self, message: dict[str, Any]) -> dict[str, Any]:
        await self.send_bytes(msgpack.packb(message))
        return await self.refusal()

    async def read(self, stream: AsyncIterator[bytes]) -> None:
        data = b""
        async for part in stream:
            data += part
            while len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:4], "big"):
                end = 4 + int.from_bytes(data[:4], "big")
                frame, data = data[4:end], data[end:]
                await self.take(frame)

    async def refusal(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._controls.get()
