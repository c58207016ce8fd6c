"""Schemas in the dialect of OpenAPI 3.0, made JSON Schema in place. Pure.

It looks like JSON Schema and says other things: ``nullable``, exclusive bounds as booleans,
``example``, and members that only a response has. Source: OpenAPI 3.0.3, schema object; 3.1 uses
JSON Schema 2020-12 itself.
"""

from __future__ import annotations

from typing import Any, Final

from schema.parameters import Schema, schema_positions

_OF_DOCUMENTS: Final = ("discriminator", "xml", "externalDocs")
_BOUNDS: Final = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def modernise(schema: Schema) -> None:
    """Rewrite what only OpenAPI 3.0 says. A schema that names its dialect is left alone."""
    if "$schema" in schema:
        return
    for _, node in schema_positions(schema):
        if node.get("nullable") is True:
            _make_nullable(node)
        if isinstance(node.get("nullable"), bool):
            del node["nullable"]
        for exclusive, bound in _BOUNDS:
            if isinstance(node.get(exclusive), bool):
                _make_exclusive(node, exclusive, bound)
        if "example" in node:
            node.setdefault("examples", [node.pop("example")])
        for keyword in _OF_DOCUMENTS:
            node.pop(keyword, None)
        _leave_out_answers(node)


def _make_nullable(node: Schema) -> None:
    kind, choices = node.get("type"), node.get("enum")
    if isinstance(kind, str):
        node["type"] = [kind, "null"]
    elif "$ref" in node:
        node["anyOf"] = [{"$ref": node.pop("$ref")}, {"type": "null"}]
    if isinstance(choices, list) and None not in choices:
        node["enum"] = [*choices, None]


def _make_exclusive(node: Schema, exclusive: str, bound: str) -> None:
    is_exclusive = node.pop(exclusive)
    if is_exclusive and bound in node:
        node[exclusive] = node.pop(bound)


def _leave_out_answers(node: Schema) -> None:
    """Members that are ``readOnly`` are not sent."""
    properties: Any = node.get("properties")
    if not isinstance(properties, dict):
        return
    only_read = [
        name
        for name, child in properties.items()
        if isinstance(child, dict) and child.get("readOnly") is True
    ]
    for name in only_read:
        del properties[name]
    if only_read and isinstance(node.get("required"), list):
        node["required"] = [name for name in node["required"] if name not in only_read]
