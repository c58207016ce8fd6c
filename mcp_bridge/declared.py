"""What a service of type ``mcp`` declares: tools, resources and prompts as entries of its lists.

The registry knows which functions a service has, but not the texts beside them, so the entries are
read from the service object. Three forms are taken, as Hypha documents them: entries with their
functions; functions alone; and pairs of functions that list and give (``lists``). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from mcp_bridge import content
from mcp_bridge.prompts import Prompt
from mcp_bridge.resources import (
    MAX_URI,
    Resource,
    ResourceTable,
    Source,
    Template,
    variables_of,
)
from mcp_bridge.text import cut, encodable
from schema.functions import FunctionInfo
from schema.services import ServiceInfo
from schema.values import METHOD, rtype

MCP_TYPE: Final = "mcp"
LISTS: Final = ("tools", "resources", "resource_templates", "prompts")
_GIVERS: Final = {
    "list_tools": "call_tool",
    "list_resources": "read_resource",
    "list_resource_templates": "read_resource",
    "list_prompts": "get_prompt",
}
"""Functions that list something, each with the one that gives what is listed."""
MAX_TEXT: Final = 2_000
_HANDLERS: Final = ("handler", "call", "function", "callback", "run", "execute", "read", "get")
_TOOL_KEYS: Final = ("title", "description", "annotations", "outputSchema", "icons", "_meta")
_KEPT: Final = ("title", "description", "annotations", "size", "icons", "_meta")


@dataclass(frozen=True, slots=True)
class Declared:
    """The entries of a service. Functions of tools are named by ``declared["name"]``."""

    tools: tuple[FunctionInfo, ...] = ()
    resources: ResourceTable = field(default_factory=ResourceTable)
    prompts: tuple[Prompt, ...] = ()
    omitted: Mapping[str, str] = field(default_factory=dict)
    """Why an entry is left out, by its path."""
    via: str | None = None
    """The function that calls the tools, by name, if they have none of their own."""
    answering: frozenset[str] = frozenset()
    """Functions that list and give, and are no tools themselves."""


def declares(service: ServiceInfo) -> bool:
    """Whether the service object has to be read to know what is offered."""
    return service.type == MCP_TYPE and any(key in service.service_schema for key in LISTS)


def lists(service: ServiceInfo) -> bool:
    """Whether the service says by functions what it offers."""
    return service.type == MCP_TYPE and bool(answering(service))


def answering(service: ServiceInfo) -> frozenset[str]:
    """The functions of a service by which it says what it offers, and gives it."""
    functions = service.functions
    # Tools that cannot be called are none. A resource that cannot be read is listed all the same.
    listing = [
        name
        for name in _GIVERS
        if name in functions and (name != "list_tools" or "call_tool" in functions)
    ]
    giving = (_GIVERS[name] for name in listing)
    return frozenset(listing).union(name for name in giving if name in functions)


def from_object(service: ServiceInfo, shown: Any) -> Declared:
    """The entries of a service object, with the functions that its registration has: what a caller
    may not use is not there."""
    reader = _Reader(service)
    node = shown if isinstance(shown, Mapping) else {}
    tools = tuple(reader.tools(node.get("tools")))
    resources = [*reader.resources("resources", node.get("resources"))]
    resources += reader.resources("resource_templates", node.get("resource_templates"))
    table = ResourceTable(
        {r.uri: r for r in resources if isinstance(r, Resource)},
        tuple(t for t in resources if isinstance(t, Template)),
    )
    return Declared(tools, table, tuple(reader.prompts(node.get("prompts"))), reader.omitted)


def listed_tool(entry: Mapping[str, Any]) -> FunctionInfo | None:
    """The description of a tool in the answer of ``list_tools``."""
    name, parameters = entry.get("name"), entry.get("inputSchema")
    if not isinstance(name, str) or not name:
        return None
    declared = {"name": name, **{key: entry[key] for key in _TOOL_KEYS if key in entry}}
    return FunctionInfo(
        path=name,
        description=_text(entry.get("description")),
        parameters=parameters if isinstance(parameters, Mapping) else None,
        declared=declared,
    )


class _Reader:
    """Reads the lists of one service object."""

    def __init__(self, service: ServiceInfo) -> None:
        self._functions = service.functions
        self.omitted: dict[str, str] = {}

    def tools(self, node: Any) -> Iterator[FunctionInfo]:
        for path, key, entry in _entries("tools", node):
            if rtype(entry) == METHOD:
                function = self._functions.get(path)
                if function is not None:
                    name = _text(function.declared.get("name")) or _text(entry.get("_rname")) or key
                    yield replace(function, declared={**function.declared, "name": name})
            elif isinstance(entry, Mapping):
                found = self._handler(path, entry)
                if found is None:
                    self._omit(path, "it has no function")
                else:
                    yield _with_texts(found, content.named(_plain(entry)), key)

    def resources(self, list_name: str, node: Any) -> Iterator[Resource | Template]:
        for path, key, raw in _entries(list_name, node):
            if not isinstance(raw, Mapping):
                continue
            entry = content.named(_plain(raw))
            uri = entry.get("uriTemplate") or entry.get("uri") or key
            if not isinstance(uri, str) or not uri or len(uri) > MAX_URI:
                self._omit(path, "it has no uri")
                continue
            source = self._source(path, raw, entry)
            if source is None:
                self._omit(path, "it has neither a function nor contents")
                continue
            definition: dict[str, Any] = {"name": _text(entry.get("name")) or uri}
            definition |= {k: entry[k] for k in _KEPT if k in entry}
            definition |= _tags(entry)
            if isinstance(media_type := entry.get("mimeType"), str):
                definition["mimeType"] = media_type
            if "{" in uri:
                yield Template.of({"uriTemplate": uri, **definition}, source)
            else:
                yield Resource({"uri": uri, **definition}, source)

    def prompts(self, node: Any) -> Iterator[Prompt]:
        for path, key, raw in _entries("prompts", node):
            if not isinstance(raw, Mapping):
                continue
            is_function = rtype(raw) == METHOD
            entry = {} if is_function else content.named(_plain(raw))
            function = self._functions.get(path) if is_function else self._handler(path, raw)
            if function is None:
                self._omit(path, "it has no function")
                continue
            name = _text(entry.get("name")) or _text(function.declared.get("name")) or key
            described_as = _text(entry.get("description")) or function.description
            given = entry.get("arguments")
            arguments = given if isinstance(given, list) else _arguments_of(function)
            definition = {
                "name": name,
                **{k: entry[k] for k in _KEPT if k in entry},
                **_tags(entry),
            }
            if described_as:
                definition["description"] = cut(described_as, MAX_TEXT)
            if arguments:
                definition["arguments"] = [a for a in arguments if _is_argument(a)]
            source = Source(function.path, is_function=True, interacts=function.takes_interaction)
            yield Prompt(definition, source, _choices(function))

    def _source(self, path: str, raw: Mapping[str, Any], entry: Mapping[str, Any]) -> Source | None:
        function = self._handler(path, raw)
        if function is not None:
            revision = entry.get("revision")
            parameters = tuple(function.parameter_names)
            if function.parameters is None:
                parameters = variables_of(str(entry.get("uriTemplate") or entry.get("uri") or ""))
            return Source(
                function.path,
                is_function=True,
                parameters=parameters,
                interacts=function.takes_interaction,
                revision=revision if isinstance(revision, str) else None,
            )
        for key in ("text", "blob", "content", "contents", "read"):
            if isinstance(entry.get(key), str | bytes | list):
                return Source(value=entry[key])
        return None

    def _handler(self, path: str, entry: Mapping[str, Any]) -> FunctionInfo | None:
        """The function of an entry, under whichever name it has there."""
        named = [key for key in _HANDLERS if rtype(entry.get(key)) == METHOD]
        others = [key for key, value in entry.items() if rtype(value) == METHOD]
        for key in [*named, *others]:
            function = self._functions.get(f"{path}.{key}")
            if function is not None:
                return function
        return None

    def _omit(self, path: str, reason: str) -> None:
        self.omitted[path] = reason


def _entries(name: str, node: Any) -> Iterator[tuple[str, str, Any]]:
    """The entries of a list or a map: path, name by place, entry."""
    if isinstance(node, list):
        for index, entry in enumerate(node):
            yield f"{name}.{index}", f"{name}_{index}", entry
    elif isinstance(node, Mapping) and rtype(node) is None:
        for key, entry in node.items():
            yield f"{name}.{key}", str(key), entry


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without its functions, and of JSON alone."""
    kept = {key: value for key, value in entry.items() if rtype(value) != METHOD}
    result: dict[str, Any] = orjson.loads(content.to_json(content.opened(kept)))
    return result


