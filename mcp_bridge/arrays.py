"""Encoded arrays as JSON. Pure, and without numpy: values are only spelled out when there are few.

hypha-rpc carries arrays as raw bytes in C order with a shape and numpy's name of the element type:
``float32``, or ``>i4`` and ``<U5`` for what has no other name.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeGuard

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
    "complex64": "ff",
    "complex128": "dd",
}
_SHORT: Final[Mapping[str, str]] = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d", "c8": "ff", "c16": "dd",
}  # fmt: skip
_TEXT: Final = re.compile(r"[<>|]?([US])([1-9][0-9]{0,4})")


class _Elements(NamedTuple):
    """How an element is read: its bytes, and what they are."""

    size: int
    read: Callable[[bytes], Iterator[Any]]


def describe(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """``dtype`` and ``shape`` of an encoded ndarray or typed array, and its nested ``values`` if
    there are at most a thousand of a type known here. Complex numbers are text."""
    dtype = str(encoded.get("_rdtype", ""))
    shape = _shape_of(encoded)
    if shape is None:
        return {"dtype": dtype, "shape": None}
    description: dict[str, Any] = {"dtype": dtype, "shape": shape}
    flat = _values(encoded)
    if flat is not None:
        description["values"] = _nest(map(_finite, flat), shape)
    return description


def has_non_finite(encoded: Mapping[str, Any]) -> bool:
    """Whether there is a NaN or an infinity among the values that are spelled out."""
    return any(_finite(value) is None for value in _values(encoded) or ())


def _values(encoded: Mapping[str, Any]) -> Iterator[Any] | None:
    """The elements of an array, or None if they are too many or of a type that is not known."""
    elements, shape = _elements(str(encoded.get("_rdtype", ""))), _shape_of(encoded)
    data: Any = encoded.get("_rvalue")
    if elements is None or shape is None or not isinstance(data, bytes):
        return None
    # An empty array can still have a million rows.
    is_short = math.prod(max(length, 1) for length in shape) <= MAX_VALUES
    is_whole = math.prod(shape) * elements.size == len(data)
    return elements.read(data) if is_short and is_whole else None


def _shape_of(encoded: Mapping[str, Any]) -> list[int] | None:
    shape, data = encoded.get("_rshape"), encoded.get("_rvalue")
    if shape is None and isinstance(data, bytes):
        elements = _elements(str(encoded.get("_rdtype", "")))
        shape = [len(data) // elements.size] if elements is not None else None
    return list(shape) if _is_shape(shape) else None


def _elements(dtype: str) -> _Elements | None:
    if text := _TEXT.fullmatch(dtype):
        encoding = "utf-8" if text[1] == "S" else f"utf-32-{'be' if dtype[0] == '>' else 'le'}"
        size = int(text[2]) * (1 if text[1] == "S" else 4)

        def texts(data: bytes) -> Iterator[str]:
            for start in range(0, len(data), size):
                yield data[start : start + size].decode(encoding, "replace").rstrip("\0")

        return _Elements(size, texts)
    code = _CODES.get(dtype) or _SHORT.get(dtype.lstrip("<>|="))
    if code is None:
        return None
    pattern = (">" if dtype.startswith(">") else "<") + code

    def numbers(data: bytes) -> Iterator[Any]:
        for parts in struct.iter_unpack(pattern, data):
            yield parts[0] if len(parts) == 1 else str(complex(*parts)).strip("()")

    return _Elements(struct.calcsize(pattern), numbers)


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
