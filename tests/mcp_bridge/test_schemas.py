"""Input schemas: what is mended, what is kept, what is refused, and that nothing takes long."""

from __future__ import annotations

from typing import Any

import pytest
from hypha_rpc.rpc import _get_schema
from hypha_rpc.utils.schema import schema_function

from mcp_bridge.arguments import ArgumentCheck
from mcp_bridge.schemas import Refused, measure, normalise
from mcp_bridge.tools import build
from schema.functions import FunctionInfo, iter_functions
from tests.patience import cpu_seconds

STRING = {"type": "string"}


def compiled(schema: dict[str, Any]) -> ArgumentCheck:
    normal, _ = normalise(schema)
    return ArgumentCheck(normal, measure(normal))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"properties": {"a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        ({"type": ["object", "null"]}, {"type": "object", "properties": {}}),
    ],
)
def test_the_root_is_always_an_object(parameters: Any, expected: Any) -> None:
    assert normalise(parameters)[0] == expected


LOSSLESS = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addr", "type": "object", "properties": {"street": STRING}}},
    "properties": {
        "name": {"type": "string", "description": "Full name", "title": "Name"},
        "address": {"$ref": "#/$defs/address"},
        "by_anchor": {"$ref": "#addr"},
        "choice": {"anyOf": [STRING, {"type": "null"}], "default": None},
    },
    "allOf": [{"anyOf": [{"required": ["name"]}, {"required": ["address"]}]}],
    "if": {"properties": {"name": {"const": "x"}}},
    "then": {"required": ["address"]},
    "else": {"required": ["name"]},
    "additionalProperties": False,
}


def test_every_keyword_is_kept() -> None:
    schema, _ = normalise(LOSSLESS)
    assert schema == LOSSLESS
    assert compiled(LOSSLESS).problems({"name": "y"}, 10) == []


def test_the_provider_keeps_its_own_schema() -> None:
    given = {"properties": {"a": {"type": "string", "description": ""}}}
    normalise(given)
    assert given == {"properties": {"a": {"type": "string", "description": ""}}}


def test_what_hypha_rpc_guesses_for_undecorated_functions_is_mended() -> None:
    def plain(a: Any, b: Any, c: Any = "x", *args: Any, **kwargs: Any) -> None:
        """Do it."""

    # As if written without the postponed annotations of this file, which hypha-rpc cannot read.
    plain.__annotations__ = {"b": int}

    @schema_function
    def described(a: int, context: Any = None) -> None:
        """Do it."""

    service = _get_schema({"plain": plain, "described": described}, skip_context=True)
    found = {f.path: normalise(f.parameters)[0] for f in iter_functions(service)}
    assert found["plain"]["properties"] == {
        "a": {},
        "b": {"type": "integer", "description": ""},
        "c": {},
    }
    assert found["plain"]["required"] == ["a", "b"]
    assert list(found["described"]["properties"]) == ["a"]


def test_context_is_not_asked_of_the_model() -> None:
    schema, _ = normalise({"properties": {"a": {}}, "required": ["a", "context"]})
    assert schema["required"] == ["a"]
    declared, _ = normalise({"properties": {"context": {}}, "required": ["context"]})
    assert declared["required"] == ["context"]


def test_python_type_names_are_understood() -> None:
    names = ["str", "int", "float", "bool", "list", "dict"]
    schema, _ = normalise({"properties": {name: {"type": name} for name in names}})
    types = [declared["type"] for declared in schema["properties"].values()]
    assert types == ["string", "integer", "number", "boolean", "array", "object"]


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def doubling(levels: int, applicator: str = "anyOf") -> dict[str, Any]:
    """Small to send; takes two to the power of ``levels`` steps to follow."""
    definitions: dict[str, Any] = {
        f"d{i}": {applicator: [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)
    }
    definitions[f"d{levels}"] = {"type": "integer"}
    return {"$defs": definitions, "properties": {"a": {"$ref": "#/$defs/d0"}}}


def chain(length: int) -> dict[str, Any]:
    definitions = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(length)}
    return {"$defs": {**definitions, f"d{length}": {}}, "properties": {"a": {"$ref": "#/$defs/d0"}}}


