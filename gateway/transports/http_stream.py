"""The HTTP door of hypha-rpc: ``/rpc``, an ASGI application (ASGI 3, http scope).

For clients that no websocket gets through to. ``GET`` opens a stream of messages to the client,
which never ends; every message from the client is a ``POST`` of its own. Behind it is the same
session as behind a websocket. It does not know what is in a message, but for two control messages.

The contract is that of ``hypha_rpc/http_client.py`` and ``http-client.js`` (hypha-rpc 0.21).
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.admission import Doorkeeper, Hello
from gateway.auth.digests import digest
from gateway.hub import Hub
from gateway.requests import hold_body, identify, record_of
from gateway.routing.router import Router
from gateway.routing.session import ClientSession
from gateway.settings import Settings
from gateway.transports.blocked import address_of
from gateway.transports.intake import Intake
from gateway.transports.stream import Stream
from gateway.transports.stream_replies import cross_origin, method_not_allowed, preflight, refusal
from gateway.wire.codec import pack, unpack
from schema.errors import (
    Blocked,
    GatewayError,
    InvalidMessage,
    InvalidRequest,
    PayloadTooLarge,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from schema.identity import User, personal_workspace

BODY_SECONDS: Final = 30.0
"""How long a request may send nothing before it has sent all of its body."""

MAX_CONTROL_BYTES: Final = 64
_PONG: Final = pack({"type": "pong"})


class HttpStreamDoor:
    """ASGI application for one path."""

    def __init__(
        self, settings: Settings, hub: Hub, doorkeeper: Doorkeeper, router: Router
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._doorkeeper = doorkeeper
        self._router = router
        self._streams: dict[ClientSession, Stream] = {}
        self._secret = secrets.token_bytes()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            match request.method:
                case "GET":
                    await self._stream(request, receive, send)
                    return
                case "POST":
                    await self._message(request, receive)
                    response = Response()
                case "OPTIONS":
                    response = preflight(request)
                case _:
                    response = method_not_allowed()
        except GatewayError as error:
            response = refusal(error)
        except ClientDisconnect:
            return
        response.headers.update(cross_origin(request, self._settings.allow_origins))
        await response(scope, receive, send)

    async def _stream(self, request: Request, receive: Any, send: Any) -> None:
        query = request.query_params
        hello = Hello.read(
            {
                "client_id": _client_id(query),
                "token": await self._token(request),
                "workspace": query.get("workspace"),
                "reconnection_token": query.get("reconnection_token"),
            },
            remote=address_of(request.scope),
        )
        stream = Stream(request.scope, receive, send)
        try:
            session = await self._hub.open(hello, close=stream.request_end)
        except (Unauthenticated, PermissionDenied) as error:
            token_is_bad = isinstance(error, Unauthenticated) and hello.token is not None
            is_final = token_is_bad or isinstance(error, Blocked)
            if hello.reconnection_token is None or is_final:
                raise
            raise Unauthenticated(f"Invalid reconnection token: {error.message}") from None
        identify(request.scope, session.user)
        stream.needs_token = hello.token is not None
        stream.key = self._key(session)
        stream.needs_key = not _is_made_up(session.user)
        headers = cross_origin(request, self._settings.allow_origins)
        if not stream.needs_token and (stream.needs_key or not _is_from_script(request)):
            cookie = f"{_cookie_name(session.address)}={stream.key}; HttpOnly; SameSite=Strict"
            headers["set-cookie"] = cookie
        stream.intake = Intake(
            session,
            self._router.route,
            self._settings,
            asyncio.get_running_loop().time,
            self._hub.flooded,
        )
        self._streams[session] = stream
        try:
            await stream.begin(self._hub.connection_info(session), headers)
            self._hub.ready(session, stream.write)
            await stream.serve(session, self._settings.http_ping_seconds)
        finally:
            del self._streams[session]
            self._hub.closed(
                session,
                may_return=stream.client_gone,
                grace_seconds=self._settings.http_reconnect_grace_seconds,
            )
        await stream.end()

    async def _message(self, request: Request, receive: Any) -> None:
        session, stream = await self._addressed(request)
        async with stream.turns.queue() as turn:
            if (record := record_of(request.scope)) is not None:
                record.is_counted = True  # the limit of the connection's messages applies
            frame = await self._body(request.scope, receive)
            await turn.wait()
            if not self._is_served(session):
                raise _no_stream(session.address)
            if self._control(session, frame):
                return
            error = stream.intake.take(frame)
        if error is not None:
            raise error

    async def _addressed(self, request: Request) -> tuple[ClientSession, Stream]:
        """The stream that a message belongs to, if whoever sends it may speak for its client."""
        query = request.query_params
        client_id = _client_id(query)
        token = await self._token(request)
        user = await self._doorkeeper.bearer(token) if token is not None else None
        workspace = query.get("workspace") or (_home(user) if user is not None else "")
        address = f"{workspace}/{client_id}"
        session = self._router.get(address)
        if session is None or not self._is_served(session):
            if self._hub.is_draining:
                raise Unavailable("The server is stopping")
            raise _no_stream(address)
        stream = self._streams[session]
        if user is not None:
            if not self._doorkeeper.speaks_for(user, session.caller):
                raise PermissionDenied(f"This token is not that of the client {address}")
            identify(request.scope, user)
        elif stream.needs_token or not stream.admits(request.cookies.get(_cookie_name(address))):
            raise Unauthenticated(f"Messages of {address} need its token")
        return session, stream

    async def _token(self, request: Request) -> str | None:
        found = await self._doorkeeper.token_in(request.scope)
        return found if found is not None else _token(request)

    def _key(self, session: ClientSession) -> str:
        """What a client without a token is known by. The same for all of its streams, so that
        messages which are on their way when it comes back are not refused."""
        who = f"{session.user.id} {session.address}"
        return hmac.digest(self._secret, who.encode(), "sha256").hex()

    def _is_served(self, session: ClientSession) -> bool:
        return session in self._streams and self._router.get(session.address) is session

    async def _body(self, scope: Any, receive: Any) -> bytes:
        limit = self._settings.max_frame_bytes
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    message = await receive()
            except TimeoutError:
                raise InvalidRequest("The rest of the request body did not come") from None
            if message["type"] != "http.request":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise PayloadTooLarge(f"A message may have {limit} bytes at most")
            hold_body(scope, size)
            more = message.get("more_body", False)
        if not size:
            raise InvalidRequest("Empty request body")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _control(self, session: ClientSession, frame: bytes) -> bool:
        """Answer a control message, on the stream. False if it is a message for the router."""
        if len(frame) > MAX_CONTROL_BYTES:
            return False
        try:
            message = unpack(frame)
        except InvalidMessage:
            return False
        kind = message.get("type") if isinstance(message, dict) and "to" not in message else None
        if kind == "ping":
            session.outbox.put(_PONG)
        elif kind == "refresh_token":
            token = self._hub.reconnection_token(session)
            session.outbox.put(pack({"type": "reconnection_token", "reconnection_token": token}))
        else:
            return False
        return True


def _client_id(query: QueryParams) -> str:
    client_id = query.get("client_id")
    if not client_id:
        raise InvalidRequest("client_id is required")
    return client_id


def _token(request: Request) -> str | None:
    header = request.headers.get("authorization", "").strip()
    scheme, _, token = header.partition(" ")
    return (token.strip() if scheme.lower() == "bearer" else header) or None


def _home(user: User) -> str:
    return user.scope.current_workspace or personal_workspace(user.id)


def _is_made_up(user: User) -> bool:
    """Whether the gateway made the user for a client that had no credential."""
    return user.is_anonymous and user.parent is None


def _cookie_name(address: str) -> str:
    return f"polyport_{digest(address)[:16]}"


def _is_from_script(request: Request) -> bool:
    """Whether JavaScript sends it: in a web page the cookies of one client after the other would
    pile up, and Node.js keeps none."""
    return "sec-fetch-mode" in request.headers


def _no_stream(address: str) -> InvalidRequest:
    return InvalidRequest(f"No stream is open for the client {address}")
