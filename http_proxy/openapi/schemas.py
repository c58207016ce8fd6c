"""What a provider declared about the arguments of a function, made fit for a document. Pure.

A document is valid or not as a whole, so a schema that would spoil it is refused with a reason,
and its function is documented without. Nothing is fetched: references stay inside the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs
import orjson

from http_proxy.arguments import NEVER_PASSED_ON
from schema.parameters import Schema, mend_habits, schema_positions

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
MAX_SUBSCHEMAS: Final = 2_000

_ELSEWHERE: Final = frozenset(
    {"$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef"}
)
"""Keywords that would mean something else in a document of many schemas."""
_DROPPED: Final = ("$schema", "$vocabulary", "$comment", "xml", "externalDocs")
"""Of no use to a reader, or with a form of its own in OpenAPI."""


class Undescribable(Exception):
    """The arguments cannot be shown; the text says why."""


def prepared(parameters: Mapping[str, Any] | None) -> tuple[Schema, int]:
    """A copy whose root is an object with ``properties``, valid JSON Schema 2020-12, and the
    bytes it took. Raises Undescribable."""
    if parameters is None:
        raise Undescribable("their provider did not describe them")
    schema, size = _copy(parameters)
    schema.pop("$id", None)
    kind = schema.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise Undescribable("their schema is not that of an object")
    schema["type"] = "object"
    if not isinstance(schema.setdefault("properties", {}), dict):
        raise Undescribable("'properties' is not an object")
    mend_habits(schema)
    for name in NEVER_PASSED_ON:
        schema["properties"].pop(name, None)
    _check(schema)
    if not jsonschema_rs.meta.is_valid(schema):
        raise Undescribable("their schema is not valid JSON Schema 2020-12")
    return schema, size


def resolve(root: Any, pointer: str) -> Any:
    """What a JSON pointer in a URI fragment (RFC 6901 section 6) leads to. Raises Undescribable."""
    target = root
    for part in pointer.split("/")[1:]:
        step = unescaped(part)
        try:
            target = target[int(step)] if isinstance(target, list) else target[step]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Undescribable("a reference points nowhere") from None
    return target


def unescaped(part: str) -> str:
    """One step of such a pointer."""
    return unquote(part).replace("~1", "/").replace("~0", "~")


def _copy(parameters: Mapping[str, Any]) -> tuple[Schema, int]:
    try:
        data = orjson.dumps(parameters, default=_as_dict)
    except TypeError:
        raise Undescribable("their schema is not JSON") from None
    if len(data) > MAX_BYTES:
        raise Undescribable(f"their schema is larger than {MAX_BYTES} bytes")
    return orjson.loads(data), len(data)


def _as_dict(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _check(schema: Schema) -> None:
    if _is_deep(schema):
        raise Undescribable(f"their schema nests more than {MAX_DEPTH} deep")
    for count, (_, node) in enumerate(schema_positions(schema)):
        if count >= MAX_SUBSCHEMAS:
            raise Undescribable(f"their schema has more than {MAX_SUBSCHEMAS} parts")
        if "$id" in node or not _ELSEWHERE.isdisjoint(node):
            raise Undescribable("their schema identifies its parts")
        for keyword in _DROPPED:
            node.pop(keyword, None)
        if "$ref" in node:
            _check_reference(schema, node["$ref"])
        _mend_discriminator(schema, node)


def _check_reference(schema: Schema, reference: object) -> None:
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise Undescribable("a reference leaves their schema")
    if reference in ("#/$defs", "#/definitions"):
        raise Undescribable("a reference points nowhere")
    if not isinstance(resolve(schema, reference[1:]), dict | bool):
        raise Undescribable("a reference points nowhere")


def _mend_discriminator(schema: Schema, node: Schema) -> None:
    """Keep the OpenAPI keyword, which pydantic writes, where it has the form of OpenAPI."""
    discriminator = node.get("discriminator")
    if discriminator is None:
        return
    try:
        mapping = discriminator.get("mapping", {})
        for reference in mapping.values():
            _check_reference(schema, reference)
        is_sound = isinstance(discriminator["propertyName"], str)
    except (AttributeError, KeyError, TypeError, Undescribable):
        is_sound = False
    if not is_sound or ("oneOf" not in node and "anyOf" not in node):
        del node["discriminator"]


def _is_deep(schema: Schema) -> bool:
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
