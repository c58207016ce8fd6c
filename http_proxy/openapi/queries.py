"""Which functions can be called with a URL alone, and what its parameters are then. Pure."""

from __future__ import annotations

from typing import Any, Final

from http_proxy.openapi.components import Components
from schema.parameters import Schema

_SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})
_NOTES: Final = frozenset({"title", "description", "default", "examples", "deprecated"})
_CHOICES: Final = ("anyOf", "oneOf")
_COMPOSED: Final = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "dependentSchemas"}
)
_MAX_STEPS: Final = 16

Parameters = list[dict[str, Any]]


def takes_nothing(arguments: Schema) -> bool:
    """Whether a prepared schema admits no argument that could be shown."""
    others = _COMPOSED | {"additionalProperties"}
    return not arguments["properties"] and not any(arguments.get(word) for word in others)


def query_parameters(arguments: Schema, components: Components) -> Parameters | None:
    """The parameters of a collected schema; None if a required argument is more than one word or
    number, or is not known by name. Optional ones that are more are left out."""
    if not _COMPOSED.isdisjoint(arguments):
        return None
    required = arguments.get("required", ())
    parameters: Parameters = []
    for name, declared in arguments["properties"].items():
        schema = _scalar(declared, components, _MAX_STEPS)
        if schema is None:
            if name in required:
                return None
            continue
        parameter = {"name": name, "in": "query", "required": name in required, "schema": schema}
        if isinstance(description := schema.pop("description", None), str) and description:
            parameter["description"] = description
        if isinstance(examples := schema.get("examples"), list) and examples:
            parameter["example"] = examples[0]  # which pages fill in
        parameters.append(parameter)
    return parameters


def _scalar(schema: Any, components: Components, steps: int) -> Schema | None:
    """A copy of the schema without null, which a URL cannot hold; None if it is no scalar's."""
    if not isinstance(schema, dict) or steps == 0:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        target = _scalar(components.resolve(reference), components, steps - 1)
        return dict(schema) if target is not None else None
    notes = {key: value for key, value in schema.items() if key in _NOTES}
    if notes.get("default", ...) is None:
        del notes["default"]
    if len(whole := schema.get("allOf", ())) == 1:
        return _with_notes(_scalar(whole[0], components, steps - 1), notes)
    for keyword in _CHOICES:
        if keyword in schema:
            return _choice(keyword, schema[keyword], notes, components, steps)
    if notes.keys() == schema.keys():
        return {"type": ["string", "number"], **notes}
    kinds = _kinds(schema)
    if not kinds or not _SCALARS.issuperset(kinds):
        return None
    rest = {key: value for key, value in schema.items() if key not in _NOTES and key != "type"}
    if "enum" in rest:
        rest["enum"] = [choice for choice in rest["enum"] if choice is not None]
    return {"type": kinds[0] if len(kinds) == 1 else kinds, **rest, **notes}


def _choice(
    keyword: str, branches: list[Any], notes: Schema, components: Components, steps: int
) -> Schema | None:
    kept: list[Schema] = []
    for branch in branches:
        if branch == {"type": "null"}:
            continue
        scalar = _scalar(branch, components, steps - 1)
        if scalar is None:
            return None
        kept.append(scalar)
    if len(kept) == 1:
        return _with_notes(kept[0], notes)
    return {keyword: kept, **notes} if kept else None


def _with_notes(schema: Schema | None, notes: Schema) -> Schema | None:
    return {**schema, **notes} if schema is not None else None


def _kinds(schema: Schema) -> list[str]:
    """The types of the values, without null."""
    declared = schema.get("type")
    if declared is None:
        values = schema.get("enum", [schema["const"]] if "const" in schema else [])
        kinds = list(dict.fromkeys(_kind_of(value) for value in values))
    else:
        kinds = list(declared) if isinstance(declared, list) else [declared]
    return [kind for kind in kinds if kind != "null"]


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "object"
