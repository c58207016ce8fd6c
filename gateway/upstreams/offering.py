"""What a server lists as a service of type "mcp": a function for each tool, and one for each method
that its resources, prompts and completions take. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from gateway.upstreams.tools import leaf, paths

MCP_TYPE: Final = "mcp"


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
    """The functions of a service, and which tool each of them is."""

    def __init__(self, lists: Lists, held: Collection[str] = ()) -> None:
        """``held`` are names of tools that are not offered."""
        self.lists = lists
        by_name = {str(tool.get("name")): tool for tool in lists.tools}
        found = paths(by_name)
        self.names: Mapping[str, str] = {p: n for n, p in found.items() if n not in held}
        """Name of the tool, by path of the function."""
        self.held: Mapping[str, str] = {p: n for n, p in found.items() if n in held}
        self.schema: dict[str, Any] = {
            path: leaf(name, path, by_name[name]) for path, name in self.names.items()
        }
        self.schema.update(_methods(lists))

    def output_schema(self, path: str) -> Any:
        """What the tool says about its results, or None."""
        return self.schema[path]["function"].get("outputSchema")


def _methods(lists: Lists) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    if lists.resources or lists.templates:
        methods["list_resources"] = _method("list_resources", "List the resources.")
        methods["list_resource_templates"] = _method(
            "list_resource_templates", "List the templates of resources."
        )
        methods["read_resource"] = _method(
            "read_resource", "Read a resource by its URI.", uri={"type": "string"}
        )
    if lists.prompts:
        methods["list_prompts"] = _method("list_prompts", "List the prompts.")
        methods["get_prompt"] = _method(
            "get_prompt",
            "Get the messages of a prompt.",
            optional=("arguments",),
            name={"type": "string"},
            arguments={"type": "object", "additionalProperties": {"type": "string"}},
        )
    if lists.has_completions:
        methods["complete"] = _method(
            "complete",
            "Get values for an argument of a prompt or a template.",
            optional=("context",),
            ref={"type": "object"},
            argument={"type": "object"},
            context={"type": "object"},
        )
    return methods


def _method(
    method: str, description: str, *, optional: tuple[str, ...] = (), **properties: Any
) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": [key for key in properties if key not in optional],
    }
    annotations = {"readOnlyHint": True}
    return {
        "type": "function",
        "function": {
            "name": method,
            "description": description,
            "parameters": parameters,
            "annotations": annotations,
        },
    }
