"""Arguments against a schema: what fits, what is mended, what is said about the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from mcp_bridge.arguments import ArgumentCheck, Problem
from mcp_bridge.schemas import measure, normalise


def check(properties: dict[str, Any], **more: Any) -> ArgumentCheck:
    schema, _ = normalise({"properties": properties, **more})
    return ArgumentCheck(schema, measure(schema))


OPTIONAL = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
OBJECT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("declared", "given", "mended"),
    [
        ({"type": "integer"}, "5", 5),
        ({"type": "integer"}, " -5 ", -5),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "number"}, "2", 2),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "False", False),
        ({"type": ["integer", "null"]}, "5", 5),
        (OPTIONAL, "5", 5),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
        ({"type": "array", "items": {"type": "integer"}}, ["1", 2], [1, 2]),
        (OBJECT, '{"n": 1}', {"n": 1}),
        (OBJECT, {"n": "1"}, {"n": 1}),
        (OBJECT, '{"n": "1"}', {"n": 1}),
    ],
)
def test_a_string_that_spells_the_wanted_type_is_mended(
    declared: dict[str, Any], given: Any, mended: Any
) -> None:
    arguments = {"a": given}
    assert check({"a": declared}).problems(arguments, 20) == []
    assert arguments == {"a": mended}
    assert type(arguments["a"]) is type(mended)


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ({"type": "integer"}, "18446744073709551616"),
        (OBJECT, '{"n": 18446744073709551616}'),
        ({"type": "integer"}, "five"),
        ({"type": "integer"}, "5.5"),
        ({"type": "integer"}, "true"),
        ({"type": "integer"}, ""),
        ({"type": "integer"}, "99999999999999999999999"),
        ({"type": "boolean"}, "yes"),
        ({"type": "boolean"}, "1"),
        ({"type": "boolean"}, 1),
        ({"type": "array"}, "1,2"),
        ({"type": "object"}, "[]"),
        ({"type": "string"}, 5),
        ({"type": "null"}, "null"),
    ],
)
def test_nothing_is_guessed(declared: dict[str, Any], given: Any) -> None:
    arguments = {"a": given}
    assert len(check({"a": declared}).problems(arguments, 20)) == 1
    assert arguments == {"a": given}


def test_a_wanted_string_is_never_taken_for_something_else() -> None:
    arguments = {"a": "5", "b": "true"}
    both = {"a": {"type": "string"}, "b": {"type": ["string", "boolean"]}}
    assert check(both).problems(arguments, 20) == []
    assert arguments == {"a": "5", "b": "true"}


@given(st.dictionaries(st.sampled_from("abc"), st.text() | st.integers() | st.booleans()))
def test_arguments_that_fit_are_never_changed(arguments: dict[str, Any]) -> None:
    before = dict(arguments)
    assert (
        check({"a": {}, "b": {"type": ["string", "integer", "boolean"]}}).problems(arguments, 10)
        == []
    )
    assert arguments == before


class Node(BaseModel):
    value: int
    next: Node | None = None


def test_a_recursive_model_may_come_as_text() -> None:
    schema, _ = normalise(
        {
            "$defs": {"Node": Node.model_json_schema()["$defs"]["Node"]},
            "properties": {"node": {"$ref": "#/$defs/Node"}, "n": {"type": "integer"}},
            "required": ["node", "n"],
        }
    )
    cost = measure(schema)
    assert cost.is_recursive
    arguments = {"node": '{"value": 1, "next": {"value": 2}}', "n": "3"}
    assert ArgumentCheck(schema, cost).problems(arguments, 50) == []
    assert arguments == {"node": {"value": 1, "next": {"value": 2}}, "n": 3}


def test_problems_of_a_recursive_model_name_the_argument() -> None:
    schema, _ = normalise(
        {
            "$defs": {"Node": Node.model_json_schema()["$defs"]["Node"]},
            "properties": {"node": {"$ref": "#/$defs/Node"}, "other": {}},
            "required": ["node", "missing"],
        }
    )
    problems = ArgumentCheck(schema, measure(schema)).problems({"node": {"value": "x"}}, 20)
    assert problems == [
        Problem("(root)", '"missing" is a required property'),
        Problem("node", "does not fit its schema"),
    ]


def test_problems_name_the_place() -> None:
    deep = check({"m": {"type": "object", "properties": {"xs": {"items": {"type": "integer"}}}}})
    assert deep.problems({"m": {"xs": [1, "q"]}}, 20) == [
        Problem("m.xs[1]", '"q" is not of type "integer"')
    ]


def test_at_most_five_problems_are_listed() -> None:
    many = check({f"p{i}": {"type": "integer"} for i in range(20)})
    assert len(many.problems({f"p{i}": "x" for i in range(20)}, 200)) == 5


def test_long_values_are_cut() -> None:
    (problem,) = check({"a": {"type": "integer"}}).problems({"a": "x" * 10_000}, 10_000)
    assert len(problem.message) <= 200


def test_what_the_arguments_are_together_is_checked_too() -> None:
    either = check({"a": {}, "b": {}}, oneOf=[{"required": ["a"]}, {"required": ["b"]}])
    assert either.problems({"a": 1}, 10) == []
    assert len(either.problems({"a": 1, "b": 1}, 10)) == 1


def test_the_expected_shape_is_short() -> None:
    declared = {
        "n": {"type": "integer"},
        "o": OPTIONAL,
        "e": {"enum": ["x", "y"]},
        "any": {},
        "yes": True,
    }
    assert check(declared, required=["n"]).expected == (
        '{"n":"integer, required","o":"integer or null, optional",'
        '"e":"any, one of x, y, optional","any":"any, optional","yes":"any, optional"}'
    )
    huge = check({f"parameter{i}": {} for i in range(500)})
    assert len(huge.expected) <= 1500
