"""The schemas that a document keeps in ``components``: those of arguments, with what they define
for themselves. Pure.

A function's ``$defs`` belong to it alone, while components have one space of names. A definition
that several functions share, word for word, becomes one component; others of its name get a name
of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from http_proxy.openapi.names import Names, pascal_case
from http_proxy.openapi.schemas import resolve, unescaped
from schema.parameters import Schema, schema_positions

PREFIX: Final = "#/components/schemas/"
_KEYWORDS: Final = ("$defs", "definitions")

_Definition = tuple[str, str]
"""Keyword and name."""


class Components:
    """Collects schemas; ``schemas`` is the section of the document."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas
        self._names = Names(*schemas)
        self._known: dict[bytes, str] = {}

    def add(self, name: str, root: Schema) -> str:
        """Take a prepared schema, which is changed, and its definitions. Returns its component."""
        definitions = {
            (keyword, key): body
            for keyword in _KEYWORDS
            if isinstance(root.get(keyword), dict)
            for key, body in root.pop(keyword).items()
        }
        component = self._names.take(pascal_case(name))
        names: dict[_Definition, str] = {}
        added = {component: root}
        for definition, body in definitions.items():
            content = _content(definition, definitions)
            known = self._known.get(content) if content is not None else None
            if known is None:
                known = self._names.take(definition[1])
                added[known] = body
                if content is not None:
                    self._known[content] = known
            names[definition] = known
        for added_name, schema in added.items():
            _redirect(schema, component, names)
            self.schemas[added_name] = schema
        return component

    def resolve(self, reference: str) -> Any:
        """What a reference in a collected schema stands for."""
        name, _, rest = reference.removeprefix(PREFIX).partition("/")
        return resolve(self.schemas[name], f"/{rest}" if rest else "")


def _content(definition: _Definition, definitions: dict[_Definition, Any]) -> bytes | None:
    """A definition with all that it refers to, in one text; None if it refers to its root."""
    found = {definition: definitions[definition]}
    pending = [definition]
    while pending:
        for reference in _references(found[pending.pop()]):
            target = _target(reference)
            if target not in definitions:
                return None
            if target not in found:
                found[target] = definitions[target]
                pending.append(target)
    told = [(*key, body) for key, body in sorted(found.items(), key=lambda item: item[0])]
    return orjson.dumps([definition, told], option=orjson.OPT_SORT_KEYS)


def _references(schema: Any) -> Iterator[str]:
    for _, node in schema_positions(schema):
        if "$ref" in node:
            yield node["$ref"]
        yield from _mapping(node).values()


def _target(reference: str) -> _Definition:
    steps = [unescaped(step) for step in reference[1:].split("/")[1:3]]
    return (steps[0], steps[1]) if len(steps) == 2 else ("", "")


def _redirect(schema: Any, component: str, names: dict[_Definition, str]) -> None:
    """Make the references of a schema lead to components."""

    def redirected(reference: str) -> str:
        if (target := names.get(_target(reference))) is not None:
            return "/".join([PREFIX + target, *reference.split("/")[3:]])
        return PREFIX + component + reference[1:]

    for _, node in schema_positions(schema):
        if "$ref" in node:
            node["$ref"] = redirected(node["$ref"])
        mapping = _mapping(node)
        mapping.update({key: redirected(reference) for key, reference in mapping.items()})


def _mapping(node: Schema) -> dict[str, str]:
    """The references of a discriminator."""
    discriminator = node.get("discriminator")
    found: dict[str, str] = discriminator.get("mapping", {}) if discriminator else {}
    return found
