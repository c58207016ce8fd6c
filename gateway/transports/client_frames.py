"""Cut the bytes of a client into websocket frames (RFC 6455, section 5.2). Pure.

Whole binary messages, which is nearly everything a relay sees, are unmasked here. Everything else
(text, control frames, fragments, errors) is handed on as it came, to the complete implementation.
"""

from __future__ import annotations

from typing import Final

try:  # in C, where the wheel of websockets has it
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

_WHOLE_BINARY: Final = 0x82
_FINAL: Final = 0x80
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F
_FIRST_CONTROL_OPCODE: Final = 0x8
_MASK_BYTES: Final = 4
_SMALLEST: Final = 2 + _MASK_BYTES
_IN_TWO_BYTES: Final = 126
"""In place of a length: it follows, in two bytes."""


class Raw(bytes):
    """Bytes that are not a whole binary message."""


class FrameCutter:
    """Feed it what arrives; it returns messages and raw bytes, in order.

    ``max_bytes`` bounds the length a frame may announce. What announces more, or is not masked, is
    handed on raw, and so is all that follows it: the complete implementation will fail it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._missing = 0
        self._in_fragments = False
        self._broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Messages as ``bytes``, the rest as ``Raw``."""
        is_between = not (self._chunks or self._in_fragments or self._broken)
        if is_between and len(data) <= self._max_bytes:
            message = _only_message(data)
            if message is not None:
                return [message]
        if self._broken:
            return [Raw(data)]
        if self._missing > len(data):
            self._chunks.append(data)
            self._missing -= len(data)
            return []
        if self._chunks:
            self._chunks.append(data)
            data = b"".join(self._chunks)
            self._chunks = []
        self._missing = 0
        return self._cut(data)

    def _cut(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        start, size = 0, len(data)
        while size - start >= _SMALLEST:
            header = _read_header(data, start)
            if header is None:
                break
            payload, length = header
            if length > self._max_bytes or not data[start + 1] & _MASKED:
                self._broken = True
                found.append(Raw(data[start:]))
                return found
            end = payload + length
            if end > size:
                self._missing = end - size
                break
            if data[start] == _WHOLE_BINARY and not self._in_fragments:
                mask = data[payload - _MASK_BYTES : payload]
                found.append(apply_mask(memoryview(data)[payload:end], mask))
            else:
                if data[start] & _OPCODE < _FIRST_CONTROL_OPCODE:
                    self._in_fragments = not data[start] & _FINAL
                found.append(Raw(data[start:end]))
            start = end
        if start < size:
            self._chunks = [data[start:]]
        return found


def _only_message(data: bytes) -> bytes | None:
    """The message, if the bytes are one whole binary message that is not long: nearly always."""
    size = len(data)
    if size < _SMALLEST or data[0] != _WHOLE_BINARY:
        return None
    length, payload = data[1] - _MASKED, _SMALLEST
    if length == _IN_TWO_BYTES and size > _SMALLEST + 2:
        length, payload = data[2] << 8 | data[3], _SMALLEST + 2
    elif length >= _IN_TWO_BYTES:
        return None
    if payload + length != size:
        return None
    return apply_mask(data[payload:], data[payload - _MASK_BYTES : payload])


def _read_header(data: bytes, start: int) -> tuple[int, int] | None:
    """Where the payload begins and how long it is; None if the header is not complete."""
    length = data[start + 1] & 0x7F
    if length < 126:
        return start + 2 + _MASK_BYTES, length
    width = 2 if length == 126 else 8
    payload = start + 2 + width + _MASK_BYTES
    if payload > len(data):
        return None
    return payload, int.from_bytes(data[start + 2 : start + 2 + width], "big")


def binary_header(length: int) -> bytes:
    """The header of a server's whole binary message, which is never masked."""
    if length < 126:
        return bytes((_WHOLE_BINARY, length))
    if length < 65536:
        return b"\x82\x7e" + length.to_bytes(2, "big")
    return b"\x82\x7f" + length.to_bytes(8, "big")
