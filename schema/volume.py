"""How many values a document may have. A value of one byte takes up to a hundred in memory, and
each takes its time, so a limit of bytes alone does not bound what a document costs.

For whoever parses what others have written, in JSON or msgpack. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgpack

from schema.errors import PayloadTooLarge

MAX_VALUES: Final = 4_000_000
"""A picture of a megapixel in three colours, as lists of numbers, has three million. Whoever has
more sends an array as such: its elements are one value."""

UNCOUNTED_BYTES: Final = 1024 * 1024
"""Up to here a document cannot have more values than are harmless."""

_TEXT: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def check_json(document: bytes) -> None:
    """Raises PayloadTooLarge if a JSON document has too many values."""
    if len(document) <= UNCOUNTED_BYTES or _values(document) <= MAX_VALUES:
        return
    # Most of them may be characters of a long text. With that many texts there is no need to look.
    if document.count(b'"') > MAX_VALUES or _values(_TEXT.sub(b"", document)) > MAX_VALUES:
        raise _too_many()


def unpack(data: bytes | memoryview, *, strict_map_key: bool) -> Any:
    """Decode exactly one value of msgpack. Raises PayloadTooLarge, and what ``msgpack`` raises."""
    if len(data) <= UNCOUNTED_BYTES:
        return msgpack.unpackb(data, strict_map_key=strict_map_key)
    count = 0

    def counted(container: Any) -> Any:
        nonlocal count
        count += 1 + len(container)
        if count > MAX_VALUES:
            raise _too_many()
        return container

    return msgpack.unpackb(
        data,
        strict_map_key=strict_map_key,
        max_array_len=MAX_VALUES,
        max_map_len=MAX_VALUES,
        list_hook=counted,
        object_hook=counted,
    )


def _values(document: bytes) -> int:
    return document.count(b",") + document.count(b"[") + document.count(b"{")


def _too_many() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"More than {MAX_VALUES} values: send arrays as they are, not as lists of numbers"
    )
