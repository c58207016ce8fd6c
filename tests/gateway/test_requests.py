"""Request ids and trace contexts that come from outside: which are taken, which are not."""

from __future__ import annotations

import pytest

from gateway.requests import call_context, sane_request_id, trace_context

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("value", [b"a", b"550e8400-e29b-41d4-a716-446655440000", b"x" * 128])
def test_a_sane_request_id_is_kept(value: bytes) -> None:
    assert sane_request_id(value) == value.decode()


@pytest.mark.parametrize("value", [None, b"", b"x" * 129, b"a b", b'a"', b"a\x1b[31m", b"\xff"])
def test_an_id_that_could_harm_a_log_is_not(value: bytes | None) -> None:
    assert sane_request_id(value) is None


def test_a_function_is_told_the_id_and_the_trace_of_its_request() -> None:
    headers = {b"x-request-id": b"r1", b"traceparent": PARENT.encode(), b"tracestate": b"a=1"}
    assert call_context(headers) == {"request_id": "r1", "traceparent": PARENT, "tracestate": "a=1"}
    assert call_context({}) == {}


@pytest.mark.parametrize(
    "parent",
    [
        "",
        7,
        PARENT.upper(),
        PARENT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        PARENT + "x" * 100,
    ],
)
def test_a_trace_without_a_valid_parent_is_ignored_as_a_whole(parent: object) -> None:
    assert trace_context({"traceparent": parent, "tracestate": "a=1"}) == {}


def test_of_a_trace_only_what_has_its_length_goes_on() -> None:
    sent = {"traceparent": PARENT, "tracestate": "x" * 9000, "baggage": 1, "other": "y"}
    assert trace_context(sent) == {"traceparent": PARENT}
