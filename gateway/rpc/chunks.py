"""Messages that are too long for one frame, in both directions (``message_cache``, version 3)."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final, Protocol

from gateway.wire.codec import Identity
from schema.errors import GatewayError, InvalidArguments, LimitExceeded

CHUNK_BYTES: Final = 256 * 1024
"""Size of a chunk; clients use the same and drop frames over 512 KiB."""

CONCURRENT_CHUNKS: Final = 16
MAX_BYTES_PER_SENDER: Final = 512 * 1024 * 1024
MAX_MESSAGES_PER_SENDER: Final = 256
_CACHE: Final = "services.built-in.message_cache"


class ChunkStore:
    """Chunks that clients are sending to the gateway, until ``process`` asks for the whole."""

    def __init__(self) -> None:
        self._messages: dict[str, dict[str, dict[int, bytes]]] = {}
        self._bytes: dict[str, int] = {}

    def handle(
        self, sender: str, action: str, args: list[Any], kwargs: dict[str, Any]
    ) -> bytes | None:
        """Run one function of ``message_cache``; ``process`` returns the whole message.

        Raises InvalidArguments (unknown key or function, wrong types), LimitExceeded.
        """
        named = dict(zip(_PARAMETERS.get(action, ()), args, strict=False)) | kwargs
        key = named.get("key")
        if not isinstance(key, str):
            raise InvalidArguments("Missing required argument: 'key'")
        if action == "create":
            self._create(sender, key, overwrite=bool(named.get("overwrite")))
        elif action == "set":
            self._put(sender, key, named.get("index"), named.get("data"))
        elif action == "append":
            self._put(sender, key, len(self._message(sender, key)), named.get("data"))
        elif action == "remove":
            self._take(sender, key)
        elif action == "process":
            chunks = self._take(sender, key)
            return b"".join(chunks[index] for index in sorted(chunks))
        else:
            raise InvalidArguments(f"message_cache has no function {action!r}")
        return None

    def drop_sender(self, sender: str) -> None:
        """Forget what a client that has left was sending."""
        self._messages.pop(sender, None)
        self._bytes.pop(sender, None)

    def _create(self, sender: str, key: str, *, overwrite: bool) -> None:
        messages = self._messages.setdefault(sender, {})
        if key in messages and not overwrite:
            raise InvalidArguments(f"Message with the same key ({key}) already exists.")
        if len(messages) >= MAX_MESSAGES_PER_SENDER:
            raise LimitExceeded("Too many unfinished long messages")
        if key in messages:
            self._take(sender, key)
            messages = self._messages.setdefault(sender, {})
        messages[key] = {}

    def _put(self, sender: str, key: str, index: object, data: object) -> None:
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise InvalidArguments("The argument 'index' must be a whole number from 0")
        if not isinstance(data, bytes):
            raise InvalidArguments("The argument 'data' must be bytes")
        chunks = self._message(sender, key)
        total = self._bytes.get(sender, 0) + len(data) - len(chunks.get(index, b""))
        if total > MAX_BYTES_PER_SENDER:
            raise LimitExceeded("Too much data in unfinished long messages")
        chunks[index] = data
        self._bytes[sender] = total

    def _message(self, sender: str, key: str) -> dict[int, bytes]:
        try:
            return self._messages[sender][key]
        except KeyError:
            raise InvalidArguments(f"Message with key {key} does not exists.") from None

    def _take(self, sender: str, key: str) -> dict[int, bytes]:
        chunks = self._message(sender, key)
        del self._messages[sender][key]
        self._bytes[sender] = self._bytes.get(sender, 0) - sum(map(len, chunks.values()))
        if not self._messages[sender]:
            self.drop_sender(sender)
        return chunks


_PARAMETERS: Final = {
    "create": ("key", "heartbeat", "overwrite"),
    "append": ("key", "data", "heartbeat"),
    "set": ("key", "index", "data", "heartbeat"),
    "remove": ("key",),
    "process": ("key", "heartbeat"),
}


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