REFUSED = {
    "properties that are no object": {"properties": []},
    "an unknown dialect": {"$schema": "http://127.0.0.1:1/my-schema"},
    "a remote reference": {"properties": {"a": {"$ref": "http://127.0.0.1:1/a.json"}}},
    "a file reference": {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
    "a relative reference": {"$id": "http://127.0.0.1:1/", "properties": {"a": {"$ref": "b"}}},
    "a reference to nothing": {"properties": {"a": {"$ref": "#/$defs/nothing"}}},
    "an anchor that is nowhere": {"properties": {"a": {"$ref": "#nothing"}}},
    "a second identifier": {"properties": {"a": {"$id": "http://127.0.0.1:1/a"}}},
    "bytes": {"properties": {"a": {"default": b"x"}}},
    "an unknown type": {"properties": {"a": {"type": "integr"}}},
    "a broken pattern": {"properties": {"a": {"pattern": "("}}},
    "a long pattern": {"properties": {"a": {"pattern": "a" * 513}}},
    "a pattern that is large when compiled": {"properties": {"a": {"pattern": "(a{300}){300}"}}},
    "a long property pattern": {"patternProperties": {"a" * 513: {}}},
    "5,000 subschemas": {"properties": {f"p{i}": STRING for i in range(5000)}},
    "5,000 branches": {"properties": {"a": {"anyOf": [{"minLength": i} for i in range(5000)]}}},
    "300 KiB": {"description": "x" * 300 * 1024},
    "deep nesting": nested(65),
    "very deep nesting": nested(300),
    "doubling references": doubling(30),
    "doubling references under allOf": doubling(30, "allOf"),
    "a long chain of references": chain(1500),
}


@pytest.mark.parametrize("schema", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_offered_safely_is_refused_quickly(schema: dict[str, Any]) -> None:
    def refuse() -> None:
        with pytest.raises(Refused):
            compiled(schema)

    assert cpu_seconds(refuse) < 0.05


TREE = {
    "$defs": {
        "node": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"c": {"$ref": "#/$defs/node"}},
                    "required": [name],
                }
                for name in ("x", "y")
            ]
        }
    },
    "properties": {"root": {"$ref": "#/$defs/node"}},
}


def tree(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"z": 1}
    for _ in range(depth):
        node = {"c": node, "x": 1, "y": 1}
    return {"root": node}


COSTLY = {
    "a backtracking pattern": (
        {"properties": {"a": {"type": "string", "pattern": "^((a|aa)+)+(?!x)$"}}},
        {"a": "a" * 5000 + "!"},
    ),
    "a pattern that is costly elsewhere": (
        {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
        {"a": "a" * 100_000 + "!"},
    ),
    "branching recursion": (TREE, tree(100)),
    "a recursion without end": ({"allOf": [{"$ref": "#"}], "required": ["a"]}, {}),
    "many wrong items": (
        {"properties": {"a": {"type": "array", "items": {"type": "integer"}}}},
        {"a": ["x"] * 300_000},
    ),
    "wrong items with many branches": (
        {
            "properties": {
                "a": {"type": "array", "items": {"anyOf": [{"const": i} for i in range(500)]}}
            }
        },
        {"a": ["x"] * 5_000},
    ),
    "deep arguments": (TREE, tree(900)),
}


@pytest.mark.parametrize(("schema", "arguments"), COSTLY.values(), ids=COSTLY.keys())
def test_wrong_arguments_are_explained_in_bounded_time(
    schema: dict[str, Any], arguments: dict[str, Any]
) -> None:
    check = compiled(schema)
    problems = check.problems(arguments, 100)
    assert cpu_seconds(lambda: check.problems(arguments, 100)) < 1
    assert 1 <= len(problems) <= 5
    assert all(len(str(problem)) < 300 for problem in problems)


def test_arguments_too_costly_to_check_are_left_to_the_function() -> None:
    choices = [{"value": i} for i in range(5_000)]
    check = compiled({"properties": {"a": {"items": {"enum": choices}}}})
    given = {"a": ["x"] * 100_000}
    assert check.problems(given, 400_000) == []
    assert cpu_seconds(lambda: check.problems(given, 400_000)) < 0.1


def test_no_service_keeps_the_gateway_busy_with_its_schemas() -> None:
    costly = {f"p{i}": {"pattern": f"(a{{10}}){{{10 + i}}}"} for i in range(90)}
    functions = [
        FunctionInfo(f"f{n}", "", {"type": "object", "properties": costly}, {}) for n in range(200)
    ]
    table = build(functions)
    assert cpu_seconds(lambda: build(functions)) < 5
    assert 10 < len(table.tools) < 50
    assert len(table.tools) + len(table.omitted) == 200
