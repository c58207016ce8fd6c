"""Forms of schemas: goldens for what generators write, and no schema that takes long."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field

from mcp_bridge.arguments import ArgumentCheck
from mcp_bridge.profiles import Profile, portable, strict
from mcp_bridge.schemas import measure, normalise
from tests.patience import cpu_seconds


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: float
    y: float = Field(0.0, ge=0)


class Shape(BaseModel):
    """Arguments as pydantic writes them."""

    name: str
    origin: Point
    colour: Colour = Colour.RED
    label: str | None = None
    kind: Literal["circle"] = "circle"
    pair: tuple[int, str] = (1, "a")


class Node(BaseModel):
    value: int
    children: list[Node] = []


ZOD = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "from": {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}},
        "to": {"$ref": "#/properties/from"},
        "count": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
    },
    "required": ["from", "to"],
    "additionalProperties": False,
}
OPENAPI_30 = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "name": {"type": "string", "nullable": True, "example": "Ada"},
        "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
    },
    "required": ["id", "name"],
}


def normal(schema: dict[str, Any]) -> dict[str, Any]:
    return normalise(schema)[0]


def keywords(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(keywords, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = set(node)
    for key, value in node.items():
        children = value.values() if key == "properties" else [value]
        found |= set().union(*map(keywords, children)) if children else set()
    return found


def test_a_pydantic_model_in_portable_form() -> None:
    shaped = portable(normal(Shape.model_json_schema()))
    assert shaped["properties"] == {
        "name": {"type": "string"},
        "origin": {
            "type": "object",
            "properties": {
                "x": {"type": "number"},
                "y": {"type": "number", "default": 0.0, "minimum": 0},
            },
            "required": ["x"],
        },
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "label": {"type": "string"},
        "kind": {"type": "string", "enum": ["circle"], "default": "circle"},
        "pair": {
            "type": "array",
            "default": [1, "a"],
            "maxItems": 2,
            "minItems": 2,
            "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
    }
    assert shaped["required"] == ["name", "origin"]


def test_a_pydantic_model_in_strict_form() -> None:
    shaped = strict(normal(Shape.model_json_schema()))
    assert shaped["additionalProperties"] is False
    assert shaped["required"] == list(shaped["properties"])
    assert shaped["properties"]["label"] == {"type": ["string", "null"]}
    assert shaped["properties"]["colour"]["enum"] == ["red", "blue", None]


def test_what_fits_the_strict_form_is_taken() -> None:
    full = normal(Shape.model_json_schema())
    given = {"name": "a", "origin": {"x": 1, "y": None}, "colour": None, "pair": None}
    assert jsonschema_rs.is_valid(strict(full), {**given, "label": None, "kind": None})
    assert ArgumentCheck(full, measure(full)).problems(given, 100) == []
    assert given == {"name": "a", "origin": {"x": 1}}


def test_a_recursive_model_is_written_out_three_times_and_cut() -> None:
    shaped = portable(normal(Node.model_json_schema()))
    assert not keywords(shaped) & {"$ref", "$defs"}
    depth, node = 0, shaped
    while "children" in node.get("properties", {}):
        depth, node = depth + 1, node["properties"]["children"]["items"]
    assert node == {"type": "object"}
    assert 3 <= depth <= 4
    assert strict(normal(Node.model_json_schema())) == shaped


def test_a_zod_schema_in_portable_form() -> None:
    end = {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}}
    assert portable(normal(ZOD)) == {
        "type": "object",
        "properties": {
            "from": end,
            "to": end,
            "count": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
        },
        "required": ["from", "to"],
        "additionalProperties": False,
    }


def test_openapi_30_becomes_json_schema() -> None:
    full = normal(OPENAPI_30)
    assert full == {
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"], "examples": ["Ada"]},
            "age": {"type": "integer", "exclusiveMinimum": 0},
        },
        "required": ["name"],
    }
    assert portable(full)["properties"]["name"] == {
        "type": "string",
        "description": '(for example "Ada")',
    }
    assert "required" not in portable(full)


def test_openapi_31_is_kept() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}},
        "$defs": {"b": {"const": 1}},
    }
    assert normal(schema) == schema


def test_combinators_at_the_root_are_gone() -> None:
    schema = {
        "allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}],
        "anyOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}, {}],
        "if": {"required": ["b"]},
        "then": {"required": ["a"]},
    }
    shaped = portable(normal(schema))
    assert set(shaped) <= {"type", "properties", "required"}
    assert set(shaped["properties"]) == {"a", "b"}
    assert shaped["required"] == ["a"]


def test_data_is_never_touched() -> None:
    data = {"$ref": "#/nowhere", "title": "kept", "const": 1}
    schema = {"properties": {"title": {"type": "object", "default": data, "enum": [data]}}}
    shaped = portable(normal(schema))["properties"]["title"]
    assert (shaped["default"], shaped["enum"]) == (data, [data])


def wide_definitions() -> dict[str, Any]:
    """Thirteen definitions that refer twice to the next: some 8,000 subschemas, written out."""
    definitions: dict[str, Any] = {
        f"d{i}": {"properties": {side: {"$ref": f"#/$defs/d{i + 1}"} for side in ("a", "b")}}
        for i in range(12)
    }
    definitions["d12"] = {"type": "string"}
    return {"$defs": definitions, "properties": {"top": {"$ref": "#/$defs/d0"}}}


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(wide_definitions(), id="definitions that double"),
        pytest.param(
            {"properties": {f"p{i}": {"anyOf": [{"type": "null"}, {}]} for i in range(600)}},
            id="many choices",
        ),
        pytest.param(
            {
                "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}},
                "properties": {"a": {"$ref": "#/$defs/a"}},
            },
            id="a definition of itself",
        ),
    ],
)
def test_no_schema_takes_long(profile: Profile, schema: dict[str, Any]) -> None:
    full = normal(schema)
    assert cpu_seconds(lambda: profile.shape(full)) < 0.05
    shaped = profile.shape(full)
    assert jsonschema_rs.meta.is_valid(shaped)
