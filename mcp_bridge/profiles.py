"""Schemas as clients can read them: ``full``, ``portable`` and ``strict``. Pure.

``full`` is what the provider declared. ``portable`` says it with what weak clients and model
providers understand: no references, no combinators at the root, no null, no keyword outside a
small list. ``strict`` follows the rules of OpenAI's strict mode (every property required, optional
ones nullable, nothing else allowed), or is the portable form where these cannot be met.

Only what is shown changes. Arguments are checked against the full schema, whatever was shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import orjson

from mcp_bridge.revisions import Revision
from mcp_bridge.schemas import Refused, anchors_of, target_of
from mcp_bridge.text import cut
from schema.parameters import Schema

VERSION: Final = 1
"""Of the rules below; lists that were made by other rules have other cursors."""

MAX_RECURSION: Final = 3
"""How often a schema is written into itself before it is cut."""
MAX_NODES: Final = 2_000
"""Subschemas that references may grow to; beyond that they are cut."""

MAX_DEPTH: Final = 40

_FORMATS: Final = frozenset(
    {"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"}
)
_PLAIN: Final = (
    "type", "description", "enum", "default", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems",
    "uniqueItems", "minProperties", "maxProperties", "x-mcp-header",
)  # fmt: skip
_MAX_EXAMPLES: Final = 200


class Profile(Enum):
    """The three forms."""

    FULL = "full"
    PORTABLE = "portable"
    STRICT = "strict"

    @classmethod
    def named(cls, name: object) -> Profile | None:
        return next((profile for profile in cls if profile.value == name), None)

    def shape(self, schema: Schema) -> Schema:
        """The schema in this form."""
        return _SHAPES[self](schema)


def usual_profile(revision: Revision | None) -> Profile:
    """What a client gets that has not said what it wants: older ones were written when schemas were
    simple."""
    is_full = revision is None or revision.has_full_schemas
    return Profile.FULL if is_full else Profile.PORTABLE


def portable(schema: Schema) -> Schema:
    """The portable form of a normalised schema."""
    shaped = _Portable(schema).shape(schema, is_root=True)
    shaped["type"] = "object"
    shaped.setdefault("properties", {})
    return shaped


def strict(schema: Schema) -> Schema:
    """The strict form of a normalised schema, or the portable one."""
    simple = portable(schema)
    try:
        return _closed(simple, is_root=True)
    except _Inexpressible:
        return simple


class _Portable:
    """Rewrites one schema."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._anchors = anchors_of(root)
        self._depth = 0
        self._entered: Counter[str] = Counter()
        self._nodes = 0

    def shape(self, node: Any, *, is_root: bool = False) -> Schema:
        if not isinstance(node, dict):
            return {}
        if self._depth > MAX_DEPTH:
            return {"type": "object"}
        self._nodes += 1
        self._depth += 1
        try:
            if "$ref" in node:
                return self._referred(node, is_root)
            return self._rewritten(node, is_root)
        finally:
            self._depth -= 1

    def _rewritten(self, node: Schema, is_root: bool) -> Schema:
        node = self._merged(node)
        for keyword in ("anyOf", "oneOf"):
            if isinstance(node.get(keyword), list):
                node = self._chosen(node, keyword, is_root)
        shaped: Schema = {key: node[key] for key in _PLAIN if key in node}
        if "const" in node:
            shaped["enum"] = [node["const"]]
        _simplify_type(shaped)
        if shaped.get("default", 0) is None:
            del shaped["default"]
        if node.get("format") in _FORMATS:
            shaped["format"] = node["format"]
        _describe_examples(node, shaped)
        self._members(node, shaped)
        if not is_root and isinstance(node.get("anyOf"), list):
            shaped["anyOf"] = [self.shape(branch) for branch in node["anyOf"]]
        return shaped

    def _referred(self, node: Schema, is_root: bool) -> Schema:
        reference = str(node["$ref"])
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        if self._entered[reference] >= MAX_RECURSION or self._nodes > MAX_NODES:
            return {"type": "object", **{k: v for k, v in siblings.items() if k == "description"}}
        try:
            target = target_of(self._root, reference, self._anchors)
        except Refused:
            target = {}
        self._entered[reference] += 1
        merged = _beside(target, siblings) if isinstance(target, dict) else siblings
        shaped = self.shape(merged, is_root=is_root)
        self._entered[reference] -= 1
        return shaped

    def _merged(self, node: Schema) -> Schema:
        """The node with its ``allOf`` written into it."""
        parts = node.get("allOf")
        if not isinstance(parts, list):
            return node
        whole: Schema = {key: value for key, value in node.items() if key != "allOf"}
        for part in parts:
            shaped = self._opened(part)
            for key, value in shaped.items():
                whole[key] = _joined(key, whole[key], value) if key in whole else value
        return whole

    def _opened(self, part: Any) -> Schema:
        """A part of ``allOf`` as far as it can be written beside others."""
        if isinstance(part, dict) and "$ref" in part and self._nodes <= MAX_NODES:
            reference = str(part["$ref"])
            if self._entered[reference] >= MAX_RECURSION:
                return {}
            self._nodes += 1
            try:
                target = target_of(self._root, reference, self._anchors)
            except Refused:
                return {}
            self._entered[reference] += 1
            opened = self._opened(target)
            self._entered[reference] -= 1
            return {**opened, **{key: value for key, value in part.items() if key != "$ref"}}
        return self._merged(part) if isinstance(part, dict) else {}

    def _chosen(self, node: Schema, keyword: str, is_root: bool) -> Schema:
        """The node with a choice made simpler: without null, and without a choice of one."""
        branches = [branch for branch in node[keyword] if not _is_null(branch)]
        rest = {key: value for key, value in node.items() if key != keyword}
        if len(branches) == 1 and isinstance(branches[0], dict):
            opened = self._opened(branches[0])
            return {**opened, **rest} if "anyOf" not in opened else {**rest, **opened}
        if not is_root:
            return {**rest, "anyOf": branches}
        # At the root: every branch's properties, none of them required by that.
        properties: Schema = {}
        for branch in branches:
            found = self._opened(branch).get("properties")
            properties.update(found if isinstance(found, dict) else {})
        return {**rest, "properties": {**properties, **(rest.get("properties") or {})}}

    def _members(self, node: Schema, shaped: Schema) -> None:
        """Subschemas of objects and lists."""
        properties = node.get("properties")
        if isinstance(properties, dict):
            shaped["properties"] = {
                name: self.shape(child) for name, child in properties.items() if child is not False
            }
            required = node.get("required")
            if isinstance(required, list):
                kept = [
                    name
                    for name in required
                    if name in shaped["properties"] and not self._is_nullable(properties[name])
                ]
                if kept:
                    shaped["required"] = kept
        others = node.get("additionalProperties")
        if isinstance(others, bool):
            shaped["additionalProperties"] = others
        elif isinstance(others, dict):
            shaped["additionalProperties"] = self.shape(others)
        items = node.get("items")
        places = node.get("prefixItems", items if isinstance(items, list) else None)
        if isinstance(places, list):
            shaped["items"] = self._any_of(places)
        elif isinstance(items, dict):
            shaped["items"] = self.shape(items)
        elif shaped.get("type") == "array":
            shaped["items"] = {}

    def _any_of(self, places: list[Any]) -> Schema:
        """One schema for all places of a tuple."""
        shaped = {orjson.dumps(child): child for child in map(self.shape, places)}
        return next(iter(shaped.values()), {}) if len(shaped) < 2 else {"anyOf": [*shaped.values()]}

    def _is_nullable(self, node: Any, depth: int = 0) -> bool:
        if not isinstance(node, dict) or depth > MAX_RECURSION:
            return False
        if "$ref" in node:
            try:
                return self._is_nullable(
                    target_of(self._root, str(node["$ref"]), self._anchors), depth + 1
                )
            except Refused:
                return False
        kind = node.get("type")
        if isinstance(kind, list) and "null" in kind:
            return True
        return any(
            _is_null(branch)
            for keyword in ("anyOf", "oneOf")
            if isinstance(node.get(keyword), list)
            for branch in node[keyword]
        )


