"""What clients show to each other, every client can read."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.plain import MAX_DEPTH, check_plain
from schema.errors import GatewayError, InvalidRequest, LimitExceeded

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


def nested(depth: int, *, leaf: Any = 1) -> Any:
    value = leaf
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        {1: 2},
        {"a": [{"b": {None: 1}}]},
        {b"bytes": 1},
        nested(MAX_DEPTH + 1),
        nested(5000),
        nested(MAX_DEPTH + 1, leaf=b""),
        {"_rtype": "ndarray"},
        {"a": [{"_rtype": "error", "_rvalue": ""}]},
        {"a": msgpack.Timestamp(1)},
        {"a": msgpack.ExtType(5, b"")},
        {"a": {1}},
    ],
)
def test_what_some_client_could_not_read_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest):
        check_plain(value, "service", 1000)


@pytest.mark.parametrize("value", [nested(MAX_DEPTH), {"docs": "_rtype"}, [b"\xff"], (1, 2), None])
def test_everything_else_is_taken(value: Any) -> None:
    assert check_plain(value, "service", 1000) > 0


@pytest.mark.parametrize("value", ["x" * 1000, b"x" * 1000, {"x" * 1000: 1}, [0] * 1000])
def test_a_value_has_a_size(value: Any) -> None:
    assert check_plain(value, "service", 10_000) >= 1000
    with pytest.raises(LimitExceeded, match="larger than 900 bytes"):
        check_plain(value, "service", 900)


@given(PLAIN)
def test_what_is_taken_can_be_read_by_a_strict_receiver(value: Any) -> None:
    try:
        check_plain(value, "service", 1_000_000)
    except GatewayError:
        assert "_rtype" in str(value)
        return
    msgpack.unpackb(msgpack.packb(value), strict_map_key=True)
