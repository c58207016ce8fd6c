"""What upstreams say of themselves, in a form that every client can read. Pure.

It is shown in lists among the services of others (``gateway.wire.plain``), so an entry that some
client could not decode is left out, and costs nobody the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.wire.codec import pack
from gateway.wire.plain import check_plain
from schema.errors import InvalidRequest, LimitExceeded
from schema.integers import fits

MAX_ENTRY_BYTES: Final = 512 * 1024

_BOUNDS: Final = frozenset(
    {"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"}
)


def readable(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """An entry of a list; None if it cannot be shown. Integers beyond 64 bits are floats where a
    schema says how large a number may be, and text elsewhere, so that none is another number."""
    try:
        check_plain(entry, "entry", MAX_ENTRY_BYTES)
        narrow: dict[str, Any] = _narrowed(entry)
        pack(narrow)
    except (InvalidRequest, LimitExceeded):
        return None
    return narrow


def unbroken(text: str) -> str:
    """A text without halves of surrogate pairs, which JSON can hold and nothing else."""
    return text.encode("utf-8", "replace").decode()


def _narrowed(value: Any, key: object = None) -> Any:
    if isinstance(value, dict):
        return {name: _narrowed(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_narrowed(item) for item in value]
    if not isinstance(value, int) or fits(value):
        return value
    try:
        return float(value) if key in _BOUNDS else str(value)
    except (OverflowError, ValueError):  # too many digits for either
        return hex(value)
