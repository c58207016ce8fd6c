"""Messages between clients that are too long for one frame.

They travel as calls of the receiver's ``message_cache``, whose chunks say nothing about the whole.
Yet the receiver will treat the whole like any message, so it is held to the same rules: the relay
keeps a copy of the chunks and looks at the reassembled message before it lets ``process`` through.

That only holds if the receiver's chunks are the same. A receiver files them by key alone, whoever
sends them, and keeps those that a sender has left behind. So a key belongs to one sender at a time,
begins empty at the receiver, and a call that the two could read differently is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.wire.codec import Splitter, pack, unpack_body
from schema.errors import InvalidMessage, LimitExceeded

PREFIX: Final = "services.built-in.message_cache."

# What is sent to the gateway itself (``gateway.rpc.chunks``) has the same limits of its own.
MAX_BYTES_PER_SENDER: Final = 512 * 1024 * 1024
MAX_MESSAGES_PER_SENDER: Final = 256
MAX_BYTES_ALTOGETHER: Final = 1024 * 1024 * 1024
"""Of all senders. Once it is reached, each can still have ``SMALL_SHARE_BYTES``."""

SMALL_SHARE_BYTES: Final = 4 * 1024 * 1024
IDLE_SECONDS: Final = 60.0
"""After so long without a chunk, an unfinished message makes room for another."""

_PARAMETERS: Final = {
    "create": ("key", "heartbeat", "overwrite"),
    "set": ("key", "index", "data", "heartbeat"),
    "append": ("key", "data", "heartbeat"),
    "process": ("key", "heartbeat"),
    "remove": ("key",),
}
"""What the functions of ``message_cache`` take (API version 3)."""

_Place = tuple[str, str]
"""A receiver's address and a key in its ``message_cache``."""


@dataclass(slots=True)
class _Upload:
    sender: str
    is_reply: bool
    touched_at: float
    chunks: dict[int, bytes] = field(default_factory=dict)
    appends: bool = False

    @property
    def size(self) -> int:
        return sum(map(len, self.chunks.values()))


class _Call(NamedTuple):
    key: str
    is_reply: bool
    place: int | None
    """Index of the chunk, None to append it."""
    data: bytes


class Whole(NamedTuple):
    """A long message, reassembled."""

    method: str
    body: bytes | memoryview
    session: str | None
    """That of the call, if an answer is wanted."""


class Passed(NamedTuple):
    """What goes on to the receiver."""

    body: bytes
    whole: Whole | None = None
    """The message that the call completes."""


