from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.utils import apply_mask

from gateway.transports.client_frames import FrameCutter, Raw, binary_header


def frame(payload: bytes, first: int = 0x82, *, masked: bool = True) -> bytes:
    size = len(payload)
    flag = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, flag | size))
    elif size < 65536:
        head = bytes((first, flag | 126)) + struct.pack("!H", size)
    else:
        head = bytes((first, flag | 127)) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + apply_mask(payload, mask)


def feed_in_pieces(cutter: FrameCutter, data: bytes, sizes: list[int]) -> list[bytes]:
    found: list[bytes] = []
    position = 0
    for size in [*sizes, len(data)]:
        found += cutter.feed(data[position : position + size])
        position += size
    return found


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.just(b"x" * 70_000)), max_size=5),
    st.lists(st.integers(0, 200), max_size=40),
)
def test_messages_come_out_whole_however_the_bytes_arrive(
    payloads: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(map(frame, payloads))
    found = feed_in_pieces(FrameCutter(1 << 20), data, sizes)
    assert found == payloads
    assert not any(isinstance(piece, Raw) for piece in found)


@pytest.mark.parametrize("first", [0x81, 0x88, 0x89, 0x8A, 0x02, 0x80, 0xC2, 0x83])
def test_what_is_not_a_whole_binary_message_is_handed_on_as_it_came(first: int) -> None:
    data = frame(b"abc", first)
    (piece,) = FrameCutter(1000).feed(data)
    assert piece == data
    assert isinstance(piece, Raw)


def test_a_binary_frame_inside_a_fragmented_message_is_left_to_the_full_implementation() -> None:
    cutter = FrameCutter(1000)
    pieces = cutter.feed(
        frame(b"a", 0x02) + frame(b"ping", 0x89) + frame(b"b") + frame(b"c", 0x80) + frame(b"d")
    )
    assert [isinstance(p, Raw) for p in pieces] == [True, True, True, True, False]


@pytest.mark.parametrize("bad", [frame(b"abcdef", masked=False), frame(b"x" * 2000)])
def test_after_a_frame_that_breaks_the_rules_all_is_handed_on(bad: bytes) -> None:
    cutter = FrameCutter(1000)
    good = frame(b"good")
    first, rest = cutter.feed(good + bad + good)
    assert first == b"good"
    assert rest == bad + good
    assert cutter.feed(good) == [good]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_000])
def test_the_header_of_a_servers_message_says_its_length(size: int) -> None:
    assert binary_header(size) == frame(b"x" * size, masked=False)[: len(binary_header(size))]


@given(st.integers(0, 70_000).map(lambda size: b"x" * size), st.booleans())
def test_a_message_that_comes_alone_is_cut_as_one_that_comes_in_pieces(
    payload: bytes, masked: bool
) -> None:
    data = frame(payload, masked=masked)
    alone = FrameCutter(1 << 20).feed(data)
    pieces = feed_in_pieces(FrameCutter(1 << 20), data, [1])
    assert b"".join(alone) == b"".join(pieces)
    assert [type(piece) for piece in alone][:1] == [type(piece) for piece in pieces][:1]


def test_a_message_that_comes_alone_may_be_too_long() -> None:
    data = frame(b"x" * 2000)
    (piece,) = FrameCutter(1000).feed(data)
    assert isinstance(piece, Raw)
