"""Server-sent events, in whatever pieces they come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstreams.mcp_client.events import Event, EventReader, EventTooLarge

STREAM = (
    b": a comment\n\n"
    b"data: one\n\n"
    b"event: other\r\ndata:two\r\ndata:  three\r\n\r\n"
    b"id: 7\rretry: 250\rdata\r\r"
    b"unknown: x\ndata: \xc3\xa4\n\n"
    b"event: lost\n\n"
    b"data: never ended"
)
EVENTS = [
    Event("message", b"one", None, None),
    Event("other", b"two\n three", None, None),
    Event("message", b"", "7", 250),
    Event("message", "ä".encode(), "7", 250),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_the_events_of_a_stream_do_not_depend_on_how_it_is_cut(cuts: list[int]) -> None:
    reader = EventReader(1_000)
    found: list[Event] = []
    places = [0, *sorted(cuts), len(STREAM)]
    for begin, end in pairwise(places):
        found += reader.feed(STREAM[begin:end])
    assert found == EVENTS


@pytest.mark.parametrize("piece", [b"data: xxxxxxxxxx\n", b"xxxxxxxxxx"])
def test_an_event_has_a_largest_size(piece: bytes) -> None:
    reader = EventReader(50)
    with pytest.raises(EventTooLarge):
        for _ in range(10):
            list(reader.feed(piece))
