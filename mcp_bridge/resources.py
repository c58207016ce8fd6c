"""Resources: what an endpoint lets its clients read, and what a read gives. Pure.

A resource is a constant of a service, or a function without required arguments; a template is a
function whose arguments are parts of its address (RFC 6570, level 1). Sources: revision
2025-11-25, resources; revision 2026-07-28, resource not found.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from mcp_bridge import content
from mcp_bridge.errors import INVALID_PARAMS, RpcError
from mcp_bridge.origins import OWN, Origin
from mcp_bridge.text import cut, encodable
from schema.services import ServiceInfo

MAX_URI: Final = 2_000
SCHEME: Final = "polyport"
_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the contents come from: a member of the service at ``path``, called if ``is_function``,
    or ``value`` itself, which is at hand."""

    path: str = ""
    is_function: bool = False
    value: Any = None
    parameters: tuple[str, ...] = ()
    """What the function takes: variables of the address, and the whole of it as ``uri``."""
    interacts: bool = False
    """The function may want something of its caller while it runs."""
    revision: str | None = None
    """What the provider calls the state of the contents; None if that is not known."""
    origin: Origin = OWN


@dataclass(frozen=True, slots=True)
class Resource:
    """One address. ``definition`` is as ``resources/list`` shows it."""

    definition: Mapping[str, Any]
    source: Source

    @property
    def uri(self) -> str:
        return str(self.definition["uri"])


@dataclass(frozen=True, slots=True)
class Template:
    """A family of addresses. ``definition`` is as ``resources/templates/list`` shows it."""

    definition: Mapping[str, Any]
    source: Source
    segments: tuple[tuple[str, ...], ...]
    """Of the address, between slashes: texts at even places, names of variables between them."""

    @classmethod
    def of(cls, definition: Mapping[str, Any], source: Source) -> Template:
        segments = str(definition["uriTemplate"]).split("/")
        return cls(definition, source, tuple(tuple(_VARIABLE.split(each)) for each in segments))

    def variables(self, uri: str) -> dict[str, str] | None:
        """Their values in an address (RFC 6570, level 1), the first ones as long as possible; None
        if it is not one of this family. A regular expression would take for ever where variables
        follow each other."""
        given = uri.split("/")
        found: dict[str, str] = {}
        if len(given) != len(self.segments):
            return None
        if all(_fits(text, parts, found) for text, parts in zip(given, self.segments, strict=True)):
            return {name: unquote(text) for name, text in found.items()}
        return None


def variables_of(template: str) -> tuple[str, ...]:
    """The names of the variables in a template of addresses."""
    return tuple(dict.fromkeys(_VARIABLE.findall(template)))


def _fits(text: str, parts: Sequence[str], found: dict[str, str]) -> bool:
    """Whether a segment has this form. Variables, none of them empty, are put into ``found``."""
    if len(parts) == 1:
        return text == parts[0]
    if not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    end = len(text) - len(parts[-1])
    for index in range(len(parts) - 2, 0, -2):
        before = parts[index - 1]
        is_first = index == 1
        at = 0 if is_first else text.rfind(before, 0, max(end - 1, 0))
        value = text[at + len(before) : end]
        if at < 0 or not value or found.setdefault(parts[index], value) != value:
            return False
        end = at
    return True


@dataclass(frozen=True, slots=True)
class Found:
    """What is read for an address: where it comes from, and the variables in it."""

    uri: str
    source: Source
    media_type: str | None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourceTable:
    """The resources of an endpoint, by address, and its templates, in declared order."""

    resources: Mapping[str, Resource] = field(default_factory=dict)
    templates: Sequence[Template] = ()

    def __bool__(self) -> bool:
        return bool(self.resources or self.templates)

    def find(self, uri: str) -> Found | None:
        """What to read for an address, or None if there is nothing."""
        resource = self.resources.get(uri)
        if resource is not None:
            return Found(uri, resource.source, resource.definition.get("mimeType"))
        for template in self.templates:
            variables = template.variables(uri)
            if variables is not None:
                media_type = template.definition.get("mimeType")
                return Found(uri, template.source, media_type, variables)
        return None