def _with_texts(function: FunctionInfo, entry: Mapping[str, Any], key: str) -> FunctionInfo:
    schema = entry.get("inputSchema", entry.get("parameters"))
    declared = {k: entry[k] for k in _TOOL_KEYS if k in entry}
    declared["name"] = _text(entry.get("name")) or key
    return FunctionInfo(
        path=function.path,
        description=_text(entry.get("description")) or function.description,
        parameters=schema if isinstance(schema, Mapping) else function.parameters,
        declared={**function.declared, **declared, **_tags(entry)},
        takes_interaction=function.takes_interaction,
    )


def _arguments_of(function: FunctionInfo) -> list[dict[str, Any]]:
    """The arguments of a prompt, from the parameters of its function."""
    schema = function.parameters or {}
    properties, required = schema.get("properties"), schema.get("required")
    needed = required if isinstance(required, list) else ()
    found = []
    for name, child in properties.items() if isinstance(properties, Mapping) else ():
        argument: dict[str, Any] = {"name": str(name), "required": name in needed}
        if isinstance(child, Mapping) and _text(child.get("description")):
            argument["description"] = _text(child["description"])
        found.append(argument)
    return found


def _choices(function: FunctionInfo) -> dict[str, tuple[str, ...]]:
    properties = (function.parameters or {}).get("properties")
    found = {}
    for name, child in properties.items() if isinstance(properties, Mapping) else ():
        values = child.get("enum") if isinstance(child, Mapping) else None
        if isinstance(values, list):
            found[str(name)] = tuple(value for value in values if isinstance(value, str))
    return found


def _is_argument(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("name"), str)


def _tags(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Tags, for which the protocol has no field of its own."""
    tags = entry.get("tags")
    if not isinstance(tags, list) or not tags:
        return {}
    meta = entry.get("_meta")
    return {"_meta": {**(meta if isinstance(meta, Mapping) else {}), "polyport/tags": tags}}


def _text(value: object) -> str:
    return encodable(value) if isinstance(value, str) else ""
