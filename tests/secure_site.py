"""An https server of the tests' own, with one document."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SecureSite:
    """``answer`` is what each request gets, as it is on the wire; ``requests`` is what came."""

    def __init__(self) -> None:
        self.port = 0
        self.answer = b""
        self.requests: list[str] = []

    def shows(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """Answer with this from now on."""
        head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
        self.answer = "\r\n".join(head).encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            await writer.drain()
            if not self.answer:
                await reader.read()  # until the client has had enough
        finally:
            writer.close()


@asynccontextmanager
async def secure_site(context: ssl.SSLContext) -> AsyncIterator[SecureSite]:
    """Serve for a while, on the loopback interface."""
    site = SecureSite()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        site.port = server.sockets[0].getsockname()[1]
        yield site
