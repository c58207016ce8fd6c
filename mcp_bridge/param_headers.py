"""Arguments mirrored in headers: ``x-mcp-header`` in an input schema, ``Mcp-Param-*`` in a call.

A schema may ask clients to repeat an argument as a header, so that intermediaries can route on it
without reading the body. We read the body, so header and argument must agree (revision
2026-07-28, Streamable HTTP, custom headers). Pure; the annotation never changes the argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_bridge.errors import HEADER_MISMATCH, Failure
from mcp_bridge.headers import PARAM_PREFIX, decoded, encoded
from mcp_bridge.schemas import Refused
from schema.parameters import schema_positions

ANNOTATION: Final = "x-mcp-header"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_INTEGER = re.compile(r"(-?[0-9]{1,20})(\.0+)?")
_TYPES = frozenset({"string", "integer", "boolean"})
"""A number is left out on purpose: its text differs between languages."""


@dataclass(frozen=True, slots=True)
class ParamHeader:
    """One annotated property."""

    path: tuple[str, ...]
    header: bytes
    type: str

    def mismatch(self, arguments: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str | None:
        """How header and argument disagree, or None. Null counts as absent."""
        value = _at(arguments, self.path)
        raw = headers.get(self.header)
        name = self.header.decode()
        if value is None or not isinstance(value, str | int | float):
            return f"{name} is present, its argument is not" if raw is not None else None
        if raw is None:
            return f"{name} is missing, its argument is present"
        text = decoded(raw)
        if text is None or not self._equal(value, text):
            return f"{name} differs from its argument"
        return None

    def text(self, arguments: Mapping[str, Any]) -> str | None:
        """The value of the header for these arguments; None if it must be absent."""
        value = _at(arguments, self.path)
        if isinstance(value, bool):
            return "true" if value else "false"
        if self.type == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)
        return encoded(str(value)) if isinstance(value, str | int) else None

    def _equal(self, value: str | float, text: str) -> bool:
        if isinstance(value, bool):
            return text == ("true" if value else "false")
        if self.type == "integer" and not isinstance(value, str) and value == int(value):
            match = _INTEGER.fullmatch(text)
            return match is not None and int(match[1]) == int(value)
        return text == str(value)


def find(schema: Mapping[str, Any]) -> tuple[ParamHeader, ...]:
    """The annotated properties of an input schema.

    Raises Refused for an annotation a client must not follow: off the chain of plain
    ``properties``, not a header token, on another type, or twice the same header.
    """
    found: dict[bytes, ParamHeader] = {}
    for path, node in schema_positions(schema):
        if ANNOTATION not in node:
            continue
        token, type_ = node[ANNOTATION], node.get("type")
        if not path:
            raise Refused(f"{ANNOTATION} is only possible on a plain property")
        where = ".".join(path)
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Refused(f"{ANNOTATION} of {where} is not a header name")
        if type_ not in _TYPES:
            raise Refused(f"{ANNOTATION} of {where} needs type string, integer or boolean")
        header = PARAM_PREFIX + token.lower().encode()
        if header in found:
            raise Refused(f"{ANNOTATION} of {where} is already in use")
        found[header] = ParamHeader(path, header, str(type_))
    return tuple(found.values())


def check(
    expected: tuple[ParamHeader, ...],
    arguments: Mapping[str, Any],
    headers: Mapping[bytes, bytes],
) -> Failure | None:
    """The first disagreement between a call's headers and its arguments, or None."""
    for param in expected:
        problem = param.mismatch(arguments, headers)
        if problem is not None:
            return Failure(HEADER_MISMATCH, problem)
    return None


def _at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    node: Any = arguments
    for key in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node
