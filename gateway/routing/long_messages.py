"""Messages between clients that are too long for one frame.

They travel as calls of the receiver's ``message_cache``, whose chunks say nothing about the whole.
Yet the receiver will treat the whole like any message, so it is held to the same rules: the relay
keeps a copy of the chunks and looks at the reassembled message before it lets ``process`` through.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.wire.codec import Splitter, unpack_body
from schema.errors import InvalidMessage, LimitExceeded

PREFIX: Final = "services.built-in.message_cache."

MAX_BYTES_PER_SENDER: Final = 512 * 1024 * 1024
MAX_MESSAGES_PER_SENDER: Final = 256


class LongMessages:
    """Chunks in transit, by sender, then by receiver and key."""

    def __init__(self) -> None:
        self._chunks: dict[str, dict[tuple[str, str], dict[int, bytes]]] = {}
        self._bytes: dict[str, int] = {}

    def pass_on(self, sender: str, to: str, method: str, body: bytes) -> tuple[str, bytes] | None:
        """Look at a call of ``message_cache`` on its way from ``sender`` to ``to``: method and body
        of the whole message if this call completes one.

        Raises InvalidMessage (the whole breaks the rules, or the call cannot be understood) and
        LimitExceeded.
        """
        action = method[len(PREFIX) :]
        if action == "append":
            action, at_end = "set", True
        else:
            at_end = False
        if action not in ("create", "set", "process", "remove"):
            return None
        key, index, data = _read(unpack_body(body), at_end)
        messages = self._chunks.setdefault(sender, {})
        if action == "create":
            self._drop(sender, to, key)
            if len(messages) >= MAX_MESSAGES_PER_SENDER:
                raise LimitExceeded("Too many unfinished long messages")
            self._chunks.setdefault(sender, {})[to, key] = {}
        elif action == "set":
            self._keep(sender, to, key, index, data)
        else:
            chunks = self._drop(sender, to, key)
            if action == "process" and chunks is not None:
                return self._check(b"".join(chunks[i] for i in sorted(chunks)))
        return None

    def forget(self, sender: str) -> None:
        """A client has left; what it was sending will not be completed."""
        self._chunks.pop(sender, None)
        self._bytes.pop(sender, None)

    def _keep(self, sender: str, to: str, key: str, index: int | None, data: bytes) -> None:
        chunks = self._chunks[sender].get((to, key))
        if chunks is None:
            raise InvalidMessage(f"Message with key {key} does not exists.")
        if index is None:
            index = len(chunks)
        total = self._bytes.get(sender, 0) + len(data) - len(chunks.get(index, b""))
        if total > MAX_BYTES_PER_SENDER:
            raise LimitExceeded("Too much data in unfinished long messages")
        chunks[index] = data
        self._bytes[sender] = total

    def _drop(self, sender: str, to: str, key: str) -> dict[int, bytes] | None:
        messages = self._chunks.get(sender, {})
        chunks = messages.pop((to, key), None)
        if chunks is not None:
            self._bytes[sender] = self._bytes.get(sender, 0) - sum(map(len, chunks.values()))
        if not messages:
            self.forget(sender)
        return chunks

    def _check(self, whole: bytes) -> tuple[str, bytes]:
        # A decoder keeps a buffer as long as the longest message that it has seen: not this one.
        header, body = Splitter(max_bytes=len(whole)).split(whole)
        method = header.get("method")
        if header.get("type") != "method" or not isinstance(method, str):
            raise InvalidMessage("A long message must be a call or a reply")
        return method, body


def _read(content: dict[str, Any], at_end: bool) -> tuple[str, int | None, bytes]:
    """Key, index and data of a call, by position or by name as the receiver would bind them."""
    args = content.get("args")
    args = list(args) if isinstance(args, list) else []
    named: dict[str, Any] = {}
    if content.get("with_kwargs") and args and isinstance(args[-1], dict):
        named = args.pop()
    order = ("key", "data") if at_end else ("key", "index", "data")
    values = dict(zip(order, args, strict=False)) | named
    key, index, data = values.get("key"), values.get("index"), values.get("data", b"")
    if not isinstance(key, str):
        raise InvalidMessage("A chunk needs the key of its message")
    if not isinstance(data, bytes):
        # create and process have other arguments in these places
        data = b""
    if at_end or not isinstance(index, int) or isinstance(index, bool):
        index = None
    return key, index, data
