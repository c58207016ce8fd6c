from __future__ import annotations

import pytest

from gateway.registry import sharing
from gateway.registry.sharing import SchemaPool


def test_equal_schemas_become_one_and_different_ones_stay_apart() -> None:
    pool = SchemaPool()
    first = {"f": {"type": "function"}}
    assert pool.shared(first) is first
    assert pool.shared({"f": {"type": "function"}}) is first
    assert pool.shared({"f": {"type": "number"}}) is not first
    assert pool.shared({"b": 1, "a": 2}) == {"b": 1, "a": 2}


def test_order_is_part_of_a_schema() -> None:
    pool = SchemaPool()
    pool.shared({"b": 1, "a": 2})
    assert list(pool.shared({"a": 2, "b": 1})) == ["a", "b"]


def test_the_pool_forgets_what_was_not_used_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MAX_KEPT", 2)
    pool = SchemaPool()
    first = {"n": 1}
    pool.shared(first)
    pool.shared({"n": 2})
    pool.shared({"n": 3})
    assert pool.shared({"n": 1}) is not first