class LongMessages:
    """Chunks in transit, by receiver and key. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uploads: dict[_Place, _Upload] = {}
        self._of_sender: dict[str, set[_Place]] = {}
        self._bytes: dict[str, int] = {}

    def pass_on(self, sender: str, to: str, method: str, body: bytes) -> Passed:
        """Look at a call of ``message_cache`` on its way from ``sender`` to ``to``.

        Raises InvalidMessage (the whole breaks the rules, or the call cannot be understood) and
        LimitExceeded.
        """
        action = method[len(PREFIX) :]
        names = _PARAMETERS.get(action)
        if names is None:
            return Passed(body)
        content = unpack_body(body)
        arguments = _bound(content, names)
        call = _read(action, arguments)
        place = (to, call.key)
        if action == "create":
            self._begin(sender, place, is_reply=call.is_reply)
            # What an earlier sender has left under the key must not become a part of this one.
            return Passed(_repacked(content, [call.key, call.is_reply, True]))
        whole: Whole | None = None
        upload = self._uploads.get(place)
        if upload is None or upload.sender != sender:
            raise InvalidMessage(f"Message with key {call.key} does not exists.")
        if action == "remove":
            self._end(place, upload)
        elif upload.is_reply is not call.is_reply:
            raise InvalidMessage("All chunks of a message belong to a session, or none does")
        elif action == "process":
            self._end(place, upload)
            whole = _checked(upload)
        else:
            self._keep(upload, call)
        if content.get("with_kwargs"):
            body = _repacked(content, [arguments[name] for name in names if name in arguments])
        return Passed(body, whole)

    def forget(self, sender: str) -> None:
        """A client has left; what it was sending will not be completed."""
        for place in self._of_sender.pop(sender, ()):
            del self._uploads[place]
        self._bytes.pop(sender, None)

    def _begin(self, sender: str, place: _Place, *, is_reply: bool) -> None:
        known = self._uploads.get(place)
        if known is not None:
            if known.sender != sender:
                raise InvalidMessage(f"Message with the same key ({place[1]}) already exists.")
            self._end(place, known)
        if len(self._of_sender.get(sender, ())) >= MAX_MESSAGES_PER_SENDER:
            self._make_room(sender)
            if len(self._of_sender.get(sender, ())) >= MAX_MESSAGES_PER_SENDER:
                raise LimitExceeded("Too many unfinished long messages")
        self._uploads[place] = _Upload(sender, is_reply, self._clock())
        self._of_sender.setdefault(sender, set()).add(place)

    def _keep(self, upload: _Upload, call: _Call) -> None:
        appends = call.place is None
        if upload.chunks and upload.appends is not appends:
            raise InvalidMessage("Chunks of a message are all appended, or all have an index")
        index = len(upload.chunks) if call.place is None else call.place
        more = len(call.data) - len(upload.chunks.get(index, b""))
        upload.touched_at = self._clock()
        if self._is_too_much(upload.sender, more):
            for sender in list(self._of_sender):
                self._make_room(sender)
            if self._is_too_much(upload.sender, more):
                raise LimitExceeded("Too much data in unfinished long messages")
        upload.appends = appends
        upload.chunks[index] = call.data
        self._bytes[upload.sender] = self._bytes.get(upload.sender, 0) + more

    def _is_too_much(self, sender: str, more: int) -> bool:
        own = self._bytes.get(sender, 0) + more
        return own > MAX_BYTES_PER_SENDER or (
            own > SMALL_SHARE_BYTES and sum(self._bytes.values()) + more > MAX_BYTES_ALTOGETHER
        )

    def _make_room(self, sender: str) -> None:
        """Drop what a sender seems to have given up. A receiver that has refused to begin a message
        is not told of again, so some have no chunk at all."""
        long_ago = self._clock() - IDLE_SECONDS
        for place in list(self._of_sender.get(sender, ())):
            upload = self._uploads[place]
            if upload.touched_at < long_ago:
                self._end(place, upload)

    def _end(self, place: _Place, upload: _Upload) -> None:
        del self._uploads[place]
        places = self._of_sender[upload.sender]
        places.discard(place)
        if places:
            self._bytes[upload.sender] = self._bytes.get(upload.sender, 0) - upload.size
        else:
            self.forget(upload.sender)


def _checked(upload: _Upload) -> Whole:
    """A complete message. Raises InvalidMessage."""
    chunks = upload.chunks
    if sorted(chunks) != list(range(len(chunks))):
        raise InvalidMessage("A long message lacks chunks")
    # So long a message is copied no more often than has to be.
    whole = memoryview(b"".join(chunks[index] for index in range(len(chunks))))
    chunks.clear()
    # A decoder keeps a buffer as long as the longest message that it has seen: not this one.
    header, body = Splitter(max_bytes=len(whole)).split(whole)
    method = header.get("method")
    if header.get("type") != "method" or not isinstance(method, str):
        raise InvalidMessage("A long message must be a call or a reply")
    session = header.get("session")
    return Whole(method, body, session if isinstance(session, str) else None)


def _bound(content: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The arguments of a call by name, as every receiver would bind them. Raises InvalidMessage
    where one might object and so have other chunks than the relay."""
    args = content.get("args")
    args = list(args) if isinstance(args, list) else []
    named = args.pop() if content.get("with_kwargs") and args else {}
    if not isinstance(named, dict) or len(args) > len(names):
        raise InvalidMessage("A chunk has other arguments than message_cache takes")
    values = dict(zip(names, args, strict=False))
    if not named.keys() <= set(names) - values.keys():
        raise InvalidMessage("A chunk has other arguments than message_cache takes")
    return values | named


def _read(action: str, arguments: dict[str, Any]) -> _Call:
    """Raises InvalidMessage for a value of a type that another receiver takes for another value."""
    key, index, data = arguments.get("key"), arguments.get("index"), arguments.get("data", b"")
    is_reply = arguments.get("heartbeat", False)
    if not isinstance(key, str):
        raise InvalidMessage("A chunk needs the key of its message")
    if not isinstance(is_reply, bool):
        raise InvalidMessage("The argument 'heartbeat' must be true or false")
    if action == "set" and (type(index) is not int or index < 0):
        raise InvalidMessage("The argument 'index' must be a whole number from 0")
    if action in ("set", "append") and not isinstance(arguments.get("data"), bytes):
        raise InvalidMessage("The argument 'data' must be bytes")
    return _Call(key, is_reply, index, data)


def _repacked(content: dict[str, Any], args: list[Any]) -> bytes:
    return pack({k: v for k, v in content.items() if k != "with_kwargs"} | {"args": args})
