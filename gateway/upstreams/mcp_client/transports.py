"""How an MCP server is reached: through the pipes of a program, or at a URL."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from gateway.upstreams.entries import Document, Program, Remote, Upstream
from gateway.upstreams.http_client import http_client, http_transport, with_headers
from gateway.upstreams.mcp_client.faults import FaultReporting

MAX_STDERR_LINES: Final = 20
MAX_LINE: Final = 500
_READ_SECONDS: Final = 300.0


class Diagnosis:
    """What a server said beside the protocol: for its operator, never for its callers."""

    def __init__(self) -> None:
        self.stderr: deque[str] = deque(maxlen=MAX_STDERR_LINES)
        self.garbage = 0
        """Lines on standard output that were no message."""

    def note_garbage(self) -> None:
        self.garbage += 1


@asynccontextmanager
async def connected(
    upstream: Upstream, headers: Mapping[str, str], diagnosis: Diagnosis, lost: Callable[[], None]
) -> AsyncIterator[Any]:
    """The two streams of a connection. ``headers`` are further ones for a server at a URL; ``lost``
    is called when the server has hung up."""
    target = upstream.target
    if isinstance(target, Program):
        async with _program(target, diagnosis) as streams, _watched(streams, diagnosis, lost) as w:
            yield w
    elif isinstance(target, Remote):
        async with _remote(target, upstream, headers) as streams:
            if target.is_sse:
                async with _watched(streams, diagnosis, lost) as watched:
                    yield watched
            else:
                yield streams
    else:
        assert isinstance(target, Document)  # noqa: S101 - those are not servers
        raise TypeError("A document is no server")


@asynccontextmanager
async def _program(target: Program, diagnosis: Diagnosis) -> AsyncIterator[Any]:
    parameters = StdioServerParameters(
        command=target.command,
        args=list(target.args),
        env=dict(target.env),
        cwd=target.cwd,
        encoding_error_handler="replace",
    )
    async with _stderr(diagnosis) as errlog, stdio_client(parameters, errlog) as streams:
        yield streams


@asynccontextmanager
async def _stderr(diagnosis: Diagnosis) -> AsyncIterator[Any]:
    """A file whose last lines are kept."""
    reading, writing = os.pipe()
    reader = asyncio.StreamReader(limit=1024 * 1024)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
    )
    collecting = asyncio.get_running_loop().create_task(_collect(reader, diagnosis))
    try:
        with os.fdopen(writing, "w") as file:
            yield file
    finally:
        collecting.cancel()
        transport.close()


async def _collect(reader: asyncio.StreamReader, diagnosis: Diagnosis) -> None:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = ""
    while data := await reader.read(64 * 1024):
        *lines, rest = (rest + decode(data)).split("\n")
        rest = rest[-MAX_LINE:]
        diagnosis.stderr.extend(line[:MAX_LINE].rstrip() for line in lines if line.strip())


@asynccontextmanager
async def _remote(
    target: Remote, upstream: Upstream, headers: Mapping[str, str]
) -> AsyncIterator[Any]:
    merged = with_headers(target.headers, headers)
    transport = http_transport(may_be_private=upstream.may_be_private)
    if target.is_sse:

        def factory(headers: Any = None, timeout: Any = None, auth: Any = None) -> Any:
            return http_client(transport, merged, _READ_SECONDS)

        async with sse_client(target.url, httpx_client_factory=factory) as streams:
            yield streams
        return
    async with (
        http_client(FaultReporting(transport), merged, _READ_SECONDS) as client,
        streamable_http_client(target.url, http_client=client) as streams,
    ):
        yield streams


@asynccontextmanager
async def _watched(
    streams: Any, diagnosis: Diagnosis, lost: Callable[[], None]
) -> AsyncIterator[Any]:
    """Pass messages on, without what is none, and notice the end."""
    reading, writing = streams
    to_session, from_server = anyio.create_memory_object_stream[Any](0)

    async def pump() -> None:
        async with to_session:
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                async for item in reading:
                    if isinstance(item, Exception):
                        diagnosis.note_garbage()
                    else:
                        await to_session.send(item)
        lost()

    async with anyio.create_task_group() as group:
        group.start_soon(pump)
        yield from_server, writing
        group.cancel_scope.cancel()
