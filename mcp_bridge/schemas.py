"""Input schemas: what providers write, made into what clients and the validator can rely on. Pure.

``normalise`` gives the schema that ``tools/list`` shows: a plain JSON copy whose root is an
object, lossless but for the habits of hypha-rpc that ``schema.parameters`` mends and for forms that
only OpenAPI 3.0 has. ``measure``
bounds what validating against it may cost, since anyone may register a schema and anyone may call
with arguments made for it. Nothing here fetches anything; references may only point into the same
schema.

The validator itself is ``arguments``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import orjson

from mcp_bridge import openapi
from schema.parameters import Path, Schema, applied, mend_habits, properties_of, schema_positions

MAX_DEPTH: Final = 64
MAX_SUBSCHEMAS: Final = 2_000
MAX_BYTES: Final = 256 * 1024
MAX_PATTERN: Final = 512
MAX_EXPANDED: Final = 10_000
"""Subschemas after following every reference. Thirty definitions that each refer twice to the
next one are small to send and take a billion steps to validate."""

DIALECTS: Final = (
    "json-schema.org/draft-04/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft/2020-12/schema",
)

WRAPPED: Final = "input"
"""The one argument of a function whose schema is not that of an object."""
_ROOT_ONLY: Final = ("$schema", "$defs", "definitions")

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Refused(Exception):
    """A schema that cannot be offered; the text tells the operator why."""


def normalise(parameters: Mapping[str, Any] | None) -> tuple[Schema, int]:
    """The input schema of a tool, and the bytes it took. Raises Refused."""
    schema, size = normalise_output(parameters or {})
    schema = wrapped(schema, WRAPPED) if is_bare(schema) else {**schema, "type": "object"}
    schema = {"type": "object", **schema}
    if not isinstance(schema.setdefault("properties", {}), dict):
        raise Refused("'properties' must be an object")
    mend_habits(schema)
    return schema, size


def normalise_output(declared: Mapping[str, Any]) -> tuple[Schema, int]:
    """The output schema of a tool, of any JSON value, and the bytes it took. Raises Refused.

    An input schema is this and that of an object besides.
    """
    try:
        data = orjson.dumps(declared, default=_as_dict)
    except TypeError as error:
        raise Refused(f"not JSON: {error}") from None
    if len(data) > MAX_BYTES:
        raise Refused(f"larger than {MAX_BYTES} bytes")
    schema: Schema = orjson.loads(data)
    if data.count(b"{") > MAX_SUBSCHEMAS:  # it may be one; do not go on with it for nothing
        for _ in _counted(schema):
            pass
    _check_dialect(schema)
    openapi.modernise(schema)
    return schema, len(data)


def _counted(schema: Schema) -> Iterator[tuple[Path | None, Schema]]:
    """The positions of a schema. Raises Refused after as many as there may be."""
    for count, position in enumerate(schema_positions(schema)):
        if count >= MAX_SUBSCHEMAS:
            raise Refused(f"more than {MAX_SUBSCHEMAS} subschemas")
        yield position


def is_bare(schema: Mapping[str, Any]) -> bool:
    """Whether the root is not that of an object: arguments are passed by name."""
    kind = schema.get("type", "object")
    return "object" not in (kind if isinstance(kind, list) else (kind,))


def wrapped(schema: Mapping[str, Any], name: str) -> Schema:
    """A schema of any value as that of an object with the one member ``name``."""
    outside = {key: schema[key] for key in _ROOT_ONLY if key in schema}
    inside = {key: value for key, value in schema.items() if key not in _ROOT_ONLY}
    return {**outside, "type": "object", "properties": {name: inside}, "required": [name]}


def _as_dict(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _check_dialect(schema: Schema) -> None:
    dialect = schema.get("$schema")
    if dialect is None:
        return
    if not isinstance(dialect, str) or not dialect.rstrip("#").endswith(DIALECTS):
        raise Refused(f"unknown dialect {dialect!r}")


@dataclass(frozen=True, slots=True)
class Cost:
    """What compiling a schema and validating one instance may take."""

    patterns: int
    expanded: int
    """Subschemas, with each reference counted as what it refers to."""
    is_recursive: bool
    """A reference leads back to where it stands: the cost also grows with the instance's depth."""


