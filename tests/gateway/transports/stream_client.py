"""A client of the HTTP transport without a socket: it says what a test tells it to."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import msgpack
import orjson
from starlette.types import ASGIApp, Message

from gateway.transports.uvicorn_http import ABORT
from tests.http_proxy.asgi import Exchange
from tests.patience import PATIENCE_SECONDS

OMIT = object()


class Reply(NamedTuple):
    """What came back for a POST."""

    status: int
    detail: str | None


class Line(Exchange):
    """A GET on a connection that, as the gateway's own server does, swallows what is written after
    it was lost, and can be ended by the application."""

    lost = False

    async def __aenter__(self) -> Self:
        self.scope["extensions"] = {ABORT: self.disconnect}
        return await super().__aenter__()

    async def _send(self, message: Message) -> None:
        if not self.reading.is_set():
            self.blocked.set()
            await self.reading.wait()
        if not self.lost:
            self._outgoing.put_nowait(message)

    def disconnect(self) -> None:
        self.lost = True
        super().disconnect()
        self.reading.set()


class StreamClient:
    """One client. ``token`` and ``headers`` go with every request."""

    def __init__(
        self,
        door: ASGIApp,
        client_id: str | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.client_id = client_id or secrets.token_hex(8)
        self.token = token
        self.sends = headers or {}
        self.info: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.line: Line
        self._door = door
        self._bytes = b""
        self._lines = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lines.aclose()

    @property
    def workspace(self) -> str:
        return str(self.info["workspace"])

    @property
    def address(self) -> str:
        return f"{self.workspace}/{self.client_id}"

    async def open(self, **query: str) -> Self:
        """Open the stream and read its first message."""
        await self.get(**query)
        status, self.headers = await self.line.start()
        assert status == 200, await self.line.rest()
        self.info, _ = await self.message()
        return self

    async def get(self, **query: str) -> None:
        self._bytes = b""
        target = f"/rpc?{urlencode({'client_id': self.client_id, **query})}"
        self.line = Line(self._door, target, headers=self._authorization(self.token))
        await self._lines.enter_async_context(self.line)

    async def frame(self) -> bytes:
        """The next frame, without its length."""
        while len(self._bytes) < 4 or len(self._bytes) < 4 + self._length:
            part = await self.line.part()
            assert part, "the stream has ended"
            self._bytes += part
        end = 4 + self._length
        frame, self._bytes = self._bytes[4:end], self._bytes[end:]
        return frame

    @property
    def _length(self) -> int:
        return int.from_bytes(self._bytes[:4], "big")

    async def message(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The next header and body."""
        unpacker = msgpack.Unpacker()
        unpacker.feed(await self.frame())
        header, *bodies = unpacker
        return header, bodies[0] if bodies else {}

    async def post(self, *values: Any, token: Any = OMIT, **query: str) -> Reply:
        """Send concatenated msgpack values."""
        async with self.sending(b"".join(map(msgpack.packb, values)), token=token, **query) as post:
            return await replied(post)

    def sending(self, *parts: bytes, token: Any = OMIT, **query: str) -> Exchange:
        """A POST of a body in parts."""
        address = {"client_id": self.client_id, "workspace": self.info.get("workspace", "")}
        return Exchange(
            self._door,
            f"/rpc?{urlencode(address | query)}",
            method="POST",
            headers=self._authorization(self.token if token is OMIT else token),
            parts=parts,
        )

    async def call(self, to: str, method: str, *args: Any) -> Any:
        """Call and return the value; the next message on the stream must be the reply."""
        header = {"type": "method", "to": to, "method": method, "session": secrets.token_hex(6)}
        assert await self.post(header, {"args": args, "promise": "*"}) == Reply(200, None)
        reply, body = await self.message()
        assert reply["method"] == f"{header['session']}.resolve", body
        return body["args"][0]

    async def manager(self, function: str, *args: Any) -> Any:
        return await self.call(
            f"*/{self.info['manager_id']}", f"services.default.{function}", *args
        )

    def keep_cookie(self) -> str:
        """From now on send the cookie that the stream came with."""
        cookie, *attributes = self.headers["set-cookie"].split("; ")
        assert attributes == ["HttpOnly", "SameSite=Strict"]
        self.sends["cookie"] = cookie
        return cookie

    def _authorization(self, token: str | None) -> dict[str, str]:
        return self.sends if token is None else self.sends | {"authorization": f"Bearer {token}"}


async def replied(post: Exchange) -> Reply:
    status, _ = await post.start()
    body = await post.rest()
    return Reply(status, orjson.loads(body)["detail"] if body else None)


async def settled(post: Exchange) -> bool:
    """Whether a request is answered, after everything that can go on without it has gone on."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(10):
            await asyncio.sleep(0)
    return post.unread > 0
