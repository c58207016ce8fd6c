"""Integers in JSON that no 64 bits hold. Fast parsers make floats of them, which are other numbers,
and msgpack carries none: whoever parses for somebody else refuses them, or reads them ``exactly``.
"""

from __future__ import annotations

import json
from typing import Any, Final

SMALLEST: Final = -(1 << 63)
LARGEST: Final = (1 << 64) - 1

_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_SUSPICIOUS: Final = b"0" * len(str(SMALLEST).lstrip("-"))
_LONGEST: Final = len(str(LARGEST))


class _Found(Exception):
    pass


def fits(number: int) -> bool:
    """Whether 64 bits hold it, with a sign or without."""
    return SMALLEST <= number <= LARGEST


def has_wide_integer(document: bytes) -> bool:
    """Whether a well-formed JSON document has an integer beyond 64 bits, or has many digits in a
    row and nests too deep to tell."""
    # A byte costs 2 ns here. What is in texts, or belongs to a float, is told apart below.
    if _SUSPICIOUS not in document.translate(_DIGITS):
        return False
    try:
        json.loads(document, parse_int=_look)
    except (_Found, RecursionError):
        return True
    return False


def exactly(document: bytes, parsed: Any) -> Any:
    """What a fast parser has made of a document, with all digits of its integers. Raises ValueError
    if it nests too deep for that."""
    if not has_wide_integer(document):
        return parsed
    try:
        return json.loads(document)
    except RecursionError:
        raise ValueError("The JSON nests too deep") from None


def _look(text: str) -> int:
    if len(text) > _LONGEST + 1 or not fits(int(text)):
        raise _Found
    return 0
