"""The websocket door: ``/ws``, an ASGI application (ASGI 3, websocket scope).

Reads the first message, then hands every binary frame to the router. Text frames after the first
message are control messages. Does not know what is in a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from gateway.admission import Hello, refusal_text
from gateway.edge.answers import refuse_socket
from gateway.hub import Hub
from gateway.requests import identify
from gateway.routing.router import Router
from gateway.routing.session import CLOSE_GOING_AWAY, CLOSE_POLICY, ClientSession
from gateway.settings import Settings
from gateway.transports.blocked import address_of
from gateway.transports.intake import Intake
from gateway.transports.uvicorn_websocket import DIRECT_FRAMES, DirectFrames
from schema.errors import GatewayError, Unavailable

logger = logging.getLogger(__name__)

GOODBYES: Final = (1000, 1001)
"""Codes with which a client leaves for good: it disconnects, or its page is closed. After any
other end it comes back by itself."""

CLOSE_UNSUPPORTED: Final = 1003
MAX_CONTROL_CHARACTERS: Final = 1000
MAX_HELLO_CHARACTERS: Final = 64 * 1024
"""Of the first message: two tokens and some names. It is read before anybody has said who they
are."""

MAX_REASON_BYTES: Final = 123
"""Length of a close reason that fits its control frame (RFC 6455, section 5.5)."""

CLOSE_SECONDS: Final = 5.0
"""How long a client that does not read may hold up the closing of its connection."""

_CREDENTIALS: Final = ("workspace", "client_id", "token", "reconnection_token")


class WebSocketDoor:
    """ASGI application for one path."""

    def __init__(self, settings: Settings, hub: Hub, router: Router) -> None:
        self._settings = settings
        self._hub = hub
        self._router = router

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # websocket.connect
        if self._hub.is_draining:
            await refuse_socket(send, 503, Unavailable("The server is stopping"))
            return
        await send({"type": "websocket.accept"})
        connection = _Connection(receive, send)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if any(name in query for name in _CREDENTIALS):
            await connection.close(
                CLOSE_POLICY,
                "Connection rejected, please  upgrade to `hypha-rpc` which pass the "
                "authentication information in the first message",
            )
            return
        session = await self._handshake(connection, address_of(scope))
        if session is None:
            return
        identify(scope, session.user)
        try:
            await connection.send_json(self._hub.connection_info(session))
            direct: DirectFrames | None = (scope.get("extensions") or {}).get(DIRECT_FRAMES)
            self._hub.ready(session, connection.send_frame, direct.write if direct else None)
            await self._serve(connection, session, direct)
        except asyncio.CancelledError:
            if not connection.given_up:
                raise
        finally:
            connection.ended = True
            self._hub.closed(session, may_return=connection.broke)

    async def _handshake(self, connection: _Connection, remote: str | None) -> ClientSession | None:
        try:
            async with asyncio.timeout(self._settings.handshake_timeout_seconds):
                first = await connection.receive_text_or_bytes()
        except TimeoutError:
            await connection.refuse("Authentication payload timeout", CLOSE_POLICY)
            return None
        if first is None:
            return None
        try:
            is_short = isinstance(first, str) and len(first) <= MAX_HELLO_CHARACTERS
            message = orjson.loads(first) if is_short else None
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            await connection.refuse(
                "Failed to decode authentication information", CLOSE_UNSUPPORTED
            )
            return None
        try:
            hello = Hello.read(message, remote=remote)
            session = await self._hub.open(hello, close=connection.request_close)
        except Unavailable:
            await connection.close(CLOSE_GOING_AWAY, "The server is stopping")
            return None
        except GatewayError as error:
            text, is_final = refusal_text(error)
            await connection.refuse(text, CLOSE_POLICY if is_final else CLOSE_GOING_AWAY)
            return None
        return session

    async def _serve(
        self, connection: _Connection, session: ClientSession, direct: DirectFrames | None
    ) -> None:
        loop = asyncio.get_running_loop()
        idle_seconds = self._settings.idle_timeout_seconds
        intake = Intake(session, self._router.route, self._settings, loop.time, self._hub.flooded)
        timer: asyncio.TimerHandle

        def take(frame: bytes) -> None:
            error = intake.take(frame)
            if error is not None and not connection.closing:
                connection.report(error.message)

        def check_idle() -> None:
            nonlocal timer
            left = intake.heard_at + idle_seconds - loop.time()
            if left <= 0:
                connection.request_close(CLOSE_GOING_AWAY, f"Idle timeout ({idle_seconds:g}s)")
            else:
                timer = loop.call_later(left, check_idle)

        timer = loop.call_later(idle_seconds, check_idle)
        if direct is not None:
            direct.set_sink(take)
        try:
            while True:
                message = await connection.receive()
                if message["type"] != "websocket.receive":
                    connection.broke = (
                        message.get("code") not in GOODBYES and not connection.closing
                    )
                    return
                frame = message.get("bytes")
                if frame is None:
                    intake.heard_at = loop.time()
                    await self._control(connection, session, message.get("text") or "")
                else:
                    take(frame)
        finally:
            timer.cancel()
            if direct is not None:
                direct.set_sink(None)

    async def _control(self, connection: _Connection, session: ClientSession, text: str) -> None:
        if len(text) > MAX_CONTROL_CHARACTERS or connection.closing:
            return
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ping":
            await connection.send_json({"type": "pong"})
        elif kind == "refresh_token":
            token = self._hub.reconnection_token(session)
            await connection.send_json({"type": "reconnection_token", "reconnection_token": token})


class _Connection:
    """One websocket, as ASGI shows it."""

    __slots__ = ("_closing", "_reports", "_send", "_task", "broke", "ended", "given_up", "receive")

    def __init__(self, receive: Any, send: Any) -> None:
        self.receive = receive
        self._send = send
        self._task = asyncio.current_task()
        self._closing: asyncio.Task[None] | None = None
        self._reports: set[asyncio.Task[None]] = set()
        self.ended = False
        self.broke = False
        """The connection ended without a goodbye, and not because it was closed from here."""
        self.given_up = False
        """The peer did not even take the close frame; its reader was cancelled."""

    @property
    def closing(self) -> bool:
        """The server has asked for the end."""
        return self._closing is not None

    async def receive_text_or_bytes(self) -> str | bytes | None:
        """The next message, or None if the client has gone."""
        message = await self.receive()
        if message["type"] != "websocket.receive":
            return None
        text: str | bytes | None = message.get("text")
        return text if text is not None else message.get("bytes")

    async def send_frame(self, frame: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": frame})

    async def send_json(self, message: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})

    def report(self, message: str) -> None:
        """Tell the client about a bad message without waiting for it to listen."""
        task = asyncio.get_running_loop().create_task(
            self._report(orjson.dumps({"type": "error", "message": message}).decode())
        )
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _report(self, text: str) -> None:
        with contextlib.suppress(Exception):  # the connection may end before it is told
            await self._send({"type": "websocket.send", "text": text})

    async def refuse(self, message: str, code: int) -> None:
        """Tell why in a message, because a close reason is short, then close."""
        await self.send_json({"type": "error", "message": message})
        await self.close(code, message)

    async def close(self, code: int, reason: str) -> None:
        short = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        await self._send({"type": "websocket.close", "code": code, "reason": short})

    def request_close(self, code: int, reason: str) -> None:
        """Close without waiting; the reader then sees the end of the connection."""
        if self._closing is None and not self.ended:
            self._closing = asyncio.get_running_loop().create_task(
                self._close_quietly(code, reason)
            )

    async def _close_quietly(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close(code, reason)
        except Exception as error:  # noqa: BLE001 - whatever the transport raises, it is over
            logger.debug("close_failed error=%s", type(error).__name__)
            if not self.ended and self._task is not None:
                self.given_up = True
                self._task.cancel()
