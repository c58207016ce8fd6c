"""Everything MCP says about one registered service, made once and kept as bytes.

A registration is immutable and a new one is a new object, so what is derived from it is kept by
its identity and goes with it. Results are stored without their JSON-RPC envelope, which is all
that differs between two requests.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from typing import Any, Final

import orjson

from mcp_bridge import tools
from mcp_bridge.declared import LISTS, Declared
from mcp_bridge.resources import ResourceTable, constants_of
from mcp_bridge.revisions import MODERN, Revision, finish_result, shape_definition
from mcp_bridge.text import cut, encodable
from schema.services import ServiceInfo, Visibility

logger = logging.getLogger(__name__)

PAGE_SIZE: Final = 500
MAX_INSTRUCTIONS: Final = 2_000
"""Clients cut longer ones."""

LIST_LIFE_MS: Final = 0
"""How long a client may keep a list (``ttlMs``). Providers come, change and go at any time."""

_LONG_NAME: Final = 48
"""Clients put their own prefix in front, and model providers count the sum."""


class Catalogue:
    """What an endpoint offers, and the results that describe it."""

    def __init__(self, service: ServiceInfo, declared: Declared | None = None) -> None:
        # Not the service itself: it is the weak key that this object is kept under.
        table = _tool_table(service, declared)
        self.tools: Mapping[str, tools.Tool] = table.tools
        self.resources = _resource_table(service, declared)
        self.prompts = {prompt.name: prompt for prompt in declared.prompts} if declared else {}
        self.server_info = _server_info(service)
        self.cache_scope = "private" if service.visibility is Visibility.PROTECTED else "public"
        self._instructions = _instructions(service)
        self._pages: dict[tuple[str, str, str | None], bytes] = {}
        self._marks: dict[str, bytes] = {}
        self._own_mark = uuid.uuid4().bytes
        _report(service, {**table.omitted, **(declared.omitted if declared else {})}, table.tools)

    def page(self, kind: str, revision: Revision, cursor: str | None) -> bytes | None:
        """The result of ``tools/list`` and its like, by the key of what is listed; None if the
        cursor is not one of this catalogue."""
        page = self._pages.get((kind, revision.name, cursor))
        if page is None and (kind, revision.name, None) not in self._pages:
            self._make_pages(kind, revision)
            page = self._pages.get((kind, revision.name, cursor))
        return page

    def discovery(self, revision: Revision) -> bytes:
        """The result of ``server/discover``. Only stateless revisions are named: a client that
        reads an older one there would ask for it without the handshake."""
        result = {"supportedVersions": list(MODERN), **self._introduction(tells_changes=True)}
        return self.cacheable(result, revision)

    def handshake(self, revision: Revision, *, has_session: bool = False) -> bytes:
        """The result of ``initialize`` for the negotiated revision. Only in a session is there a
        way to tell its client of changes."""
        introduction = self._introduction(tells_changes=has_session)
        result = {"protocolVersion": revision.name, **introduction}
        server_info = dict(self.server_info)
        if not revision.has_structured_content:
            server_info.pop("title", None)
        return orjson.dumps({**result, "serverInfo": server_info})

    def mark(self, kind: str) -> bytes:
        """What tells two lists apart, by the key of what is listed; resources with templates."""
        mark = self._marks.get(kind)
        if mark is None:
            shown = [self._definitions(kind)]
            if kind == "resources":
                shown.append(self._definitions("resourceTemplates"))
            mark = self._marks[kind] = hashlib.sha256(orjson.dumps(shown)).digest()
        return mark

    def resource_mark(self, uri: str) -> bytes | None:
        """What tells two states of a resource apart, as far as that can be known without reading
        it: contents that a function makes may be others with every registration."""
        found = self.resources.find(uri)
        if found is None:
            return None
        if isinstance(found.source.value, str):
            return hashlib.sha256(found.source.value.encode("utf-8", "replace")).digest()
        return self._own_mark

    def _introduction(self, *, tells_changes: bool) -> dict[str, Any]:
        def listed() -> dict[str, Any]:
            return {"listChanged": True} if tells_changes else {}

        capabilities: dict[str, Any] = {"tools": listed()}
        if self.resources:
            capabilities["resources"] = listed()
            if tells_changes:
                capabilities["resources"]["subscribe"] = True
        if self.prompts:
            capabilities["prompts"] = listed()
        if self.prompts or self.resources.templates:
            capabilities["completions"] = {}
        introduction: dict[str, Any] = {"capabilities": capabilities}
        if self._instructions:
            introduction["instructions"] = self._instructions
        return introduction

    def _definitions(self, kind: str) -> list[Mapping[str, Any]]:
        match kind:
            case "tools":
                return [tool.definition for tool in self.tools.values()]
            case "resources":
                return [r.definition for r in self.resources.resources.values()]
            case "resourceTemplates":
                return [t.definition for t in self.resources.templates]
            case _:
                return [prompt.definition for prompt in self.prompts.values()]

    def _make_pages(self, kind: str, revision: Revision) -> None:
        shaped = [shape_definition(each, revision) for each in self._definitions(kind)]
        digest = hashlib.sha256(orjson.dumps([kind, shaped])).hexdigest()
        starts = range(0, max(len(shaped), 1), PAGE_SIZE)
        cursors = [None, *(_cursor(digest, start) for start in starts[1:]), None]
        for index, start in enumerate(starts):
            result: dict[str, Any] = {kind: shaped[start : start + PAGE_SIZE]}
            if cursors[index + 1] is not None:
                result["nextCursor"] = cursors[index + 1]
            self._pages[kind, revision.name, cursors[index]] = self.cacheable(result, revision)

    def cacheable(self, result: dict[str, Any], revision: Revision) -> bytes:
        """A result that its client may keep for a time (revision 2026-07-28, caching)."""
        if revision.is_modern:
            result["ttlMs"] = LIST_LIFE_MS
            result["cacheScope"] = self.cache_scope
        return orjson.dumps(finish_result(result, revision, self.server_info))


def _tool_table(service: ServiceInfo, declared: Declared | None) -> tools.ToolTable:
    if declared is None:
        return tools.build(service.functions.values())
    if declared.via is not None:
        return tools.build(declared.tools, by_name=True, via=declared.via)
    others = [f for f in service.functions.values() if f.path.partition(".")[0] not in LISTS]
    named = [replace(f, declared={**f.declared, "name": f.path}) for f in others]
    return tools.build([*declared.tools, *named], by_name=True)


def _resource_table(service: ServiceInfo, declared: Declared | None) -> ResourceTable:
    constants = {r.uri: r for r in constants_of(service)}
    if declared is None:
        return ResourceTable(constants)
    resources = declared.resources
    return ResourceTable({**resources.resources, **constants}, resources.templates)


def _cursor(digest: str, start: int) -> str:
    """Opaque, and only known for a page that exists: one from an older registration is refused,
    and the client starts again."""
    return hashlib.sha256(f"{digest}:{start}".encode()).hexdigest()[:32]


def _server_info(service: ServiceInfo) -> dict[str, str]:
    info = {"name": encodable(service.id.service_id), "version": _version()}
    if service.name and service.name != service.id.service_id:
        info["title"] = encodable(service.name)
    return info


def _version() -> str:
    try:
        return metadata.version("polyport")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "0"


def _instructions(service: ServiceInfo) -> str:
    texts = (service.description, service.docs)
    words = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    return cut(encodable("\n\n".join(words)), MAX_INSTRUCTIONS)


def _report(
    service: ServiceInfo, omitted: Mapping[str, str], named: Mapping[str, tools.Tool]
) -> None:
    for path, reason in omitted.items():
        logger.warning(
            "mcp_tool_omitted service=%s function=%r reason=%r", service.id, path, reason
        )
    for name in named:
        if len(name) > _LONG_NAME:
            logger.info("mcp_tool_name_long service=%s name=%s", service.id, name)