@dataclass(slots=True)
class _Measuring:
    root: Schema
    anchors: dict[str, Schema] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    entered: set[int] = field(default_factory=set)
    is_recursive: bool = False

    def size(self, node: Any, depth: int) -> int:
        """Expanded size; 0 for a schema that is being counted further up."""
        if not isinstance(node, dict):
            return 1
        if depth > 2 * MAX_DEPTH:
            raise Refused("references are chained too deeply")
        key = id(node)
        if key in self.entered:
            self.is_recursive = True
            return 0
        if key not in self.sizes:
            self.entered.add(key)
            children = [*self._direct(node), *(t for t in self._targets(node) if t is not None)]
            below = sum(self.size(child, depth + 1) for child in children)
            self.sizes[key] = 1 + below + _slow_choices(node)
            self.entered.discard(key)
        return self.sizes[key]

    def _direct(self, node: Schema) -> Iterator[Any]:
        """Subschemas that are applied; definitions count where they are referred to."""
        for _, child in properties_of(node):
            yield child
        yield from applied({k: v for k, v in node.items() if k not in ("$defs", "definitions")})

    def _targets(self, node: Schema) -> Iterator[Any]:
        for keyword in _REFERENCES:
            if isinstance(reference := node.get(keyword), str):
                yield target_of(self.root, reference, self.anchors)


def target_of(root: Any, reference: str, anchors: Mapping[str, Schema] | None = None) -> Any:
    """What a reference leads to: a pointer into ``root``, or one of its ``anchors``. Raises
    Refused for anything else; nothing is ever fetched."""
    if not reference.startswith("#"):
        raise Refused(f"reference {reference!r} leaves the schema")
    pointer = reference[1:]
    if pointer and not pointer.startswith("/"):
        if pointer not in (anchors or {}):
            raise Refused(f"reference {reference!r} points nowhere")
        return (anchors or {})[pointer]
    target: Any = root
    for part in unquote(pointer).split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        try:
            target = target[int(step)] if isinstance(target, list) else target[step]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Refused(f"reference {reference!r} points nowhere") from None
    return target


def anchors_of(schema: Schema) -> dict[str, Schema]:
    """Subschemas by the name that references may give them."""
    return {
        node[keyword]: node
        for _, node in schema_positions(schema)
        for keyword in ("$anchor", "$dynamicAnchor")
        if isinstance(node.get(keyword), str)
    }


def measure(schema: Schema) -> Cost:
    """The cost of validating against a normalised schema. Raises Refused above the bounds."""
    if _depth(schema) > MAX_DEPTH:
        raise Refused(f"nested more than {MAX_DEPTH} deep")
    measuring = _Measuring(schema)
    patterns = 0
    identifier = "id" if "draft-04" in str(schema.get("$schema")) else "$id"
    for path, node in _counted(schema):
        if path != () and isinstance(node.get(identifier), str):
            # It would change what "#/..." means below it, and the validator would follow another
            # schema than the one counted here.
            raise Refused("a subschema with an identifier of its own")
        patterns += _count_patterns(node)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(anchor := node.get(keyword), str):
                measuring.anchors[anchor] = node
    expanded = measuring.size(schema, 0)
    if expanded > MAX_EXPANDED:
        raise Refused(f"more than {MAX_EXPANDED} subschemas after following references")
    return Cost(patterns, expanded, measuring.is_recursive)


def _count_patterns(node: Schema) -> int:
    patterns = [node["pattern"]] if "pattern" in node else []
    if isinstance(node.get("patternProperties"), dict):
        patterns.extend(node["patternProperties"])
    if any(len(str(pattern)) > MAX_PATTERN for pattern in patterns):
        raise Refused(f"a pattern longer than {MAX_PATTERN} characters")
    return len(patterns)


def _slow_choices(node: Schema) -> int:
    """Values of an ``enum`` that are compared one by one; those of strings are hashed."""
    choices = node.get("enum")
    if not isinstance(choices, list) or all(isinstance(choice, str) for choice in choices):
        return 0
    return len(choices)


def _depth(schema: Schema) -> int:
    depth = 0
    level: list[Any] = [schema]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
    return depth
