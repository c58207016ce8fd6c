"""Calls of an MCP server over streamable HTTP: each is a POST, and its answer one message or a
stream of events that ends with it (revisions 2025-03-26 to 2026-07-28, transports).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.oauth_client.client import Challenge
from gateway.upstreams.http_connection import AnswerTooLarge, Connection, ConnectionFailed
from gateway.upstreams.http_pool import FRAMING, CannotConnect, Host, redirected, request_of
from gateway.upstreams.login.needed import CannotLogIn
from gateway.upstreams.mcp_client import asking, faults
from gateway.upstreams.mcp_client.channel import (
    LOG,
    PROGRESS,
    CallFailed,
    Identifiers,
    Noticed,
    Request,
    cancellation,
    decoded,
    encoded,
    number_of,
    result_of,
)
from gateway.upstreams.mcp_client.events import EventReader, EventTooLarge
from gateway.upstreams.mcp_client.login import MAX_CHALLENGES, Login

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
MAX_RECONNECTS: Final = 2
"""In a row, without an event, for a stream that broke off."""
RECONNECT_MS: Final = 1_000
NOTICE_SECONDS: Final = 5.0
"""For messages that get no answer."""

_MAX_ERROR_BYTES: Final = 64 * 1024
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_REDIRECTS: Final = (307, 308)


@dataclass(slots=True)
class Session:
    """What the handshake has settled, for whoever sends requests beside the SDK."""

    protocol_version: str = ""
    is_modern: bool = False
    identifier: str | None = None
    """``Mcp-Session-Id`` of the older era."""


class HttpChannel:
    """See ``channel.Channel``."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        host: Host,
        session: Session,
        noticed: Noticed,
        login: Login | None = None,
    ) -> None:
        self._url = url
        self._host = host
        self._session = session
        self._noticed = noticed
        self._login = login
        self._identifiers = Identifiers()
        self._own = [(k, v) for k, v in headers.items() if k.lower() not in FRAMING]
        self._asides: set[asyncio.Task[None]] = set()

    @property
    def has_session(self) -> bool:
        """Whether the server may forget it."""
        return self._session.identifier is not None

    def close(self) -> None:
        """Hang up."""
        for task in self._asides:
            task.cancel()
        self._host.close()

    async def call(self, request: Request) -> Mapping[str, Any]:
        identifier = self._identifiers.next()
        body = request.encoded(identifier)
        call = _Call(self, request, identifier)
        try:
            if self._login is None:
                return await self._posted(body, request.headers, call)
            return await self._logged_in(self._login, body, request.headers, call)
        except asyncio.CancelledError:
            if not self._session.is_modern:  # there, hanging up says it
                self.aside(cancellation(identifier))
            raise
        except CannotConnect as error:
            raise CallFailed(faults.UNREACHABLE, str(error)) from None
        except ConnectionFailed as error:
            raise CallFailed(faults.BROKEN_OFF, str(error)) from None
        except (AnswerTooLarge, EventTooLarge):
            text = f"The answer is larger than {MAX_ANSWER_BYTES} bytes"
            raise CallFailed(faults.TOO_LARGE, text) from None
        finally:
            call.end()

    def aside(self, body: bytes) -> None:
        """Send a message that gets no answer, without waiting for that."""
        task = asyncio.get_running_loop().create_task(self._notified(body))
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    def notice(self, method: str, params: Mapping[str, Any]) -> None:
        """A notification came that is about no call."""
        self._noticed(method, params)

    @contextlib.asynccontextmanager
    async def sent(
        self, method: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Connection]:
        """A request to the endpoint, when the head of its answer has come."""
        session = self._session
        lines = [("Host", self._host.authority), *self._own]
        lines += [
            ("Accept", f"{_JSON}, {_EVENTS}"),
            ("MCP-Protocol-Version", session.protocol_version),
        ]
        if session.identifier is not None:
            lines.append(("Mcp-Session-Id", session.identifier))
        if body:
            lines += [("Content-Type", _JSON), ("Content-Length", str(len(body)))]
        lines += (headers or {}).items()
        request = request_of(method, self._url, lines, body)
        async with self._host.sent(request) as connection:
            yield connection

    async def _posted(
        self, body: bytes, headers: Mapping[str, str], call: _Call
    ) -> Mapping[str, Any]:
        async with self.sent("POST", body, headers) as connection:
            if connection.status not in _REDIRECTS:
                return await call.answer(connection)
            location = redirected(self._url, connection.headers.get("location"))
        if location is None:
            raise CallFailed(faults.REFUSED, "The server redirects to another place")
        self._url = location
        async with self.sent("POST", body, headers) as connection:
            return await call.answer(connection)

    async def _logged_in(
        self, login: Login, body: bytes, headers: Mapping[str, str], call: _Call
    ) -> Mapping[str, Any]:
        """With the gateway's login, which is made or extended if the server wants that. Raises
        NeedsLogin, CannotLogIn."""
        for _ in range(MAX_CHALLENGES):
            shown = await login.headers("POST", self._url)
            try:
                result = await self._posted(body, {**headers, **shown}, call)
            except CallFailed as failed:
                if failed.code != faults.REFUSED or "challenge" not in (failed.data or ()):
                    raise
                refusal = failed
            else:
                login.accepted()
                return result
            if not await login.challenged(refusal.data["challenge"], shown):
                break
        raise refusal

    async def shown(self, method: str) -> Mapping[str, str]:
        """What requests that nobody waits for go with."""
        return await self._login.headers(method, self._url) if self._login is not None else {}

    async def _notified(self, body: bytes) -> None:
        with contextlib.suppress(CannotConnect, ConnectionFailed, CannotLogIn, TimeoutError):
            async with asyncio.timeout(NOTICE_SECONDS):
                async with self.sent("POST", body, await self.shown("POST")) as connection:
                    await connection.body(_MAX_ERROR_BYTES)


