"""Whose fault it is that a function failed. Pure.

Arguments are not checked before a call: by contract the function is the judge of what it takes,
and many take more than they declare. But where one fails on arguments of other types than it
declared, the caller is told that, and not that the server has an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from http_proxy.arguments import Arguments
from http_proxy.errors import STATUS, status_of
from schema.errors import GatewayError, InvalidArguments, ServiceError
from schema.functions import FunctionInfo
from schema.parameters import Schema, mend_habits
from schema.values import rtype


def judged(
    error: ServiceError, function: FunctionInfo | None, arguments: Arguments
) -> GatewayError:
    """The error to tell the caller: this one, or InvalidArguments with its text in it."""
    if function is None or status_of(error) != STATUS[ServiceError]:
        return error
    listed = zip(function.parameter_names, arguments.positional, strict=False)
    declared = _properties(function.parameters)
    for name, value in (*listed, *arguments.named.items()):
        expected = _declared_types(declared.get(name))
        if expected and expected.isdisjoint(_types_of(value)):
            told = f"argument {name!r} has to be {' or '.join(sorted(expected))}"
            return InvalidArguments(f"{error.wire_text()} ({told})", data={"path": name})
    return error


def _properties(parameters: Mapping[str, Any] | None) -> Schema:
    properties = (parameters or {}).get("properties")
    if not isinstance(properties, Mapping):
        return {}
    mended: Schema = {
        "properties": {
            name: dict(declared)
            for name, declared in properties.items()
            if isinstance(declared, Mapping)
        }
    }
    mend_habits(mended)
    found: Schema = mended["properties"]
    return found


def _declared_types(schema: object) -> set[str]:
    """The types that a schema names; none if it admits others too, or says it in another way."""
    if not isinstance(schema, Mapping):
        return set()
    if "type" not in schema and isinstance(branches := schema.get("anyOf"), list):
        found = [_named_types(branch) for branch in branches]
        return set().union(*found) if all(found) else set()
    return _named_types(schema)


def _named_types(schema: object) -> set[str]:
    declared = schema.get("type") if isinstance(schema, Mapping) else None
    names = declared if isinstance(declared, list) else [declared]
    return {name for name in names if isinstance(name, str)}


def _types_of(value: object) -> set[str]:
    """The names that JSON Schema has for a value; all of them for one that JSON does not know."""
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    if isinstance(value, float):
        return {"integer", "number"} if value.is_integer() else {"number"}
    if isinstance(value, str):
        return {"string"}
    if isinstance(value, list):
        return {"array"}
    if isinstance(value, dict) and rtype(value) is None:
        return {"object"}
    return _ALL


_ALL = {"array", "boolean", "integer", "null", "number", "object", "string"}
