"""Tool names are legal, injective and stable."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mcp_bridge.names import joined_names, wire_names

PARTS = st.text(alphabet="ab_.-é/ ", min_size=1, max_size=4) | st.text(min_size=1, max_size=80)
PATHS = st.lists(PARTS, max_size=20)


@given(PATHS)
def test_names_are_injective_and_within_limits(paths: list[str]) -> None:
    names = wire_names(paths)
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names.values())
    assert names.keys() <= set(paths)


@given(PATHS)
def test_the_order_of_registration_does_not_matter(paths: list[str]) -> None:
    names, reverse = wire_names(paths), wire_names(reversed(paths))
    if len(names) == len(set(paths)):  # no name was refused
        assert names == reverse


@given(PATHS)
def test_a_legal_path_keeps_its_name(paths: list[str]) -> None:
    names = wire_names([*paths, "plain"])
    assert names["plain"] == "plain"


def test_dots_become_underscores_where_that_is_unique() -> None:
    assert wire_names(["math.add", "math.sub"]) == {
        "math.add": "math_add",
        "math.sub": "math_sub",
    }


def test_what_would_clash_is_told_apart_by_a_hash() -> None:
    names = wire_names(["a.b_c", "a_b.c", "x.y", "x_y"])
    assert names["x_y"] == "x_y"
    hashed = [names["a.b_c"], names["a_b.c"], names["x.y"]]
    assert len(set(hashed)) == 3
    assert all(re.fullmatch(r"(a_b_c|x_y)_[0-9a-f]{8}", name) for name in hashed)


def test_long_names_keep_their_head() -> None:
    path = "a" * 70
    name = wire_names([path])[path]
    assert len(name) == 64
    assert re.fullmatch(r"a{55}_[0-9a-f]{8}", name)


def test_a_function_that_spells_out_the_hash_of_another_wins_and_the_other_is_left_out() -> None:
    (hashed,) = wire_names(["é"]).values()
    assert wire_names(["é", hashed]) == {hashed: hashed}


@given(st.lists(st.tuples(PARTS, PARTS), max_size=20))
def test_names_over_several_services_are_injective_and_within_limits(
    pairs: list[tuple[str, str]],
) -> None:
    names = joined_names(pairs)
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names.values())
    assert names.keys() <= set(pairs)


def test_the_place_of_the_separator_cannot_be_mistaken() -> None:
    names = joined_names([("a", "b__c"), ("a__b", "c"), ("a", "_b"), ("a_", "b")])
    assert names["a", "b__c"] == "a__b__c"
    assert names["a", "_b"] == "a___b"
    assert len(set(names.values())) == 4
