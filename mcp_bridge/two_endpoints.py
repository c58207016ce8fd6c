"""The older transport, with a stream and an address for messages: ``/{service}/sse``.

Clients of revision 2024-11-05 open a stream by GET, learn from its first event where to send
messages, and read all answers from it. Each message is handed to the endpoint of the service as if
it had come by POST, and what that answers goes on to the stream, so that all methods, checks and
sessions are those of the endpoint. Source: revision 2024-11-05, transports, HTTP with SSE.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.requests import release_body
from mcp_bridge import guard, headers, sse
from mcp_bridge.body import read_body
from mcp_bridge.errors import INVALID_REQUEST, METHOD_NOT_FOUND, Failure, endpoint_failure
from mcp_bridge.exchange import ClientGone, Reply, send_reply
from mcp_bridge.listening import Seats
from mcp_bridge.offer import Offer, Opener
from mcp_bridge.replies import refused
from mcp_bridge.revisions import PROTOCOL_VERSION_KEY
from mcp_bridge.sessions import MAX_IN_FLIGHT, SESSION_ID, owner_of
from schema.errors import GatewayError, LimitExceeded

MAX_UNREAD: Final = 16
"""Events that wait for a slow client; more of them hold up who makes them."""

_ID: Final = "session_id"
_UNKNOWN: Final = Failure(INVALID_REQUEST, "There is no such stream: open one", status=404)
_NO_MESSAGE: Final = Failure(INVALID_REQUEST, "The body is not a JSON-RPC message", status=400)
_TOO_LARGE: Final = Failure(INVALID_REQUEST, "The body is too large", status=413)
_OTHER_ERA: Final = Failure(
    METHOD_NOT_FOUND, "This transport is for older revisions: initialize, or use the endpoint /mcp"
)
_DROPPED: Final = frozenset(
    {b"accept", b"content-length", b"content-type", b"last-event-id", headers.VERSION, SESSION_ID}
)
_JSON: Final = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
]


class Stream:
    """One client: what it reads, and what is being done for it."""

    def __init__(self, owner: bytes) -> None:
        self.id = secrets.token_urlsafe(24)
        self.owner = owner
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_UNREAD)
        self._bytes = 0
        self._tasks: dict[asyncio.Task[None], object] = {}
        self._known: list[tuple[bytes, bytes]] = []
        """Headers that the endpoint has to get from now on: version and session."""

    def can_take(self, size: int, most: int) -> bool:
        """Whether so little is being done for the client that a message of ``size`` bytes may be
        added; one may have ``most``."""
        return len(self._tasks) < MAX_IN_FLIGHT and self._bytes + size <= 2 * most

    @property
    def has_session(self) -> bool:
        return any(name == SESSION_ID for name, _ in self._known)

    def work(
        self, endpoint: ASGIApp, scope: Scope, body: bytes, message: Mapping[str, Any]
    ) -> None:
        """Hand a message to the endpoint."""
        task = asyncio.get_running_loop().create_task(self._answer(endpoint, scope, body, message))
        self._tasks[task] = message.get("id")
        self._bytes += len(body)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.pop(task, None)
            self._bytes -= len(body)

        task.add_done_callback(done)

    def cancel(self, request_id: object) -> None:
        """The client does not wait for the answer to a request any more."""
        for task, found in list(self._tasks.items()):
            if type(found) in (str, int) and found == request_id:
                task.cancel()

    def close(self) -> None:
        """Give up everything that is done for the client."""
        for task in list(self._tasks):
            task.cancel()

    async def leave(self, endpoint: ASGIApp, scope: Scope) -> None:
        """The client has gone: its session is over."""
        self.close()
        if self.has_session:
            await endpoint(
                _inner(scope, "DELETE", self._known), _received(b""), _Answer(self.events).send
            )

    async def _answer(
        self, endpoint: ASGIApp, scope: Scope, body: bytes, message: Mapping[str, Any]
    ) -> None:
        answer = _Answer(self.events, message.get("id"))
        method = "POST" if body else "GET"
        try:
            await endpoint(_inner(scope, method, self._known), _received(body), answer.send)
        finally:
            release_body(scope)  # the request that brought it may have ended long ago
        if message.get("method") == "initialize" and answer.body:
            result = orjson.loads(answer.body).get("result", {})
            self._known = [*answer.session]
            if "protocolVersion" in result:
                self._known.append((headers.VERSION, result["protocolVersion"].encode()))
            if answer.session:  # what concerns no request comes on a stream of its own
                self.work(endpoint, scope, b"", {})


class _Answer:
    """What the endpoint answers to one message: events as they are, JSON as an event. Where the
    endpoint could not read the id of the message, the client could not read whose answer it is."""

    def __init__(self, events: asyncio.Queue[bytes | None], request_id: object = None) -> None:
        self._events = events
        self._id = request_id
        self._is_stream = False
        self.body = b""
        self.session: list[tuple[bytes, bytes]] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_stream = sse.HEADERS[0] in message["headers"]
            self.session = [h for h in message["headers"] if h[0] == SESSION_ID]
            return
        data: bytes = message.get("body", b"")
        if not self._is_stream:
            self.body += data
            if self.body and not message.get("more_body"):
                await self._events.put(sse.frame(self._addressed(self.body)))
        elif data and not data.startswith(b":"):
            await self._events.put(data)

    def _addressed(self, body: bytes) -> bytes:
        if type(self._id) in (str, int) and body.startswith(_NO_ID):
            return _NO_ID.replace(b"null", orjson.dumps(self._id)) + body[len(_NO_ID) :]
        return body


_NO_ID: Final = Failure(INVALID_REQUEST, "").body(None).partition(b"null")[0] + b"null"


class TwoEndpoints:
    """See the module. ``opening`` and ``posting`` are the applications at its two addresses."""

    def __init__(
        self,
        endpoint: ASGIApp,
        opener: Opener,
        seats: Seats,
        *,
        base_path: str,
        max_body_bytes: int,
        keep_alive_seconds: float,
    ) -> None:
        self._endpoint = endpoint
        self._opener = opener
        self._seats = seats
        self._base_path = base_path.rstrip("/")
        self._max_body = max_body_bytes
        self._keep_alive = keep_alive_seconds
        self._streams: dict[str, Stream] = {}

    def close(self) -> None:
        """The server stops: end all streams."""
        for stream in self._streams.values():
            stream.close()
            while stream.events.full():
                stream.events.get_nowait()
            stream.events.put_nowait(None)

    async def opening(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET: the stream."""
        sent: dict[bytes, bytes] = dict(scope["headers"])
        cors = guard.cors_headers(sent)
        try:
            offer = await self._opener.open(scope, sent)
            with self._seats.taken(offer.caller, scope):
                stream = Stream(owner_of(offer, scope, sent))
                self._streams[stream.id] = stream
                try:
                    await self._serve(stream, self._address(scope, stream), receive, send, cors)
                finally:
                    del self._streams[stream.id]
                    await stream.leave(self._endpoint, scope)
        except GatewayError as error:
            await send_reply(send, refused(endpoint_failure(error)), cors)

    async def posting(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST: a message. Its answer goes to the stream."""
        sent: dict[bytes, bytes] = dict(scope["headers"])
        cors = guard.cors_headers(sent)
        try:
            offer = await self._opener.open(scope, sent)
            body = await read_body(scope, receive, self._max_body)
            reply = await self._take(offer, scope, sent, body)
        except ClientGone:
            return
        except GatewayError as error:
            reply = refused(endpoint_failure(error))
        await send_reply(send, reply, cors)

    async def _serve(
        self, stream: Stream, address: str, receive: Receive, send: Send, cors: guard.RawHeaders
    ) -> None:
        start = [*sse.HEADERS, *cors]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await _write(send, f"event: endpoint\ndata: {address}\n\n".encode())
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(self._copy(stream, send)), loop.create_task(_departure(receive))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _copy(self, stream: Stream, send: Send) -> None:
        while True:
            try:
                async with asyncio.timeout(self._keep_alive):
                    event = await stream.events.get()
            except TimeoutError:
                event = sse.KEEP_ALIVE
            if event is None:
                await send({"type": "http.response.body", "body": b""})
                return
            await _write(send, event)

    async def _take(
        self, offer: Offer, scope: Scope, sent: Mapping[bytes, bytes], body: bytes | None
    ) -> Reply:
        """Raises LimitExceeded."""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        stream = self._streams.get(query.get(_ID, ""))
        if stream is None or not secrets.compare_digest(stream.owner, owner_of(offer, scope, sent)):
            return refused(_UNKNOWN)
        if body is None:
            return refused(_TOO_LARGE)
        message = _message(body)
        if message is None:
            return refused(_NO_MESSAGE)
        params = message.get("params")
        params = params if isinstance(params, Mapping) else {}
        if message.get("method") == "notifications/cancelled" and not stream.has_session:
            stream.cancel(params.get("requestId"))
        elif PROTOCOL_VERSION_KEY in (params.get("_meta") or ()) and "id" in message:
            await stream.events.put(sse.frame(_OTHER_ERA.body(message["id"])))
        elif stream.can_take(len(body), self._max_body):
            stream.work(self._endpoint, scope, body, message)
        else:
            raise LimitExceeded("Too many messages of one stream at the same time")
        return _ACCEPTED

    def _address(self, scope: Scope, stream: Stream) -> str:
        path: Mapping[str, str] = scope["path_params"]
        workspace, service = quote(path["workspace"]), quote(path["service"], safe="")
        return f"{self._base_path}/{workspace}/mcp/{service}/sse/messages/?{_ID}={stream.id}"


_ACCEPTED: Final = Reply(b"", 202)


def _message(body: bytes) -> Mapping[str, Any] | None:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return message if isinstance(message, dict) else None


def _inner(scope: Scope, method: str, more: list[tuple[bytes, bytes]]) -> Scope:
    """The request to the endpoint that a message is made to be."""
    kept = [header for header in scope["headers"] if header[0] not in _DROPPED]
    return {**scope, "method": method, "query_string": b"", "headers": [*kept, *_JSON, *more]}


def _received(body: bytes) -> Receive:
    """A request that has come completely, and whose client never leaves: it is cancelled."""
    pending = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        if not pending:
            await asyncio.get_running_loop().create_future()
        return pending.pop()

    return receive


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
