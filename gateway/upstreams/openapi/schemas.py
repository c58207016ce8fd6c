"""Schemas of an OpenAPI document as JSON Schema 2020-12 that stands by itself. Pure.

What a schema refers to comes along under ``$defs``, so that recursive ones stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.upstreams.openapi.document import BadDocument, Document

MAX_DEPTH: Final = 64
MAX_NODES: Final = 20_000

_NO_SCHEMA: Final = ("xml", "externalDocs", "discriminator", "example", "nullable", "readOnly")
_MAPS: Final = ("properties", "patternProperties", "$defs", "dependentSchemas", "definitions")
_DATA: Final = ("default", "enum", "const", "examples")
_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")


class Schemas:
    """Converts the schemas of one operation; ``definitions`` collects what they refer to."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._names: dict[str, str] = {}
        self._nodes = 0
        self.definitions: dict[str, Any] = {}

    def convert(self, schema: Any, depth: int = 0) -> Any:
        """A schema as JSON Schema. Raises BadDocument."""
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise BadDocument("A schema in the document is too large")
        if not isinstance(schema, Mapping):
            return schema if isinstance(schema, bool) else {}
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema, depth)
        converted = {
            key: self._member(key, value, depth)
            for key, value in schema.items()
            if key not in _NO_SCHEMA and not key.startswith("x-")
        }
        if "example" in schema and "examples" not in converted:
            converted["examples"] = [schema["example"]]
        if self._document.has_old_schemas:
            _modernise(converted, nullable=schema.get("nullable") is True)
        _binary(converted)
        return converted

    def _member(self, key: str, value: Any, depth: int) -> Any:
        if key in _DATA:
            return value
        if key in _MAPS and isinstance(value, Mapping):
            return {
                name: self.convert(child, depth + 1)
                for name, child in value.items()
                if not (isinstance(child, Mapping) and child.get("readOnly") is True)
            }
        if key == "required" and isinstance(value, list):
            return value
        if isinstance(value, Mapping):
            return self.convert(value, depth + 1)
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            return [self.convert(item, depth + 1) for item in value]
        return value

    def _reference(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        reference = schema["$ref"]
        name = self._names.get(reference)
        if name is None:
            target = self._document.at(reference)
            name = self._names[reference] = self._name_of(reference)
            self.definitions[name] = {}  # so that a recursive one finds itself
            self.definitions[name] = self.convert(target, depth + 1)
        beside = {
            key: self._member(key, value, depth)
            for key, value in schema.items()
            if key in ("description", "default", "title")
        }
        return {"$ref": f"#/$defs/{name}", **beside}

    def _name_of(self, reference: str) -> str:
        plain = _NAME.sub("_", reference.rpartition("/")[2]) or "schema"
        name, count = plain, 1
        while name in self.definitions:
            count += 1
            name = f"{plain}_{count}"
        return name


def _modernise(schema: dict[str, Any], *, nullable: bool) -> None:
    """From the dialect of OpenAPI 3.0 (its sections 4.7.24 and 4.7.24.1)."""
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(bound) is True and limit in schema:
            schema[bound] = schema.pop(limit)
        elif isinstance(schema.get(bound), bool):
            del schema[bound]
    if nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]


def _binary(schema: dict[str, Any]) -> None:
    """Bytes travel as base64 in JSON."""
    if schema.get("type") == "string" and (
        schema.get("format") == "binary" or "contentMediaType" in schema
    ):
        schema.pop("format", None)
        schema.pop("contentMediaType", None)
        schema["contentEncoding"] = "base64"


def required_of(schema: Mapping[str, Any]) -> list[str]:
    """Names that an object must have, of those that may be sent."""
    required, properties = schema.get("required"), schema.get("properties")
    if not isinstance(required, list) or not isinstance(properties, Mapping):
        return []
    return [name for name in required if name in properties]
