"""The MCP endpoint of a service as an ASGI application: bytes in, JSON or events out.

It checks the transport (media types, size), has the message classified, finds out who asks for
what, and runs the method. Every request stands alone, and GET and DELETE have nothing to act on,
but where a service has asked for sessions (``stateful``). Host and origin have been checked before
(``routes``).

This is the hot path. It reads the raw ASGI scope because building request and response objects
would cost more than everything else here together.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import orjson
from starlette.types import Receive, Scope, Send

from gateway.requests import current_door, note_operation
from mcp_bridge import guard, headers, methods
from mcp_bridge.body import read_body
from mcp_bridge.errors import (
    INVALID_REQUEST,
    PARSE_ERROR,
    Failure,
    endpoint_failure,
)
from mcp_bridge.exchange import ClientGone, Exchange, Reply, Timing, respond, send_reply
from mcp_bridge.guard import RawHeaders
from mcp_bridge.ladder import ClientAnswer, Notification, Rejection, Request, classify
from mcp_bridge.listening import Listening
from mcp_bridge.offer import Offer, Opener
from mcp_bridge.replies import completed, failed, refused, worked
from mcp_bridge.revisions import MODERN
from mcp_bridge.sessions import SESSION_ID
from mcp_bridge.stateful import Stateful
from schema.errors import GatewayError, Overloaded
from schema.integers import has_wide_integer

_WRONG_TYPE: Final = Failure(INVALID_REQUEST, "Content-Type must be application/json", status=415)
_COMPRESSED: Final = Failure(
    INVALID_REQUEST,
    "The body must not be compressed",
    status=415,
    headers=((b"accept-encoding", b"identity"),),
)
_NOT_ACCEPTABLE: Final = Failure(
    INVALID_REQUEST, "Accept must allow application/json or text/event-stream", status=406
)
_NEEDS_EVENTS: Final = Failure(INVALID_REQUEST, "Accept must allow text/event-stream", status=406)
_ONLY_POST: Final = Failure(
    INVALID_REQUEST,
    "Only POST is possible here",
    status=405,
    headers=((b"allow", b"POST"),),
)
_NOT_ASKED: Final = Failure(
    INVALID_REQUEST, "Not a JSON-RPC 2.0 request or notification", status=400
)
_NOT_JSON: Final = Failure(PARSE_ERROR, "The body is not JSON", status=400)
_TOO_WIDE: Final = Failure(
    PARSE_ERROR, "The body has an integer beyond 64 bits: send it as text", status=400
)
_ACCEPTED: Final = Reply(b"", 202)


class McpEndpoint:
    """One endpoint for all services; which one is in the path."""

    def __init__(
        self,
        opener: Opener,
        listening: Listening,
        stateful: Stateful,
        max_body_bytes: int,
        timing: Timing,
    ) -> None:
        self._opener = opener
        self._listening = listening
        self._stateful = stateful
        self._max_body = max_body_bytes
        self._timing = timing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        current_door.set("mcp")
        sent: dict[bytes, bytes] = dict(scope["headers"])
        cors = guard.cors_headers(sent)
        if scope["method"] != "POST":
            reply = await self._beside(scope, sent, receive, send)
            if reply is not None:
                await send_reply(send, reply, cors)
            return
        failure = self._transport_failure(sent)
        if failure is not None:
            await send_reply(send, refused(failure), cors)
            return
        try:
            body = await read_body(scope, receive, self._max_body)
        except ClientGone:
            return
        except Overloaded as error:
            await send_reply(send, refused(endpoint_failure(error)), cors)
            return
        message = self._classify(body, scope, sent)
        if isinstance(message, Request):
            await self._answer(message, scope, receive, send, cors)
        elif isinstance(message, Notification | ClientAnswer):
            await send_reply(send, await self._take(message, scope, sent), cors)
        else:
            reply = refused(message.failure, message.id, is_modern=message.is_modern)
            await send_reply(send, reply, cors)

    async def _take(
        self,
        message: Notification | ClientAnswer,
        scope: Scope,
        sent: Mapping[bytes, bytes],
    ) -> Reply:
        """Act on what wants no answer. Without a session there is nothing to act on: one caller
        must not cancel another's request by guessing its id. Closing the connection is how a
        request is cancelled."""
        try:
            if offer := await self._offer_with_sessions(scope, sent):
                return self._stateful.take(offer, message, scope, sent)
        except GatewayError as error:
            return refused(endpoint_failure(error))
        if isinstance(message, Notification):
            return _ACCEPTED
        answered = message.message["id"]
        return refused(_NOT_ASKED, answered if type(answered) in (str, int) else None)

    async def _beside(
        self, scope: Scope, sent: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> Reply | None:
        """GET and DELETE, which are for sessions; None if the response has been sent."""
        try:
            offer = await self._offer_with_sessions(scope, sent)
            if offer is None:
                return refused(_ONLY_POST)
            if scope["method"] == "DELETE":
                return self._stateful.end(offer, scope, sent)
            if not headers.accepts(sent.get(b"accept")).events:
                return refused(_NEEDS_EVENTS)
            return await self._stateful.listen(offer, scope, sent, receive, send)
        except GatewayError as error:
            return refused(endpoint_failure(error))

    async def _offer_with_sessions(self, scope: Scope, sent: Mapping[bytes, bytes]) -> Offer | None:
        """The endpoint, if it has sessions and the request says that it is of one."""
        sessions = self._stateful.sessions
        is_modern = sent.get(headers.VERSION, b"").decode("latin-1") in MODERN
        if SESSION_ID not in sent or is_modern or not sessions.may_be_there:
            return None
        offer = await self._opener.open(scope, sent)
        return offer if sessions.serves(offer) else None

    def _transport_failure(self, sent: Mapping[bytes, bytes]) -> Failure | None:
        if not headers.is_json(sent.get(b"content-type")):
            return _WRONG_TYPE
        if sent.get(b"content-encoding", b"identity") not in (b"identity", b""):
            return _COMPRESSED
        accepts = headers.accepts(sent.get(b"accept"))
        if not accepts.json and not accepts.events:
            return _NOT_ACCEPTABLE
        length = sent.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body:
            return self._too_large()
        return None

    def _too_large(self) -> Failure:
        text = f"The body is larger than {self._max_body} bytes"
        return Failure(INVALID_REQUEST, text, status=413)

    def _classify(
        self, body: bytes | None, scope: Scope, sent: dict[bytes, bytes]
    ) -> Request | Notification | ClientAnswer | Rejection:
        if body is None:
            return Rejection(None, self._too_large())
        try:
            message = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Rejection(None, _NOT_JSON)
        if has_wide_integer(body):
            return Rejection(None, _TOO_WIDE)
        raw = scope["headers"]
        repeated = headers.repeated(raw) if len(raw) != len(sent) else None
        return classify(message, sent, repeated, size=len(body))

    async def _answer(
        self, request: Request, scope: Scope, receive: Receive, send: Send, cors: RawHeaders
    ) -> None:
        accepts = headers.accepts(request.headers.get(b"accept"))
        try:
            offer = await self._opener.open(scope, request.headers)
            if self._stateful.concerns(offer, request):
                answer = self._stateful.answer(offer, request, scope, receive, send, accepts, cors)
                reply = await answer
                if reply is not None:
                    # A client of a session has a stream for whatever it names first.
                    preferred = accepts._replace(json=not accepts.events_first and accepts.json)
                    await respond(send, preferred, reply, cors)
                return
            method = methods.find(request)
            note_operation(scope, request.method)
            if isinstance(method, methods.Immediate):
                reply = completed(request, method.answer(offer, request))
            elif isinstance(method, methods.Standing):
                if accepts.events:
                    await self._listening.serve(offer, request, scope, receive, send, cors)
                    return
                reply = refused(_NEEDS_EVENTS, request.id)
            else:
                exchange = Exchange(
                    receive,
                    send,
                    accepts,
                    headers=cors,
                    progress_token=request.progress_token,
                    timing=self._timing,
                )
                await exchange.serve(partial(worked, method.work, offer, request))
                return
        except Exception as error:  # noqa: BLE001 - the edge: every failure becomes a response
            reply = failed(error, request)
        await respond(send, accepts, reply, cors)
