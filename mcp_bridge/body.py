"""The body of a request."""

from __future__ import annotations

from starlette.types import Receive, Scope

from gateway.bodies import UNCOUNTED_BYTES
from gateway.requests import hold_body
from mcp_bridge.exchange import ClientGone


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """The body, or None if it has more than ``most`` bytes. Raises ClientGone and Overloaded."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
        if size > UNCOUNTED_BYTES:
            hold_body(scope, size)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
