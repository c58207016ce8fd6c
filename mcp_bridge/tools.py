"""From the functions of a service to the table of its tools. Pure.

A function that cannot be offered safely is left out with a reason, so that one bad schema never
costs a client the others. Nothing is known here about revisions or requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_bridge import param_headers, schemas
from mcp_bridge.arguments import ArgumentCheck
from mcp_bridge.names import names_of
from mcp_bridge.param_headers import ParamHeader
from mcp_bridge.text import cut, encodable
from schema.functions import FunctionInfo
from schema.parameters import Schema

MAX_DESCRIPTION: Final = 2_000
"""Clients cut longer ones, at a place of their own choosing."""

MAX_SCHEMA_BYTES: Final = 4 * 1024 * 1024
"""Of all tools of a service together. Nothing else is served while they are compiled."""

_PATTERN_BYTES: Final = 2 * 1024
"""What a pattern counts for beyond its length: one made for it takes a millisecond."""

FUNCTION_KEY: Final = "polyport/function"
SCHEMA_KEY: Final = "polyport/schema"
_UNDESCRIBED: Final = "Its provider did not describe the arguments; pass them by name."
_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


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
            schema, size = schemas.normalise(function.parameters)
            cost = schemas.measure(schema)
            size += cost.patterns * _PATTERN_BYTES
            if size > room:
                raise schemas.Refused(f"the service has {MAX_SCHEMA_BYTES} bytes of schemas")
            tools[names[path]] = _tool(names[path], function, schema, cost, via)
            room -= size
        except schemas.Refused as refused:
            omitted[path] = str(refused)
    return ToolTable(tools, omitted)


def _tool(
    name: str, function: FunctionInfo, schema: Schema, cost: schemas.Cost, via: str | None
) -> Tool:
    return Tool(
        name=name,
        function=function.path,
        definition=_definition(name, function, schema),
        arguments=ArgumentCheck(schema, cost),
        mirrored=param_headers.find(schema),
        interacts=function.takes_interaction,
        via=via,
    )


def _definition(name: str, function: FunctionInfo, schema: Schema) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": name}
    meta: dict[str, str] = {}
    if name != function.path:
        definition["title"] = meta[FUNCTION_KEY] = encodable(function.path)
    description = function.description.strip() or name
    if function.parameters is None:
        description = f"{description}\n\n{_UNDESCRIBED}"
        meta[SCHEMA_KEY] = "none"
    definition["description"] = cut(encodable(description), MAX_DESCRIPTION)
    definition["inputSchema"] = schema
    if annotations := _annotations(function.declared.get("annotations")):
        definition["annotations"] = annotations
    if meta:
        definition["_meta"] = meta
    return definition


def _annotations(declared: object) -> dict[str, Any]:
    """The hints a provider gave about its function (revision 2025-03-26, tool annotations)."""
    if not isinstance(declared, Mapping):
        return {}
    return {hint: declared[hint] for hint in _HINTS if isinstance(declared.get(hint), bool)}
