"""Values → JSON and msgpack, and envelopes both ways."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import msgpack
import numpy
import pytest

from http_proxy.encoding import MAX_DEPTH, from_json, from_msgpack, to_json, to_msgpack
from http_proxy.errors import NotAcceptable
from schema.errors import InvalidRequest

ARRAY = numpy.arange(6, dtype="float32").reshape(2, 3)
ENCODED_ARRAY = {
    "_rtype": "ndarray",
    "_rvalue": ARRAY.tobytes(),
    "_rshape": [2, 3],
    "_rdtype": "float32",
}


def nested(levels: int, leaf: Any = None) -> Any:
    for _ in range(levels):
        leaf = [leaf]
    return leaf


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        (5, b"5"),
        ("ü", '"ü"'.encode()),
        ({"a": [1, 2.5, True]}, b'{"a":[1,2.5,true]}'),
        (float("nan"), b"null"),
        ([float("inf"), -float("inf")], b"[null,null]"),
        ({1: "a", None: "b", 1.5: "c"}, b'{"1":"a","null":"b","1.5":"c"}'),
        ((1, 2), b"[1,2]"),
        (datetime.date(2026, 1, 2), b'"2026-01-02"'),
        (2**64, b"18446744073709551616"),
        ({"big": -(2**80), "nan": float("nan")}, b'{"big":-1208925819614629174706176,"nan":null}'),
        ({2**70: {2: 3}}, b'{"1180591620717411303424":{"2":3}}'),
        ([2**64, datetime.date(2026, 1, 2)], b'[18446744073709551616,"2026-01-02"]'),
        ("\ud800", b'"\\ud800"'),
        (b"\x00\xff", b'{"_rtype":"bytes","_rvalue":"AP8="}'),
        ([bytearray(b"a"), memoryview(b"b")],
         b'[{"_rtype":"bytes","_rvalue":"YQ=="},{"_rtype":"bytes","_rvalue":"Yg=="}]'),
        ({b"key": b""}, b'{"key":{"_rtype":"bytes","_rvalue":""}}'),
        ({(1, 2): b""}, b'{"(1, 2)":{"_rtype":"bytes","_rvalue":""}}'),
        ({1: b"", None: 0}, b'{"1":{"_rtype":"bytes","_rvalue":""},"null":0}'),
        (msgpack.Timestamp(0, 0), b'"1970-01-01T00:00:00+00:00"'),
        ({"_rtype": "typedarray", "_rvalue": b"\x01", "_rdtype": "uint8"},
         b'{"_rtype":"typedarray","_rvalue":"AQ==","_rdtype":"uint8"}'),
        ({"_rtype": "memoryview", "_rvalue": b"\x01"},
         b'{"_rtype":"memoryview","_rvalue":"AQ=="}'),
        ({"_rtype": "set", "_rvalue": [1, 2]}, b'{"_rtype":"set","_rvalue":[1,2]}'),
        ({"_rtype": "photo", "_rvalue": b"\x01"},
         b'{"_rtype":"photo","_rvalue":{"_rtype":"bytes","_rvalue":"AQ=="}}'),
        ({"_rtype": "method", "_rtarget": "w/c", "_rmethod": "services.s.f"},
         b'{"_rtype":"method","_rtarget":"w/c","_rmethod":"services.s.f"}'),
        ({"_rtype": ["not", "a", "kind"], "_rvalue": b""},
         b'{"_rtype":["not","a","kind"],"_rvalue":{"_rtype":"bytes","_rvalue":""}}'),
    ],
)  # fmt: skip
def test_every_value_has_a_json_form(value: Any, text: bytes) -> None:
    assert to_json(value) == text


def test_an_array_keeps_its_shape_in_json() -> None:
    shown = json.loads(to_json({"image": ENCODED_ARRAY}))["image"]
    assert {k: v for k, v in shown.items() if k != "_rvalue"} == {
        "_rtype": "ndarray",
        "_rshape": [2, 3],
        "_rdtype": "float32",
    }
    assert isinstance(shown["_rvalue"], str)


@pytest.mark.parametrize(
    "value",
    [
        b"\x00\xff",
        ENCODED_ARRAY,
        [{"deep": [ENCODED_ARRAY, b"x"]}],
        {"_rtype": "memoryview", "_rvalue": b"\x01"},
        {"_rtype": "photo", "_rvalue": b"\x01", "more": b"\x02"},
        {"_rtype": "ndarray", "_rvalue": b"", "_rshape": [0], "_rdtype": "int8"},
    ],
)
def test_binary_values_come_back_from_json_as_they_were(value: Any) -> None:
    assert from_json(to_json(value)) == value


def test_encoding_leaves_the_value_itself_alone() -> None:
    value = {"data": dict(ENCODED_ARRAY)}
    to_json(value)
    assert value == {"data": ENCODED_ARRAY}


@pytest.mark.parametrize(
    "text",
    [
        b'{"_rtype":"bytes","_rvalue":"not base64!"}',
        b'{"_rtype":"bytes","_rvalue":"AQ"}',
        b'{"_rtype":"bytes","_rvalue":5}',
        b'{"_rtype":"bytes"}',
        b'[{"_rtype":"ndarray","_rvalue":null}]',
    ],
)
def test_an_envelope_without_base64_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match="base64"):
        from_json(text)


@pytest.mark.parametrize("text", [b"18446744073709551616", b'{"a":[-9223372036854775809]}'])
def test_an_integer_that_would_become_another_number_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match="an integer beyond 64 bits; send it as text"):
        from_json(text)


@pytest.mark.parametrize("value", [object(), {"f": print}, [2**64, object()], nested(300)])
def test_a_result_without_a_json_form_has_an_answer_of_its_own(value: Any) -> None:
    with pytest.raises(NotAcceptable):
        to_json(value)


@pytest.mark.parametrize("value", [2**64, object(), nested(2000), "\ud800"])
def test_a_result_without_a_msgpack_form_has_an_answer_of_its_own(value: Any) -> None:
    with pytest.raises(NotAcceptable):
        to_msgpack(value)


@pytest.mark.parametrize("leaf", [0, b"x", 2**64])
def test_values_of_the_greatest_depth_can_be_shown(leaf: Any) -> None:
    levels = MAX_DEPTH if leaf == 0 else MAX_DEPTH - 2
    assert to_json(nested(levels, leaf)).startswith(b"[" * levels)


@pytest.mark.parametrize("envelope", [b"0", b'{"_rtype":"memoryview","_rvalue":""}'])
def test_json_is_read_to_the_greatest_depth_and_refused_beyond(envelope: bytes) -> None:
    levels = MAX_DEPTH - 1
    assert from_json(b"[" * levels + envelope + b"]" * levels) is not None
    for beyond in (MAX_DEPTH + 1, 1000, 100_000):
        with pytest.raises(InvalidRequest, match=r"deep|depth"):
            from_json(b"[" * beyond + envelope + b"]" * beyond)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(from_json(b"[" + b"{}," * 1000 + b"[]]")) == 1001


def test_uuids_are_text_next_to_integers_of_many_digits() -> None:
    one = uuid.UUID(int=1)
    assert json.loads(to_json([2**64, one])) == [2**64, str(one)]


def test_msgpack_carries_envelopes_untouched() -> None:
    assert from_msgpack(to_msgpack([ENCODED_ARRAY, b"x"])) == [ENCODED_ARRAY, b"x"]
