"""Query strings and bodies → arguments."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from http_proxy.arguments import Arguments, from_body, from_query, parse_query, read_value
from http_proxy.negotiation import Media
from schema.errors import InvalidArguments, InvalidRequest, UnsupportedMediaType
from schema.functions import FunctionInfo


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("33", 33),
        ("0", 0),
        ("007", 7),
        ("-5", -5),
        ("+5", 5),
        ("-007", -7),
        ("1.0", 1.0),
        ("-1.5", -1.5),
        ("1e5", 100000.0),
        (".5", 0.5),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ('{"a": 1}', {"a": 1}),
        ('{"_rtype": "bytes", "_rvalue": "AQI="}', b"\x01\x02"),
    ],
)
def test_a_text_in_the_url_becomes_a_number_or_a_map(text: str, value: Any) -> None:
    read = read_value("x", text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "1_000", " 5", "5 ", "nan", "NaN", "inf", "-inf", "infinity", "1e999", "true", "false",
        "null", "None", "[1]", '"x"', "", "-", "+", ".", "e", "1.2.3", "0x10", "12a", "1e", "--1",
        " {}",
    ],
)  # fmt: skip
def test_every_other_text_stays_as_it_is(text: str) -> None:
    assert read_value("x", text) == text


@pytest.mark.parametrize("text", ["½", "²", "-²", "五", "{", '{"a":}', "{'a': 1}"])
def test_a_text_that_only_looks_like_a_number_or_a_map_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid query parameter 'x'"):
        read_value("x", text)


@pytest.mark.parametrize("text", [str(2**64), str(-(2**63) - 1), "9" * 5000])
def test_an_integer_that_the_wire_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_value("x", text)
    assert len(caught.value.message) < 200


def test_the_refusal_of_a_big_integer_says_how_to_send_it() -> None:
    with pytest.raises(InvalidArguments, match="JSON body"):
        read_value("x", str(2**64))


def test_the_last_of_a_repeated_parameter_counts() -> None:
    assert parse_query(b"a=1&b=2&a=3") == {"a": "3", "b": "2"}


def test_parameters_are_unquoted_and_may_be_empty() -> None:
    assert parse_query(b"a=&name=J%C3%BCrgen+M") == {"a": "", "name": "Jürgen M"}


def test_names_of_the_door_itself_never_reach_a_function_from_the_url() -> None:
    parameters = {"workspace": "w", "service_id": "s", "function_key": "f", "_mode": "m", "a": "1"}
    assert from_query(parameters) == Arguments((), {"a": 1})


def test_a_function_gets_such_a_name_if_it_declares_it() -> None:
    names: dict[str, dict[str, object]] = {"workspace": {}, "_mode": {}, "a": {}}
    function = FunctionInfo("f", "", {"type": "object", "properties": names}, {})
    given = {"workspace": "w", "service_id": "s", "_mode": "m", "a": "1"}
    assert from_query(given, function) == Arguments((), {"workspace": "w", "a": 1})
    expected = Arguments((), {"workspace": "w", "a": "1"})
    assert from_body(json.dumps(given).encode(), Media.JSON, function) == expected
    assert from_body(msgpack.packb(given), Media.MSGPACK, function) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Arguments()),
        (b"{}", Arguments((), {})),
        (b'{"a": 1, "b": [2]}', Arguments((), {"a": 1, "b": [2]})),
        (b"[1, 2]", Arguments([1, 2])),
        (b"5", Arguments((5,))),
        (b'"text"', Arguments(("text",))),
        (b"null", Arguments((None,))),
        (b'{"workspace": 1, "service_id": 2, "function_key": 3, "_mode": 4, "a": 5}',
         Arguments((), {"a": 5})),
    ],
)  # fmt: skip
def test_a_json_body_gives_arguments(body: bytes, expected: Arguments) -> None:
    assert from_body(body, Media.JSON) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1, "data": b"\x00"}, Arguments((), {"a": 1, "data": b"\x00"})),
        ([1, b"x"], Arguments([1, b"x"])),
        ("text", Arguments(("text",))),
        ({"_mode": "first", "a": 1}, Arguments((), {"a": 1})),
        ({"a": {"_rtype": "ndarray", "_rvalue": b"\x01", "_rshape": [1], "_rdtype": "uint8"}},
         Arguments((), {"a": {"_rtype": "ndarray", "_rvalue": b"\x01", "_rshape": [1],
                              "_rdtype": "uint8"}})),
    ],
)  # fmt: skip
def test_a_msgpack_body_gives_arguments_as_they_are(value: Any, expected: Arguments) -> None:
    assert from_body(msgpack.packb(value), Media.MSGPACK) == expected


@pytest.mark.parametrize(
    "body",
    [b"{", b"{'a': 1}", b"[1,]", b"NaN", b"\xff", b"{} {}", b" ", b'"\xed\xa0\x80"', b"1e999"],
)
def test_a_malformed_json_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^Invalid request body: not JSON"):
        from_body(body, Media.JSON)


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",  # never used
        b"\x92\x01",  # one of two items
        b"\x01\x02",  # two values
        b"\xa1\xff",  # text that is not UTF-8
        b"\x81\x90\x01",  # an array as key
        b"\xdd\xff\xff\xff\xff",  # claims 4 G items
        b"\x91" * 100_000,  # deeper than any stack
    ],
)
def test_a_malformed_msgpack_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^Invalid request body: not msgpack"):
        from_body(body, Media.MSGPACK)


def test_names_of_msgpack_arguments_must_be_text() -> None:
    with pytest.raises(InvalidRequest, match="names of arguments"):
        from_body(msgpack.packb({b"a": 2}), Media.MSGPACK)


@pytest.mark.parametrize("value", [{1: 2}, {"a": {1: 2}}, [[{None: 1}]]])
def test_keys_that_a_client_in_python_could_not_read_are_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="not msgpack"):
        from_body(msgpack.packb(value), Media.MSGPACK)


def test_other_media_types_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        from_body(b"a=1", Media.OTHER)
