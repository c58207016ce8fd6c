"""Where the browser comes back to: a server of this machine alone, for one answer (RFC 8252)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
READ_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 16 * 1024

_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Polyport</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;margin:15vh auto;max-width:32rem;padding:0 1rem}}
:root{{color-scheme:light dark}}</style>
<h1>Polyport</h1><p>{text}</p></html>
"""
_HEADERS: Final = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'\r\n"
    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
)


class Loopback:
    """Hears the answer to one request, which is known by its ``state``."""

    def __init__(self) -> None:
        self.port = 0
        self._state: str | None = None
        self._answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def redirect_uri(self) -> str:
        return f"http://{HOST}:{self.port}{PATH}"

    def expect(self, state: str) -> None:
        """What the answer has to bring; any other is turned away, and the right one waited for."""
        self._state = state

    async def answer(self) -> Mapping[str, str]:
        """The parameters that the browser brought."""
        return await self._answer

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A browser has connected; some do so ahead of time, and say nothing."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """Hang up on whoever is there; a page that is being sent is sent."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=0.1)
        left = list(self._connections)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, text = self._heard(head.partition(b"\r\n")[0].decode("latin-1"))
                body = _PAGE.format(text=text).encode()
                line = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
                length = f"Content-Length: {len(body)}\r\n\r\n"
                writer.write(f"{line}{_HEADERS}{length}".encode() + body)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it was no browser, or it has gone
        finally:
            writer.close()

    def _heard(self, line: str) -> tuple[HTTPStatus, str]:
        method, _, target = line.partition(" ")
        target = target.partition(" ")[0]
        try:
            url = urlsplit(target)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, "This is not an address."
        if method != "GET" or url.path != PATH:
            return HTTPStatus.NOT_FOUND, "There is nothing here."
        given = dict(parse_qsl(url.query))
        state = given.get("state", "")
        if self._state is None or not secrets.compare_digest(state.encode(), self._state.encode()):
            return HTTPStatus.BAD_REQUEST, "This is not the answer to the login that is open."
        if not self._answer.done():
            self._answer.set_result(given)
        if "code" in given:
            return HTTPStatus.OK, "You are logged in. You can close this page."
        return HTTPStatus.OK, "You are not logged in. You can close this page."


@contextlib.asynccontextmanager
async def listening(port: int = 0) -> AsyncIterator[Loopback]:
    """Listen on this machine; on a port that is free, unless one is named. Raises OSError."""
    loopback = Loopback()
    server = await asyncio.start_server(loopback.accepted, HOST, port, limit=MAX_HEAD_BYTES)
    loopback.port = server.sockets[0].getsockname()[1]
    try:
        yield loopback
    finally:
        server.close()
        await loopback.close()
