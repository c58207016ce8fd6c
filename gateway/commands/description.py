"""A service in lines of text: its functions, what they take and what they return."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schema.functions import INTERACTION


def function_lines(node: Any, prefix: str = "") -> Iterator[str]:
    """The functions of a service schema, those of nested groups too, with dots in their names."""
    if not isinstance(node, dict):
        return
    for key, child in node.items():
        path = f"{prefix}{key}"
        if isinstance(child, dict) and child.get("type") == "function":
            yield from _function(path, child.get("function") or {})
        else:
            yield from function_lines(child, f"{path}.")


def _function(path: str, declared: Mapping[str, Any]) -> Iterator[str]:
    schema = declared.get("parameters") or {}
    parameters = {k: v for k, v in (schema.get("properties") or {}).items() if k != INTERACTION}
    text = str(declared.get("description") or "").strip().partition("\n")[0]
    yield f"{path}({', '.join(parameters)})  {text}".rstrip()
    needed = schema.get("required") or ()
    yield from _aligned(
        [(name, *_parameter(value, name in needed)) for name, value in parameters.items()]
    )
    returned = declared.get("returns") or declared.get("outputSchema")
    if isinstance(returned, dict):
        told = str(returned.get("description") or "")
        yield f"    returns {type_name(returned)}  {told}".rstrip()


def _parameter(schema: Any, needed: bool) -> tuple[str, str, str]:
    schema = schema if isinstance(schema, dict) else {}
    if needed:
        presence = "required"
    elif schema.get("default") is not None:
        presence = f"default {json.dumps(schema['default'], ensure_ascii=False)}"
    else:
        presence = "optional"
    return type_name(schema), presence, " ".join(str(schema.get("description") or "").split())


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"    {'  '.join(cells)}".rstrip()


def type_name(schema: Any) -> str:
    """A JSON Schema in a few words: ``integer | null``, ``array of string``, ``"a" | "b"``."""
    if not isinstance(schema, dict):
        return "any"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(choices, list):
        return " | ".join(dict.fromkeys(map(type_name, choices)))
    if isinstance(values := schema.get("enum"), list):
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    declared = schema.get("type")
    if isinstance(declared, list):
        return " | ".join(map(str, declared))
    if declared == "array" and "items" in schema:
        return f"array of {type_name(schema['items'])}"
    return str(declared or ("object" if "$ref" in schema else "any"))
