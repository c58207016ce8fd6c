"""From the functions of a service to the table of its tools. Pure.

A function that cannot be offered safely is left out with a reason, so that one bad schema never
costs a client the others. Nothing is known here about revisions or requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from mcp_bridge import content, param_headers, schemas
from mcp_bridge.arguments import ArgumentCheck
from mcp_bridge.names import names_of
from mcp_bridge.options import MAX_RESULT_CHARS, MAX_RESULT_KEY, is_limit
from mcp_bridge.origins import OWN, Origin
from mcp_bridge.outputs import OutputCheck
from mcp_bridge.param_headers import ParamHeader
from mcp_bridge.profiles import Profile, portable
from mcp_bridge.text import cut, encodable
from schema.functions import OWN_DEFAULTS, FunctionInfo
from schema.parameters import Schema

MAX_DESCRIPTION: Final = 2_000
"""Clients cut longer ones, at a place of their own choosing."""

MAX_TITLE: Final = 200
_TAG: Final = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]{0,200})?/?>")
"""HTML in a description is for another reader."""

MAX_SCHEMA_BYTES: Final = 4 * 1024 * 1024
"""Of all tools of a service together. Nothing else is served while they are compiled."""

_PATTERN_BYTES: Final = 2 * 1024
"""What a pattern counts for beyond its length: one made for it takes a millisecond."""

FUNCTION_KEY: Final = "polyport/function"
SCHEMA_KEY: Final = "polyport/schema"
MAX_RESULT_META: Final = "anthropic/maxResultSizeChars"
"""Where clients look for the size of results that they may take."""
_UNDESCRIBED: Final = "Its provider did not describe the arguments; pass them by name."
_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
_OUTPUT_KEYS: Final = ("outputSchema", "returns")
_MAX_EXTRA: Final = 16 * 1024
"""Bytes of icons, and of ``_meta``."""


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A function as a tool."""

    name: str
    function: str
    """Dotted path in the service."""
    definition: Mapping[str, Any]
    """As ``tools/list`` shows it, with everything that any revision knows."""
    arguments: ArgumentCheck
    mirrored: tuple[ParamHeader, ...]
    interacts: bool = False
    """The function may want something of its caller while it runs."""
    via: str | None = None
    """A function that is called with ``function`` as a name and the arguments, instead."""
    origin: Origin = OWN
    output: OutputCheck | None = None
    max_result_chars: int = MAX_RESULT_CHARS
    fills_in: bool = True
    """Arguments that are not given get the defaults of their schemas."""
    is_wrapped: bool = False
    """The function takes one value of any kind, which is the argument ``input`` here."""

    def shown(self, profile: Profile) -> Mapping[str, Any]:
        """The definition with its schemas in a form that the client can read."""
        if profile is Profile.FULL:
            return self.definition
        shaped = {**self.definition, "inputSchema": profile.shape(self.definition["inputSchema"])}
        if self.output is not None and not schemas.is_bare(self.output.schema):
            shaped["outputSchema"] = portable(self.output.schema)
        return shaped


@dataclass(frozen=True, slots=True)
class ToolTable:
    """The tools of a service by name, in declared order."""

    tools: Mapping[str, Tool]
    omitted: Mapping[str, str] = field(default_factory=dict)
    """Why a function is no tool, by its path."""


def build(
    functions: Iterable[FunctionInfo], *, by_name: bool = False, via: str | None = None
) -> ToolTable:
    """The table for the functions of a service; ``by_name`` if their declared names count, and not
    their paths. ``via`` is a function that calls them all."""
    declared = {function.path: function for function in functions}
    wanted = {p: str(f.declared["name"]) if by_name else p for p, f in declared.items()}
    names = names_of(wanted)
    tools: dict[str, Tool] = {}
    omitted: dict[str, str] = {}
    room = MAX_SCHEMA_BYTES
    for path, function in declared.items():
        if path not in names:
            omitted[path] = "its tool name is taken"
            continue
        try:
            made = _Making(names[path], function, via)
            if made.size > room:
                raise schemas.Refused(f"the service has {MAX_SCHEMA_BYTES} bytes of schemas")
            tools[names[path]] = made.tool()
            room -= made.size
            if made.no_output:
                omitted[f"{path} (outputSchema)"] = made.no_output
        except schemas.Refused as refused:
            omitted[path] = str(refused)
    return ToolTable(tools, omitted)


