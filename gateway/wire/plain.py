"""Values that every client can read.

What one client registers is shown to others, in lists among the services of everybody. A value that
a receiver cannot decode makes the whole list unreadable for it: hypha-rpc takes no map with keys
other than text, no deep nesting, and no ``_rtype`` that is not what it says.
"""

from __future__ import annotations

from typing import Final

import orjson
from msgpack import ExtType

from schema.errors import InvalidRequest, LimitExceeded
from schema.values import RTYPE

MAX_DEPTH: Final = 200
"""Levels of lists and maps. hypha-rpc in Python decodes some 240."""

_ENCODED: Final = RTYPE.encode()

_SIZE_OF_NUMBER: Final = 8
_FRAME: Final = 2
"""About what delimiters cost: quotes, brackets, a comma."""


def check_plain(value: object, what: str, max_bytes: int) -> int:
    """The size of a value, about that of its JSON in bytes.

    Raises InvalidRequest if not every client can read it, LimitExceeded if it is too large.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:  # such as bytes, which are plain too
        size = _size(value, what, 0)
    else:
        # So few brackets do not nest deeper than is allowed.
        is_flat = text.count(b"{") + text.count(b"[") <= MAX_DEPTH
        size = len(text) if is_flat and _ENCODED not in text else _size(value, what, 0)
    if size > max_bytes:
        raise LimitExceeded(f"The {what} is larger than {max_bytes} bytes")
    return size


def _size(value: object, what: str, depth: int) -> int:
    if value is None or isinstance(value, int | float):
        return _SIZE_OF_NUMBER
    if isinstance(value, str | bytes):
        return len(value) + _FRAME
    if depth == MAX_DEPTH:
        raise InvalidRequest(f"The {what} is nested more than {MAX_DEPTH} deep")
    if isinstance(value, list | tuple) and not isinstance(value, ExtType):
        return _FRAME + sum(_size(item, what, depth + 1) for item in value)
    if not isinstance(value, dict) or RTYPE in value:
        raise InvalidRequest(f"The {what} must be made of plain values")
    size = _FRAME
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidRequest(f"The keys of maps in the {what} must be text")
        size += len(key) + _FRAME + _size(item, what, depth + 1)
    return size
