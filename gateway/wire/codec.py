"""Split and join messages: a msgpack header map, directly followed by an optional msgpack body map.

The body of a relayed message is never decoded: only its top-level keys are looked at, because a
receiving client merges them over the header, and a body that could overwrite ``from`` or ``user``
would let its sender claim to be somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgpack

from schema import volume
from schema.errors import InvalidMessage, PayloadTooLarge

IDENTITY_KEYS: Final = frozenset({"ctx", "from", "to", "ws", "user"})
"""Header keys that only the server sets; what a sender puts there is dropped."""

FORBIDDEN_BODY_KEYS: Final = IDENTITY_KEYS | {"type", "method", "session", "parent"}
"""Keys that a receiver would let win over the header. A body that has one is refused."""

RESERVED_KEYS: Final = FORBIDDEN_BODY_KEYS | {"args", "with_kwargs", "promise", "t", "enc"}
"""Keys of a call that the protocol gives a meaning; nothing that is added may have them."""

Encoded = TypeVar("Encoded", bytes, memoryview)

MAX_HEADER_KEYS: Final = 64

MAX_HEADER_BYTES: Final = 256 * 1024
"""A header is decoded, whatever is in it, so it must not be as long as a body."""


MAX_BODY_KEYS: Final = 4096
"""Each is looked at."""

_FIXMAP_LIMIT: Final = 16
_CONTAINERS: Final = frozenset((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
"""First bytes of maps and arrays."""

_packer = msgpack.Packer(use_bin_type=True)


def pack(value: Any) -> bytes:
    """Encode one value. Raises InvalidMessage for what msgpack cannot carry."""
    try:
        return _packer.pack(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        _packer.reset()
        raise InvalidMessage(f"The value cannot be sent: {error}") from None


def pack_with(value: Any, encode: Callable[[Any], Any]) -> bytes:
    """Encode one value; ``encode`` says what stands for a part that msgpack cannot carry.

    Raises InvalidMessage.
    """
    try:
        packed: bytes = msgpack.packb(value, default=encode, use_bin_type=True)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidMessage(f"The value cannot be sent: {error}") from None
    return packed


def unpack(data: bytes | memoryview) -> Any:
    """Decode exactly one value. Raises InvalidMessage."""
    try:
        return volume.unpack(data, strict_map_key=False)
    except PayloadTooLarge as error:
        raise InvalidMessage(error.message) from None
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        # TypeError: a key that is a list or a map, as Python clients make of a tuple.
        raise InvalidMessage(f"Not a valid msgpack value: {error}") from None


class InvalidBody(InvalidMessage):
    """The header of a message is good, and what follows it is not: whoever waits for an answer to
    ``header`` can be told."""

    def __init__(self, message: str, header: dict[str, Any]) -> None:
        super().__init__(message)
        self.header = header


class Splitter:
    """Splits frames of at most ``max_bytes``. Keeps its decoder between frames, so one instance
    serves one event loop."""

    def __init__(self, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._unpacker = self._new_unpacker()
        self._fed = 0

    def split(self, frame: Encoded) -> tuple[dict[str, Any], Encoded]:
        """Return the header and the body's bytes (empty if there is none); of a view, as a view.

        Raises InvalidMessage for anything but one map, or two maps of which the second has no key
        that could overwrite the header; InvalidBody if it is the second that is wrong.
        """
        unpacker = self._unpacker
        start = self._fed
        size = len(frame)
        known: dict[str, Any] | None = None
        try:
            known = header = self._header(frame)
            offset = unpacker.tell() - start
            if offset == size:
                self._fed = start + size
                return header, frame[size:]
            self._check_body(frame)
            if unpacker.tell() - start != size:
                raise InvalidMessage("A message has at most a header and a body")
            self._fed = start + size
            return header, frame[offset:]
        except InvalidMessage as error:
            self._renew()
            raise _refusal(error.message, known) from None
        except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
            self._renew()
            reason = f"Not a valid message: {str(error) or type(error).__name__}"
            raise _refusal(reason, known) from None

    def _header(self, frame: bytes | memoryview) -> dict[str, Any]:
        """Decode the header of a frame, with all of the frame in the decoder then."""
        unpacker = self._unpacker
        unpacker.feed(frame[:MAX_HEADER_BYTES])
        header = unpacker.unpack()
        if len(frame) > MAX_HEADER_BYTES:
            unpacker.feed(frame[MAX_HEADER_BYTES:])
        if type(header) is not dict:
            raise InvalidMessage("The header of a message must be a map")
        if len(header) > MAX_HEADER_KEYS:
            raise InvalidMessage("The header of a message has too many keys")
        return header

    def _check_body(self, frame: bytes | memoryview) -> None:
        """Look at the keys of a body, and pass over its values."""
        unpacker = self._unpacker
        keys = unpacker.read_map_header()
        if keys > MAX_BODY_KEYS:
            raise InvalidMessage("The body of a message has too many keys")
        for _ in range(keys):
            if len(frame) > MAX_HEADER_BYTES:
                _check_key(frame, unpacker.tell() - self._fed)
            key = unpacker.unpack()
            if key in FORBIDDEN_BODY_KEYS:
                raise InvalidMessage(f"The body of a message must not have the key {key!r}")
            unpacker.skip()

    def _renew(self) -> None:
        # A decoder that stopped midway still holds the rest of the bad frame.
        self._unpacker = self._new_unpacker()
        self._fed = 0

    def _new_unpacker(self) -> msgpack.Unpacker:
        return msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=self._max_bytes)


def _check_key(frame: bytes | memoryview, offset: int) -> None:
    """A long message could have one key that is an array of millions, which would be decoded."""
    if any(byte in _CONTAINERS for byte in frame[offset : offset + 1]):
        raise InvalidMessage("The keys of a message must be text")


def _refusal(reason: str, header: dict[str, Any] | None) -> InvalidMessage:
    return InvalidMessage(reason) if header is None else InvalidBody(reason, header)


def unpack_body(body: bytes | memoryview) -> dict[str, Any]:
    """Decode a whole body; an absent one is an empty map. Raises InvalidMessage."""
    if not body:
        return {}
    decoded = unpack(body)
    if type(decoded) is not dict:
        raise InvalidMessage("The body of a message must be a map")
    return decoded


class Identity:
    """The sender's part of every header (``from``, ``ws``, ``user``), encoded once."""

    __slots__ = ("address", "encoded", "workspace")

    def __init__(self, address: str, workspace: str, user: Mapping[str, Any]) -> None:
        self.address = address
        self.workspace = workspace
        self.encoded = pack({"from": address, "ws": workspace, "user": user})[1:]


_IDENTITY_SIZE: Final = 3


def join(header: dict[str, Any], identity: Identity, body: bytes) -> bytes:
    """A frame: ``header`` (without identity keys) and the sender's identity, then the body."""
    packed = pack(header)
    size = len(header) + _IDENTITY_SIZE
    if size < _FIXMAP_LIMIT:
        return b"".join((_FIXMAPS[size], identity.encoded, packed[1:], body))
    skip = 1 if len(header) < _FIXMAP_LIMIT else 3
    return b"".join((b"\xde", size.to_bytes(2, "big"), identity.encoded, packed[skip:], body))


_FIXMAPS: Final = tuple(bytes([0x80 | size]) for size in range(_FIXMAP_LIMIT))