def constants_of(service: ServiceInfo, but_not: Sequence[str] = ()) -> Iterator[Resource]:
    """Every text that a service has as a member, outside of the members ``but_not``, and its
    documentation."""
    name = quote(encodable(service.id.service_id), safe="")
    if isinstance(service.docs, str) and service.docs.strip():
        yield Resource(
            {
                "uri": f"{SCHEME}://{name}/docs",
                "name": "docs",
                "description": f"Documentation of {encodable(service.name)}",
                "mimeType": "text/markdown",
            },
            Source(value=service.docs),
        )
    members = {k: v for k, v in service.service_schema.items() if k not in but_not}
    for path in _texts(members, ""):
        uri = f"{SCHEME}://{name}/{quote(path, safe='')}"
        if len(uri) <= MAX_URI and path != "docs":
            described = {"uri": uri, "name": encodable(path), "mimeType": "text/plain"}
            yield Resource(described, Source(path))


def _texts(node: object, prefix: str, depth: int = 0) -> Iterator[str]:
    """Dotted paths of the members that are described as texts."""
    if not isinstance(node, Mapping) or depth > 8:
        return
    for key, child in node.items():
        if not isinstance(child, Mapping) or not isinstance(key, str) or "." in key:
            continue
        if child == {"type": "string"}:
            yield f"{prefix}{key}"
        elif child.get("type") != "function":
            yield from _texts(child, f"{prefix}{key}.", depth + 1)


def contents(found: Found, value: Any) -> list[dict[str, Any]]:
    """The ``contents`` of a read, whatever form the value has: ready, one of them, text, bytes, or
    anything else as JSON."""
    value = content.opened(value)
    if isinstance(value, Mapping) and isinstance(value.get("contents"), list):
        value = value["contents"]
    if isinstance(value, list) and value and all(map(_is_shaped, value)):
        return [_shaped(found, item) for item in value]
    if _is_shaped(value):
        return [_shaped(found, value)]
    data = content.as_bytes(value)
    if data is not None:
        return [_binary(found, data)]
    if isinstance(value, str):
        return [{**_head(found, "text/plain"), "text": encodable(value)}]
    return [{**_head(found, "application/json"), "text": content.to_json(value).decode()}]


def _is_shaped(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    held = value.get("text", value.get("blob"))
    return isinstance(held, str | bytes) and set(value) <= _CONTENT_KEYS


_CONTENT_KEYS: Final = frozenset({"uri", "mimeType", "mime_type", "text", "blob", "_meta", "meta"})


def _shaped(found: Found, item: Mapping[str, Any]) -> dict[str, Any]:
    head = _head(found, None)
    if isinstance(uri := item.get("uri"), str):
        head["uri"] = encodable(uri)
    if isinstance(media_type := item.get("mimeType", item.get("mime_type")), str):
        head["mimeType"] = media_type
    meta = item.get("_meta", item.get("meta"))
    if isinstance(meta, Mapping):
        head["_meta"] = orjson.loads(content.to_json(meta))
    blob = item.get("blob")
    if isinstance(blob, bytes):
        return {**head, "blob": base64.b64encode(blob).decode()}
    if isinstance(blob, str):
        return {**head, "blob": blob}
    return {**head, "text": encodable(str(item["text"]))}


def _binary(found: Found, data: bytes) -> dict[str, Any]:
    return {**_head(found, content.sniff(data)), "blob": base64.b64encode(data).decode()}


def _head(found: Found, usual: str | None) -> dict[str, Any]:
    media_type = found.media_type or usual
    return {"uri": found.uri, **({"mimeType": media_type} if media_type else {})}


def uri_of(params: Mapping[str, Any]) -> str:
    """The address that a request is about. Raises RpcError."""
    uri = params.get("uri")
    if not isinstance(uri, str):
        raise RpcError(INVALID_PARAMS, "params.uri must be a string")
    return uri


def shown_uri(uri: str) -> str:
    """An address for a message."""
    return cut(encodable(uri), 200)