def _is_null(branch: object) -> bool:
    return isinstance(branch, dict) and (
        branch.get("type") == "null"
        or branch.get("enum") == [None]
        or branch.get("const", 0) is None
    )


def _simplify_type(shaped: Schema) -> None:
    """One type, or a choice of types; null is left out, also of an ``enum``."""
    kinds = shaped.get("type")
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        del shaped["type"]
        if len(kinds) == 1:
            shaped["type"] = kinds[0]
        elif kinds:
            shaped["anyOf"] = [{"type": kind} for kind in kinds]
    choices = shaped.get("enum")
    if isinstance(choices, list) and None in choices and len(choices) > 1:
        shaped["enum"] = [choice for choice in choices if choice is not None]


def _describe_examples(node: Schema, shaped: Schema) -> None:
    examples = node.get("examples")
    if isinstance(examples, list) and examples:
        text = cut(", ".join(orjson.dumps(each).decode() for each in examples[:3]), _MAX_EXAMPLES)
        described = str(shaped.get("description") or "").strip()
        shaped["description"] = f"{described} (for example {text})".strip()


def _beside(target: Schema, siblings: Schema) -> Schema:
    """What a reference leads to, with what stands beside the reference."""
    beside = {
        key: _joined(key, value, target[key]) if key in target else value
        for key, value in siblings.items()
    }
    return {**target, **beside}


def _joined(key: str, first: Any, second: Any) -> Any:
    """What two parts of ``allOf`` say under the same keyword, as far as one schema can say it."""
    if key == "properties" and isinstance(first, dict) and isinstance(second, dict):
        return {**second, **first}
    if key == "required" and isinstance(first, list) and isinstance(second, list):
        return list(dict.fromkeys([*first, *second]))
    return first


class _Inexpressible(Exception):
    """Strict mode cannot say this."""


def _closed(node: Schema, *, is_root: bool = False) -> Schema:
    """A portable schema with every object closed. Raises _Inexpressible."""
    closed = {key: value for key, value in node.items() if key not in ("default", "x-mcp-header")}
    if isinstance(branches := node.get("anyOf"), list):
        closed["anyOf"] = [_closed(branch) for branch in branches]
        return closed
    kind = node.get("type")
    if kind is None and "enum" not in node:
        raise _Inexpressible
    if kind == "array":
        closed["items"] = _closed(node["items"])
    if kind == "object":
        properties = node.get("properties") or {}
        if node.get("additionalProperties") not in (None, False) or not (properties or is_root):
            raise _Inexpressible
        needed = node.get("required", ())
        closed["properties"] = {
            name: _closed(child) if name in needed else _nullable(_closed(child))
            for name, child in properties.items()
        }
        closed["required"] = list(properties)
        closed["additionalProperties"] = False
    return closed


def _nullable(node: Schema) -> Schema:
    if "anyOf" in node:
        return {**node, "anyOf": [*node["anyOf"], {"type": "null"}]}
    nullable = dict(node)
    if "type" in node:
        nullable["type"] = [node["type"], "null"]
    if "enum" in node:
        nullable["enum"] = [*node["enum"], None]
    return nullable


_SHAPES: Final[Mapping[Profile, Callable[[Schema], Schema]]] = {
    Profile.FULL: lambda schema: schema,
    Profile.PORTABLE: portable,
    Profile.STRICT: strict,
}
