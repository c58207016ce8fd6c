"""The MCP endpoint of a service as an ASGI application: bytes in, JSON or events out.

It checks the transport (media types, size), has the message classified, finds out who asks for
what, and runs the method. Every request stands alone: there are no sessions, so GET and DELETE
have nothing to act on. Method, host and origin have been checked before (``routes``).

This is the hot path. It reads the raw ASGI scope because building request and response objects
would cost more than everything else here together.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

import orjson
from starlette.types import Receive, Scope, Send

from gateway.requests import note_operation
from mcp_bridge import guard, headers, methods
from mcp_bridge.errors import (
    INTERNAL,
    INVALID_REQUEST,
    PARSE_ERROR,
    Failure,
    RpcError,
    endpoint_failure,
)
from mcp_bridge.exchange import ClientGone, Exchange, Reply, Timing, respond, send_reply
from mcp_bridge.ladder import Notification, Rejection, Request, classify
from mcp_bridge.listening import Listening
from mcp_bridge.offer import Offer, Opener
from schema.errors import GatewayError, InternalError

logger = logging.getLogger(__name__)

_WRONG_TYPE: Final = Failure(INVALID_REQUEST, "Content-Type must be application/json", status=415)
_NOT_ACCEPTABLE: Final = Failure(
    INVALID_REQUEST, "Accept must allow application/json or text/event-stream", status=406
)
_NEEDS_EVENTS: Final = Failure(INVALID_REQUEST, "Accept must allow text/event-stream", status=406)
_NOT_JSON: Final = Failure(PARSE_ERROR, "The body is not JSON", status=400)
_ACCEPTED: Final = Reply(b"", 202)


class McpEndpoint:
    """One endpoint for all services; which one is in the path."""

    def __init__(
        self, opener: Opener, listening: Listening, max_body_bytes: int, timing: Timing
    ) -> None:
        self._opener = opener
        self._listening = listening
        self._max_body = max_body_bytes
        self._timing = timing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent: dict[bytes, bytes] = dict(scope["headers"])
        cors = guard.cors_headers(sent)
        failure = self._transport_failure(sent)
        if failure is not None:
            await send_reply(send, _refused(failure), cors)
            return
        try:
            body = await self._read(receive)
        except ClientGone:
            return
        message = self._classify(body, scope, sent)
        if isinstance(message, Request):
            await self._answer(message, scope, receive, send)
        elif isinstance(message, Notification):
            # Nothing to act on: a stateless endpoint must not let one caller cancel another's
            # request by guessing its id. Closing the connection is how a request is cancelled.
            await send_reply(send, _ACCEPTED, cors)
        else:
            reply = _refused(message.failure, message.id, is_modern=message.is_modern)
            await send_reply(send, reply, cors)

    def _transport_failure(self, sent: Mapping[bytes, bytes]) -> Failure | None:
        if not headers.is_json(sent.get(b"content-type")):
            return _WRONG_TYPE
        accepts = headers.accepts(sent.get(b"accept"))
        if not accepts.json and not accepts.events:
            return _NOT_ACCEPTABLE
        length = sent.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body:
            return self._too_large()
        return None

    async def _read(self, receive: Receive) -> bytes | None:
        """The body, or None if it is too large. Raises ClientGone."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body:
                return None
            chunks.append(chunk)
            if not message.get("more_body"):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> Failure:
        text = f"The body is larger than {self._max_body} bytes"
        return Failure(INVALID_REQUEST, text, status=413)

    def _classify(
        self, body: bytes | None, scope: Scope, sent: dict[bytes, bytes]
    ) -> Request | Notification | Rejection:
        if body is None:
            return Rejection(None, self._too_large())
        try:
            message = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Rejection(None, _NOT_JSON)
        raw = scope["headers"]
        repeated = headers.repeated(raw) if len(raw) != len(sent) else None
        return classify(message, sent, repeated, size=len(body))

    async def _answer(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        cors = guard.cors_headers(request.headers)
        accepts = headers.accepts(request.headers.get(b"accept"))
        try:
            offer = await self._opener.open(scope, request.headers)
            method = methods.find(request)
            note_operation(scope, request.method)
            if isinstance(method, methods.Immediate):
                reply = _completed(request, method.answer(offer, request))
            elif isinstance(method, methods.Standing):
                if accepts.events:
                    await self._listening.serve(offer, request, scope, receive, send, cors)
                    return
                reply = _refused(_NEEDS_EVENTS, request.id)
            else:
                exchange = Exchange(
                    receive,
                    send,
                    accepts,
                    headers=cors,
                    progress_token=request.progress_token,
                    timing=self._timing,
                )
                await exchange.serve(partial(_worked, method.work, offer, request))
                return
        except Exception as error:  # noqa: BLE001 - the edge: every failure becomes a response
            reply = _failed(error, request)
        await respond(send, accepts, reply, cors)


async def _worked(work: methods.Work, offer: Offer, request: Request, exchange: Exchange) -> Reply:
    try:
        return _completed(request, await work(offer, request, exchange))
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes a response
        return _failed(error, request)


def _completed(request: Request, result: bytes) -> Reply:
    request_id = orjson.dumps(request.id)
    return Reply(b'{"jsonrpc":"2.0","id":' + request_id + b',"result":' + result + b"}")


def _failed(error: Exception, request: Request) -> Reply:
    if isinstance(error, RpcError):
        failure = error.failure
    elif isinstance(error, GatewayError) and not isinstance(error, InternalError):
        failure = endpoint_failure(error)
    else:
        failure = INTERNAL
        logger.error("mcp_request_failed method=%r", request.method[:100], exc_info=error)
    return _refused(failure, request.id, is_modern=request.revision.is_modern)


def _refused(
    failure: Failure, request_id: str | int | None = None, *, is_modern: bool = False
) -> Reply:
    status = failure.http_status(is_modern=is_modern)
    return Reply(failure.body(request_id), status, failure.headers)
