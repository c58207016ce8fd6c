"""What a server lists as a service of type "mcp": a function for each tool, resource, template and
prompt, and one for completions. Pure.

Tools are members of the service itself; the others are entries of the lists ``resources``,
``resource_templates`` and ``prompts``, each with what the server says about it and a function.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from gateway.upstreams.tools import RESERVED, leaf, paths

MCP_TYPE: Final = "mcp"
MAX_ENTRIES: Final = 2_000

REVISION: Final = "revision"
"""In the entry of a resource."""

RESOURCES, TEMPLATES, PROMPTS, COMPLETE = RESERVED


class Lists(Protocol):
    """What a server offers (``mcp_client.link.Listing``)."""

    @property
    def tools(self) -> list[dict[str, Any]]: ...
    @property
    def resources(self) -> list[dict[str, Any]]: ...
    @property
    def templates(self) -> list[dict[str, Any]]: ...
    @property
    def prompts(self) -> list[dict[str, Any]]: ...
    @property
    def has_completions(self) -> bool: ...


class Offering:
    """The functions of a service, and what each of them is for the server."""

    def __init__(
        self, lists: Lists, held: Collection[str] = (), updates: Mapping[str, int] | None = None
    ) -> None:
        """``held`` are names of tools that are not offered; ``updates`` says how often contents
        have changed, by address, of a server that tells of that."""
        self.lists = lists
        by_name = {str(tool.get("name")): tool for tool in lists.tools}
        found = paths(by_name)
        self.names: Mapping[str, str] = {p: n for n, p in found.items() if n not in held}
        """Name of the tool, by path of the function."""
        self.held: Mapping[str, str] = {p: n for n, p in found.items() if n in held}
        self.schema: dict[str, Any] = {
            path: leaf(name, path, by_name[name], may_ask=True) for path, name in self.names.items()
        }
        self.members: dict[str, Any] = {}
        """What the service object has beside its functions."""
        for key, entries, function in (
            (RESOURCES, _with_revisions(lists.resources, updates), _read),
            (TEMPLATES, lists.templates, _read_any),
            (PROMPTS, lists.prompts, _get),
        ):
            if entries:
                kept = entries[:MAX_ENTRIES]
                self.members[key] = kept
                self.schema[key] = [function(entry) for entry in kept]
        if lists.has_completions:
            self.schema[COMPLETE] = _COMPLETE

    def is_like(self, other: Offering) -> bool:
        """Whether it offers the same."""
        return (self.lists, self.schema, self.members) == (
            other.lists,
            other.schema,
            other.members,
        )

    def output_schema(self, path: str) -> Any:
        """What the tool says about its results, or None."""
        return self.schema[path]["function"].get("outputSchema")


def _with_revisions(
    entries: list[dict[str, Any]], updates: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    """Resources with what the MCP door compares to tell its clients of new contents."""
    if updates is None:
        return entries
    return [{**entry, REVISION: str(updates.get(entry["uri"], 0))} for entry in entries]


def _read(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"read": _function("read", entry)}


def _read_any(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"read": _function("read", entry, {"uri": {"type": "string"}}, ["uri"])}


def _get(entry: Mapping[str, Any]) -> dict[str, Any]:
    arguments = [a for a in entry.get("arguments") or [] if isinstance(a, Mapping)]
    properties = {
        str(argument.get("name")): {
            "type": "string",
            **{k: argument[k] for k in ("title", "description") if k in argument},
        }
        for argument in arguments
    }
    required = [str(a.get("name")) for a in arguments if a.get("required") is True]
    return {"get": _function("get", entry, properties, required)}


def _function(
    name: str,
    entry: Mapping[str, Any],
    properties: Mapping[str, Any] | None = None,
    required: list[str] | None = None,
) -> dict[str, Any]:
    parameters: dict[str, Any] = {"type": "object", "properties": dict(properties or {})}
    if required:
        parameters["required"] = required
    declared = {
        "name": name,
        "description": entry.get("description") or str(entry.get("name", "")),
        "parameters": parameters,
        "annotations": {"readOnlyHint": True},
    }
    return {"type": "function", "function": declared}


_COMPLETE: Final = _function(
    COMPLETE,
    {"description": "Get values for an argument of a prompt or a template."},
    {"ref": {"type": "object"}, "argument": {"type": "object"}, "context": {"type": "object"}},
    ["ref", "argument"],
)
