"""Messages that are too long for one frame, in both directions (``message_cache``, version 3)."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final, Protocol

from gateway.routing.long_messages import (
    MAX_BYTES_ALTOGETHER,
    MAX_BYTES_PER_SENDER,
    MAX_MESSAGES_PER_SENDER,
    SMALL_SHARE_BYTES,
)
from gateway.wire.codec import Identity
from schema.errors import GatewayError, InvalidArguments, LimitExceeded

CHUNK_BYTES: Final = 256 * 1024
"""Size of a chunk; clients use the same and drop frames over 512 KiB."""

MAX_DIRECT_BYTES: Final = CHUNK_BYTES + 64 * 1024
"""Longest body that is sent in one frame: a chunk and what is around it must fit."""

CONCURRENT_CHUNKS: Final = 16
_CACHE: Final = "services.built-in.message_cache"


class ChunkStore:
    """Chunks that clients are sending to the gateway, until ``process`` asks for the whole."""

    def __init__(self) -> None:
        self._messages: dict[str, dict[str, dict[int, bytes]]] = {}
        self._bytes: dict[str, int] = {}

    def drop_sender(self, sender: str) -> None:
        """Forget what a client that has left was sending."""
        self._messages.pop(sender, None)
        self._bytes.pop(sender, None)

    def create(self, sender: str, key: str, *, overwrite: bool = False) -> None:
        """Begin a message. Raises InvalidArguments (it exists already) and LimitExceeded."""
        messages = self._messages.setdefault(sender, {})
        if key in messages and not overwrite:
            raise InvalidArguments(f"Message with the same key ({key}) already exists.")
        if len(messages) >= MAX_MESSAGES_PER_SENDER:
            raise LimitExceeded("Too many unfinished long messages")
        if key in messages:
            self.take(sender, key)
            messages = self._messages.setdefault(sender, {})
        messages[key] = {}

    def discard(self, sender: str, key: str) -> None:
        """Forget a message, if there is one."""
        if key in self._messages.get(sender, ()):
            self.take(sender, key)

    def put(self, sender: str, key: str, index: int | None, data: bytes) -> None:
        """Keep one chunk; ``index`` None appends. Raises InvalidArguments and LimitExceeded."""
        chunks = self._message(sender, key)
        if index is None:
            index = len(chunks)
        if index < 0:
            raise InvalidArguments("The argument 'index' must be a whole number from 0")
        total = self._bytes.get(sender, 0) + len(data) - len(chunks.get(index, b""))
        if total > MAX_BYTES_PER_SENDER or (
            total > SMALL_SHARE_BYTES
            and sum(self._bytes.values()) + len(data) > MAX_BYTES_ALTOGETHER
        ):
            raise LimitExceeded("Too much data in unfinished long messages")
        chunks[index] = data
        self._bytes[sender] = total

    def _message(self, sender: str, key: str) -> dict[int, bytes]:
        try:
            return self._messages[sender][key]
        except KeyError:
            raise InvalidArguments(f"Message with key {key} does not exists.") from None

    def take(self, sender: str, key: str) -> bytes:
        """The whole message, which is then forgotten. Raises InvalidArguments."""
        chunks = self._message(sender, key)
        del self._messages[sender][key]
        self._bytes[sender] = self._bytes.get(sender, 0) - sum(map(len, chunks.values()))
        if not self._messages[sender]:
            self.drop_sender(sender)
        return b"".join(chunks[index] for index in sorted(chunks))


class Calls(Protocol):
    """The part of the endpoint that sending needs."""

    async def call(
        self, identity: Identity, target: str, method: str, args: tuple[Any, ...]
    ) -> Any: ...


async def send_in_chunks(
    calls: Calls, identity: Identity, target: str, frame: bytes, session: str | None
) -> None:
    """Send a long frame to a client through its ``message_cache``.

    ``session`` is the receiver's session that the frame belongs to, if it is a reply: the receiver
    then resets that call's timer with every chunk.
    """
    key, is_reply = session or secrets.token_urlsafe(12), session is not None
    await calls.call(identity, target, f"{_CACHE}.create", (key, is_reply))
    view = memoryview(frame)
    free = asyncio.Semaphore(CONCURRENT_CHUNKS)

    async def send(index: int) -> None:
        async with free:
            chunk = bytes(view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES])
            await calls.call(identity, target, f"{_CACHE}.set", (key, index, chunk, is_reply))

    try:
        async with asyncio.TaskGroup() as group:
            for index in range(-(-len(frame) // CHUNK_BYTES)):
                group.create_task(send(index))
    except* GatewayError as errors:
        raise errors.exceptions[0] from None
    await calls.call(identity, target, f"{_CACHE}.process", (key, is_reply))