class _Making:
    """A tool while it is made. Raises Refused."""

    def __init__(self, name: str, function: FunctionInfo, via: str | None) -> None:
        self._name = name
        self._function = function
        self._via = via
        self._schema, self.size = schemas.normalise(function.parameters)
        self._cost = schemas.measure(self._schema)
        self.size += self._cost.patterns * _PATTERN_BYTES
        self.no_output = ""
        """Why what was declared about the result is not shown."""

    def tool(self) -> Tool:
        output = self._output()
        definition = _definition(self._name, self._function, self._schema)
        if output is not None:
            definition["outputSchema"] = output.schema
        limit = self._function.declared.get(MAX_RESULT_KEY)
        if not is_limit(limit):
            limit = definition.get("_meta", {}).get(MAX_RESULT_META)
        return Tool(
            name=self._name,
            function=self._function.path,
            definition=definition,
            arguments=ArgumentCheck(self._schema, self._cost),
            mirrored=param_headers.find(self._schema),
            interacts=self._function.takes_interaction,
            via=self._via,
            output=output,
            max_result_chars=limit if is_limit(limit) else MAX_RESULT_CHARS,
            fills_in=self._function.declared.get(OWN_DEFAULTS) is not True,
            is_wrapped=schemas.is_bare(self._function.parameters or {}),
        )

    def _output(self) -> OutputCheck | None:
        """The check of what the function gives, if its provider says what that is."""
        declared = (self._function.declared.get(key) for key in _OUTPUT_KEYS)
        schema = next((each for each in declared if isinstance(each, Mapping) and each), None)
        if schema is None:
            return None
        try:
            normal, size = schemas.normalise_output(schema)
            cost = schemas.measure(normal)
            self.size += size + cost.patterns * _PATTERN_BYTES
            return OutputCheck(normal, cost)
        except schemas.Refused as refused:
            self.no_output = str(refused)
            return None


def _definition(name: str, function: FunctionInfo, schema: Schema) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": name}
    declared = function.declared
    meta = _json_map(declared.get("_meta"))
    title = declared.get("title")
    if name != function.path:
        definition["title"] = meta[FUNCTION_KEY] = encodable(function.path)
    if isinstance(title, str) and title.strip():
        definition["title"] = cut(encodable(title.strip()), MAX_TITLE)
    description = _TAG.sub("", function.description).strip() or name
    if function.parameters is None:
        description = f"{description}\n\n{_UNDESCRIBED}"
        meta[SCHEMA_KEY] = "none"
    definition["description"] = cut(encodable(description), MAX_DESCRIPTION)
    definition["inputSchema"] = schema
    if annotations := _annotations(declared.get("annotations")):
        definition["annotations"] = annotations
    if icons := _icons(declared.get("icons")):
        definition["icons"] = icons
    if is_limit(declared.get(MAX_RESULT_KEY)):
        meta[MAX_RESULT_META] = declared[MAX_RESULT_KEY]
    if meta:
        definition["_meta"] = meta
    return definition


def _annotations(declared: object) -> dict[str, Any]:
    """The hints a provider gave about its function (revision 2025-03-26, tool annotations)."""
    if not isinstance(declared, Mapping):
        return {}
    hints = {hint: declared[hint] for hint in _HINTS if isinstance(declared.get(hint), bool)}
    title = declared.get("title")
    return {"title": cut(encodable(title), MAX_TITLE), **hints} if isinstance(title, str) else hints


def _icons(declared: object) -> list[Any]:
    """Icons with an address (revision 2025-11-25, icons)."""
    if not isinstance(declared, list):
        return []
    found = [_json_map(icon) for icon in declared if isinstance(icon, Mapping)]
    icons = [icon for icon in found if isinstance(icon.get("src"), str)]
    return icons if len(orjson.dumps(icons)) <= _MAX_EXTRA else []


def _json_map(declared: object) -> dict[str, Any]:
    """A map of the provider, of JSON alone; empty if it is none, or too long for a list."""
    if not isinstance(declared, Mapping) or not declared:
        return {}
    encoded = content.to_json(declared)
    found: dict[str, Any] = orjson.loads(encoded)
    return found if len(encoded) <= _MAX_EXTRA else {}
