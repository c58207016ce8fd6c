"""How an MCP server is reached: through the pipes of a program, or at a URL.

Each way gives the streams that the SDK's session works on, and a channel beside it for calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCResponse, jsonrpc_message_adapter

from gateway.upstreams.entries import Document, Program, Remote, Upstream
from gateway.upstreams.http_client import http_client, http_transport, with_headers
from gateway.upstreams.http_pool import Host
from gateway.upstreams.mcp_client.channel import LOG, Channel, Multiplexer, Noticed, decoded
from gateway.upstreams.mcp_client.diagnosis import Diagnosis
from gateway.upstreams.mcp_client.faults import FaultReporting
from gateway.upstreams.mcp_client.http_channel import HttpChannel, Session
from gateway.upstreams.mcp_client.logged_in import LoggedIn
from gateway.upstreams.mcp_client.login import Login
from gateway.upstreams.mcp_client.process import MAX_MESSAGE_BYTES, Process, running

MAX_UNHANDLED: Final = 10_000
"""Messages of a server that wait for the session. One that sends more is hung up on."""
_READ_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Way:
    """A connection. The session reads and writes ``streams``."""

    streams: Any
    channel: Channel


@asynccontextmanager
async def connected(
    upstream: Upstream,
    headers: Mapping[str, str],
    diagnosis: Diagnosis,
    *,
    session: Session,
    noticed: Noticed,
    lost: Callable[[], None],
    login: Login | None = None,
) -> AsyncIterator[Way]:
    """Reach a server. ``headers`` are further ones for one at a URL; ``session`` is filled in when
    the handshake is done; ``noticed`` gets what comes on the channel and is about no call; ``lost``
    is called when the server has hung up; ``login`` is what a server at a URL may ask for."""
    target = upstream.target
    if isinstance(target, Program):
        way = _program(target, diagnosis, noticed, lost)
    elif isinstance(target, Remote) and target.is_sse:
        way = _sse(target, upstream, headers, diagnosis, lost, login)
    elif isinstance(target, Remote):
        way = _http(
            target, upstream, headers, diagnosis, session=session, noticed=noticed, login=login
        )
    else:
        assert isinstance(target, Document)  # noqa: S101 - those are not servers
        raise TypeError("A document is no server")
    async with way as found:
        yield found


@asynccontextmanager
async def _program(
    target: Program, diagnosis: Diagnosis, noticed: Noticed, lost: Callable[[], None]
) -> AsyncIterator[Way]:
    to_session, from_server = anyio.create_memory_object_stream[Any](MAX_UNHANDLED)
    process: Process

    def take(line: bytes) -> None:
        try:
            message = decoded(line)
            if isinstance(message, dict) and (channel.take(message) or logs(message)):
                return
            read = SessionMessage(jsonrpc_message_adapter.validate_python(message, by_name=False))
        except ValueError:
            diagnosis.note_garbage()
            return
        try:
            to_session.send_nowait(read)
        except anyio.WouldBlock:
            hang_up()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the session is over

    def logs(message: dict[str, Any]) -> bool:
        """The session would be told of it after the result of the call."""
        is_log = message.get("method") == LOG and isinstance(message.get("params"), dict)
        return is_log and noticed(LOG, message["params"])

    def hang_up() -> None:
        channel.close()
        to_session.close()
        lost()

    def refuse(begin: bytes, end: bytes) -> None:
        text = f"The answer is larger than {MAX_MESSAGE_BYTES} bytes"
        channel.refuse(begin, end, text)

    def write(line: bytes) -> None:
        process.send(line)

    channel = Multiplexer(write)
    starting = running(target, diagnosis, take=take, refuse=refuse, lost=hang_up)
    async with from_server, to_session, starting as process:
        yield Way((from_server, _Lines(process)), channel)


class _Lines:
    """What the session writes to, each message as a line."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, item: SessionMessage) -> None:
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            self._process.send(text.encode())
        except OSError:
            raise anyio.BrokenResourceError from None

    async def aclose(self) -> None:
        """The program is ended by whoever started it."""

    async def __aenter__(self) -> _Lines:
        return self

    async def __aexit__(self, *_: object) -> None: ...


@asynccontextmanager
async def _http(
    target: Remote,
    upstream: Upstream,
    headers: Mapping[str, str],
    diagnosis: Diagnosis,
    *,
    session: Session,
    noticed: Noticed,
    login: Login | None,
) -> AsyncIterator[Way]:
    merged = with_headers(target.headers, headers)
    may_be_private = upstream.may_be_private

    def begun(identifier: str) -> None:
        session.identifier = identifier

    def answered(status: int) -> None:
        diagnosis.refusal = status if status >= 400 else None

    inner = _with_login(http_transport(may_be_private=may_be_private), login, diagnosis)
    transport = FaultReporting(inner, begun, answered)
    host = Host(target.url, may_be_private=may_be_private)
    channel = HttpChannel(target.url, merged, host, session, noticed, login)
    try:
        async with (
            http_client(transport, merged, _READ_SECONDS) as client,
            streamable_http_client(target.url, http_client=client) as streams,
        ):
            yield Way(streams, channel)
    finally:
        channel.close()


@asynccontextmanager
async def _sse(
    target: Remote,
    upstream: Upstream,
    headers: Mapping[str, str],
    diagnosis: Diagnosis,
    lost: Callable[[], None],
    login: Login | None,
) -> AsyncIterator[Way]:
    """The transport of revision 2024-11-05. It is on its way out, so calls take the session's
    streams here, and share them by their identifiers."""
    merged = with_headers(target.headers, headers)
    transport = http_transport(may_be_private=upstream.may_be_private)
    transport = _with_login(transport, login, diagnosis)

    def factory(headers: Any = None, timeout: Any = None, auth: Any = None) -> Any:
        return http_client(transport, merged, _READ_SECONDS)

    to_session, from_server = anyio.create_memory_object_stream[Any](0)
    to_server, from_calls = anyio.create_memory_object_stream[Any](MAX_UNHANDLED)

    def write(data: bytes) -> None:
        try:
            to_server.send_nowait(SessionMessage(jsonrpc_message_adapter.validate_json(data)))
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise BrokenPipeError from None

    channel = Multiplexer(write)

    async def receive(reading: Any) -> None:
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for item in reading:
                if isinstance(item, Exception):
                    diagnosis.note_garbage()
                elif not channel.take(_plain(item)):
                    await to_session.send(item)
        channel.close()
        to_session.close()
        lost()

    async def send(writing: Any) -> None:
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for item in from_calls:
                await writing.send(item)

    async with (
        from_server,
        to_session,
        from_calls,
        to_server,
        sse_client(target.url, httpx_client_factory=factory) as (reading, writing),
        anyio.create_task_group() as group,
    ):
        group.start_soon(receive, reading)
        group.start_soon(send, writing)
        yield Way((from_server, writing), channel)
        group.cancel_scope.cancel()


def _with_login(
    transport: httpx2.AsyncBaseTransport, login: Login | None, diagnosis: Diagnosis
) -> httpx2.AsyncBaseTransport:
    return LoggedIn(transport, login, diagnosis) if login is not None else transport


def _plain(item: SessionMessage) -> Mapping[str, Any]:
    message = item.message
    if isinstance(message, JSONRPCResponse):
        return {"id": message.id, "result": message.result}
    if isinstance(message, JSONRPCError):
        return {"id": message.id, "error": message.error.model_dump(mode="json")}
    return message.model_dump(mode="json", by_alias=True)
