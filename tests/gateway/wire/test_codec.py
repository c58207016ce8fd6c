from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.codec import (
    FORBIDDEN_BODY_KEYS,
    Identity,
    Splitter,
    join,
    pack,
    unpack,
    unpack_body,
)
from schema.errors import InvalidMessage

USER = {"id": "u", "scope": {"workspaces": {"w": "a"}}}


def frame(*values: Any) -> bytes:
    return b"".join(msgpack.packb(v) for v in values)


def decode(data: bytes) -> list[Any]:
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(data)
    return list(unpacker)


def test_header_and_body_are_split_without_touching_the_body() -> None:
    body = frame({"args": [1, b"\x00\xff", "text"], "promise": "*"})
    header, rest = Splitter().split(frame({"type": "method"}) + body)
    assert header == {"type": "method"}
    assert rest == body


def test_a_message_may_have_no_body() -> None:
    assert Splitter().split(frame({"type": "x"})) == ({"type": "x"}, b"")


@pytest.mark.parametrize("key", sorted(FORBIDDEN_BODY_KEYS))
def test_a_body_that_could_overwrite_the_header_is_refused(key: str) -> None:
    with pytest.raises(InvalidMessage, match=key):
        Splitter().split(frame({"type": "method"}, {"args": [], key: "forged"}))


def test_a_repeated_body_key_does_not_hide_a_forged_one() -> None:
    body = b"\x82" + frame("args", []) + frame("from", "a/b")
    with pytest.raises(InvalidMessage):
        Splitter().split(frame({"type": "method"}) + body)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x81",
        frame([1, 2]),
        frame("text"),
        frame({"type": "x"}, [1]),
        frame({"type": "x"}, {}, {}),
        frame({"type": "x"}) + b"\x81\xa1a",
        frame({"type": "x"}) + b"\x81\x91\x01\x01",
        frame({f"k{i}": i for i in range(100)}),
    ],
)
def test_what_is_not_a_message_is_refused_and_the_next_one_is_read(data: bytes) -> None:
    splitter = Splitter()
    with pytest.raises(InvalidMessage):
        splitter.split(data)
    assert splitter.split(frame({"type": "y"})) == ({"type": "y"}, b"")


def test_deeply_nested_input_is_refused_instead_of_crashing() -> None:
    with pytest.raises(InvalidMessage):
        Splitter().split(b"\x81\xa1a" + b"\x91" * 100_000 + b"\x01")


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_split_or_be_refused(data: bytes) -> None:
    splitter = Splitter()
    try:
        header, body = splitter.split(data)
        assert isinstance(header, dict)
        assert data.endswith(body)
    except InvalidMessage:
        pass
    assert splitter.split(frame({"type": "y"}))[0] == {"type": "y"}


@pytest.mark.parametrize("extra", [0, 5, 11, 12, 13, 20, 40])
def test_joined_header_carries_the_identity_whatever_its_size(extra: int) -> None:
    identity = Identity("w/c", "w", USER)
    header = {"type": "event", **{f"k{i}": i for i in range(extra)}}
    decoded = decode(join(header, identity, frame({"args": [1]})))
    assert decoded == [header | {"from": "w/c", "ws": "w", "user": USER}, {"args": [1]}]


def test_a_value_that_msgpack_cannot_carry_is_an_error_and_the_packer_still_works() -> None:
    with pytest.raises(InvalidMessage):
        pack({"a": 2**80})
    with pytest.raises(InvalidMessage):
        pack({"a": object()})
    assert pack({"a": 1}) == b"\x81\xa1a\x01"


def test_an_absent_body_is_an_empty_map_and_a_list_is_none() -> None:
    assert unpack_body(b"") == {}
    with pytest.raises(InvalidMessage):
        unpack_body(frame([1]))


@pytest.mark.parametrize("key", [[1], {}])
def test_a_key_that_is_a_list_or_a_map_is_a_malformed_value(key: Any) -> None:
    packer = msgpack.Packer()
    with pytest.raises(InvalidMessage):
        unpack(packer.pack_map_header(1) + packer.pack(key) + packer.pack(1))


LONG = b"x" * (300 * 1024)


@pytest.mark.parametrize(
    "frame",
    [
        pack({"type": "m", "a": [{}] * 300_000}) + pack({"args": [1]}),
        pack({"type": "m", "a": LONG}),
        pack({"type": "m"}) + b"\x82" + pack([{}] * 300_000) + b"\x01" + pack("a") + b"\x01",
        pack({"type": "m"}) + pack({str(number): 0 for number in range(5000)}),
    ],
    ids=["a header of many values", "a long header", "a long key", "many keys"],
)
def test_a_frame_that_would_take_long_to_look_at_is_refused(frame: bytes) -> None:
    splitter = Splitter()
    with pytest.raises(InvalidMessage):
        splitter.split(frame)
    good = pack({"type": "m"}) + pack({"args": [LONG, LONG]})
    header, body = splitter.split(memoryview(good))
    assert (header, unpack_body(body)) == ({"type": "m"}, {"args": [LONG, LONG]})
    assert splitter.split(good) == (header, bytes(body))
