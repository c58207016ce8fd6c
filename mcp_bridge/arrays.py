"""Encoded arrays as JSON. Pure, and without numpy: values are only spelled out when there are few.

hypha-rpc carries arrays as raw little-endian bytes in C order with a shape and numpy's name of
the element type.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

MAX_VALUES: Final = 1_000
"""Elements up to which an array is spelled out; a model reads no more than that."""

_CODES: Final[Mapping[str, str]] = {
    "bool": "?",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
}


def describe(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """``dtype`` and ``shape`` of an encoded ndarray or typed array, and its nested ``values`` if
    there are at most a thousand of a type known here."""
    dtype = str(encoded.get("_rdtype", ""))
    data: Any = encoded.get("_rvalue")
    code = _CODES.get(dtype)
    size = struct.calcsize(f"<{code}") if code else 0
    shape = encoded.get("_rshape")
    if shape is None and isinstance(data, bytes) and size:
        shape = [len(data) // size]
    if not _is_shape(shape):
        return {"dtype": dtype, "shape": None}
    description: dict[str, Any] = {"dtype": dtype, "shape": list(shape)}
    is_whole = isinstance(data, bytes) and code and math.prod(shape) * size == len(data)
    # An empty array can still have a million rows.
    if is_whole and math.prod(max(length, 1) for length in shape) <= MAX_VALUES:
        flat = (_finite(value) for (value,) in struct.iter_unpack(f"<{code}", data))
        description["values"] = _nest(flat, list(shape))
    return description


def _is_shape(shape: Any) -> TypeGuard[list[int]]:
    return (
        isinstance(shape, list | tuple)
        and len(shape) <= 64
        and all(type(length) is int and length >= 0 for length in shape)
    )


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nest(flat: Iterator[Any], shape: list[int]) -> Any:
    if not shape:
        return next(flat)
    return [_nest(flat, shape[1:]) for _ in range(shape[0])]
