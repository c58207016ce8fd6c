"""How many values a document may have, in JSON and in msgpack."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import pytest

from schema import volume
from schema.errors import PayloadTooLarge


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "MAX_VALUES", 100)
    monkeypatch.setattr(volume, "UNCOUNTED_BYTES", 50)


@pytest.mark.parametrize(
    "document",
    [
        b"[" + b"{}," * 100 + b"{}]",
        b"[" + b"1," * 101 + b"1]",
        b"[" * 101 + b"]" * 101,
        b"[" + b'"a",' * 101 + b'"a"]',
        b'{"a":"' + b"\\\\" * 50 + b'","b":[' + b"1," * 101 + b"1]}",
    ],
)
def test_json_of_too_many_values_is_refused(document: bytes) -> None:
    with pytest.raises(PayloadTooLarge):
        volume.check_json(document)


@pytest.mark.parametrize(
    "document",
    [b"[" + b"1," * 20 + b"1]", b'["' + b"a,[{" * 500 + b'"]', b'["' + b'\\",' * 90 + b'"]'],
)
def test_what_is_in_a_text_is_no_value(document: bytes) -> None:
    volume.check_json(document)


@pytest.mark.parametrize(
    "value",
    [
        [{}] * 101,
        [[1] * 50] * 3,
        {str(number): number for number in range(101)},
        [[[[None] * 99] * 2]],
    ],
)
def test_msgpack_of_too_many_values_is_refused(value: Any) -> None:
    # An array alone that is too long is one that msgpack itself refuses, before it is made.
    with pytest.raises((PayloadTooLarge, ValueError)):
        volume.unpack(msgpack.packb(value), strict_map_key=True)


def test_msgpack_is_read_as_it_is() -> None:
    value = {"a": [1, b"x" * 1000, {"b": None}], "c": "y" * 1000}
    assert volume.unpack(msgpack.packb(value), strict_map_key=True) == value
    with pytest.raises(ValueError, match="exceeds"):
        volume.unpack(b"\xdd" + struct.pack(">I", 2**32 - 1) + b"\x80" * 60, strict_map_key=True)