class _Call:
    """One call: what comes for it until its result has."""

    def __init__(self, channel: HttpChannel, request: Request, identifier: int) -> None:
        self._channel = channel
        self._request = request
        self._identifier = identifier
        self._answering: set[asyncio.Task[None]] = set()

    async def answer(self, connection: Connection) -> Mapping[str, Any]:
        """The result. Raises CallFailed, ConnectionFailed, AnswerTooLarge, EventTooLarge."""
        kind = _media_type(connection)
        if connection.status == 404 and self._channel.has_session:
            raise CallFailed(faults.SESSION_GONE, "The session has ended")
        if connection.status >= 400:
            raise await _refusal(connection, kind)
        if kind == _JSON:
            return result_of(_message(await connection.body(MAX_ANSWER_BYTES)))
        if kind == _EVENTS:
            return await self._of_stream(connection)
        raise CallFailed(faults.NO_ANSWER, f"HTTP {connection.status} with {kind or 'no content'}")

    def end(self) -> None:
        """Nobody waits for it any more."""
        for task in self._answering:
            task.cancel()

    async def _of_stream(self, connection: Connection) -> Mapping[str, Any]:
        reader = EventReader(MAX_ANSWER_BYTES)
        attempts = 0
        message = await self._read(connection, reader)
        while message is None:
            before = reader.identifier
            if not before or attempts >= MAX_RECONNECTS:
                raise ConnectionFailed("The stream ended before the answer", began=True)
            attempts += 1
            await asyncio.sleep((reader.retry_ms or RECONNECT_MS) / 1000)
            headers = {"Last-Event-ID": before, **await self._channel.shown("GET")}
            async with self._channel.sent("GET", headers=headers) as again:
                if again.status != 200 or _media_type(again) != _EVENTS:
                    raise ConnectionFailed("The stream ended before the answer", began=True)
                message = await self._read(again, reader)
            if reader.identifier != before:
                attempts = 0
        return result_of(message)

    async def _read(self, connection: Connection, reader: EventReader) -> Mapping[str, Any] | None:
        """The response on a stream; None if it ends or breaks before that."""
        try:
            while (chunk := await connection.chunk()) is not None:
                for event in reader.feed(chunk):
                    message = _message(event.data) if event.data else {}
                    if "method" in message:
                        self._heed(message)
                    elif message and number_of(message.get("id")) in (self._identifier, None):
                        connection.will_end()
                        return message
        except ConnectionFailed:
            if not reader.identifier:
                raise
        return None

    def _heed(self, message: Mapping[str, Any]) -> None:
        """A request or notification of the server."""
        method, given = str(message["method"]), message.get("params")
        params: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        if "id" in message:
            answering = self._answer(message["id"], method, params)
            task = asyncio.get_running_loop().create_task(answering)
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif method == PROGRESS:
            if self._request.heard is not None:
                self._request.heard(params)
        elif method == LOG:
            asking.log(self._request.patience, params)
        else:
            self._channel.notice(method, params)

    async def _answer(self, identifier: Any, method: str, params: Mapping[str, Any]) -> None:
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier}
        try:
            reply["result"] = await asking.answered(self._request.patience, method, params)
        except asking.Refused as refused:
            reply["error"] = {"code": refused.code, "message": refused.message}
        self._channel.aside(encoded(reply))


def _media_type(connection: Connection) -> str:
    return connection.headers.get("content-type", "").partition(";")[0].strip().lower()


def _message(data: bytes) -> Mapping[str, Any]:
    try:
        message = decoded(data)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise CallFailed(faults.NO_ANSWER, "The answer is no JSON-RPC message")
    return message


async def _refusal(connection: Connection, kind: str) -> CallFailed:
    """What a status of 400 or more means. A body that is a JSON-RPC error says it better."""
    status = connection.status
    data: dict[str, Any] = {"status": status}
    if status in (401, 403):
        headers = connection.headers
        data["challenge"] = Challenge(
            status, headers.get("www-authenticate", ""), headers.get("dpop-nonce")
        )
        return CallFailed(faults.REFUSED, f"HTTP {status}", data)
    refused = CallFailed(faults.REFUSED, f"HTTP {status}", data)
    try:
        if kind == _JSON:
            result_of(_message(await connection.body(_MAX_ERROR_BYTES)))
    except CallFailed as failure:
        if failure.code != faults.NO_ANSWER:
            return failure
    except AnswerTooLarge:
        return refused
    return refused
