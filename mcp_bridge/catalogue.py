"""Everything MCP says about one registered service, made once and kept as bytes.

A registration is immutable and a new one is a new object, so what is derived from it is kept by
its identity and goes with it. Results are stored without their JSON-RPC envelope, which is all
that differs between two requests.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final
from weakref import WeakKeyDictionary

import orjson

from mcp_bridge import tools
from mcp_bridge.revisions import MODERN, Revision, finish_result, shape_tool
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
    """The tools of a service and the results that describe them."""

    def __init__(self, service: ServiceInfo) -> None:
        # Not the service itself: it is the weak key that this object is kept under.
        table = tools.build(service.functions.values())
        self.tools: Mapping[str, tools.Tool] = table.tools
        self.server_info = _server_info(service)
        self._instructions = _instructions(service)
        self._cache_scope = "private" if service.visibility is Visibility.PROTECTED else "public"
        self._pages: dict[tuple[str, str | None], bytes] = {}
        _report(service, table)

    def tools_page(self, revision: Revision, cursor: str | None) -> bytes | None:
        """The result of ``tools/list``, or None if the cursor is not one of this catalogue."""
        page = self._pages.get((revision.name, cursor))
        if page is None and (revision.name, None) not in self._pages:
            self._make_pages(revision)
            page = self._pages.get((revision.name, cursor))
        return page

    def discovery(self, revision: Revision) -> bytes:
        """The result of ``server/discover``. Only stateless revisions are named: a client that
        reads an older one there would ask for it without the handshake."""
        result = {"supportedVersions": list(MODERN), **self._introduction()}
        return self._finished(result, revision)

    def handshake(self, revision: Revision) -> bytes:
        """The result of ``initialize`` for the negotiated revision."""
        result = {"protocolVersion": revision.name, **self._introduction()}
        server_info = dict(self.server_info)
        if not revision.has_structured_content:
            server_info.pop("title", None)
        return orjson.dumps({**result, "serverInfo": server_info})

    def _introduction(self) -> dict[str, Any]:
        # No listChanged: nothing tells a client of a change yet.
        introduction: dict[str, Any] = {"capabilities": {"tools": {}}}
        if self._instructions:
            introduction["instructions"] = self._instructions
        return introduction

    def _make_pages(self, revision: Revision) -> None:
        shaped = [shape_tool(tool.definition, revision) for tool in self.tools.values()]
        digest = hashlib.sha256(orjson.dumps(shaped)).hexdigest()
        starts = range(0, max(len(shaped), 1), PAGE_SIZE)
        cursors = [None, *(_cursor(digest, start) for start in starts[1:]), None]
        for index, start in enumerate(starts):
            result: dict[str, Any] = {"tools": shaped[start : start + PAGE_SIZE]}
            if cursors[index + 1] is not None:
                result["nextCursor"] = cursors[index + 1]
            self._pages[revision.name, cursors[index]] = self._finished(result, revision)

    def _finished(self, result: dict[str, Any], revision: Revision) -> bytes:
        if revision.is_modern:
            result["ttlMs"] = LIST_LIFE_MS
            result["cacheScope"] = self._cache_scope
        return orjson.dumps(finish_result(result, revision, self.server_info))


class Catalogues:
    """The catalogues of the services that are in use."""

    def __init__(self) -> None:
        self._by_service: WeakKeyDictionary[ServiceInfo, Catalogue] = WeakKeyDictionary()

    def of(self, service: ServiceInfo) -> Catalogue:
        catalogue = self._by_service.get(service)
        if catalogue is None:
            catalogue = self._by_service[service] = Catalogue(service)
        return catalogue


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


def _report(service: ServiceInfo, table: tools.ToolTable) -> None:
    for path, reason in table.omitted.items():
        logger.warning(
            "mcp_tool_omitted service=%s function=%r reason=%r", service.id, path, reason
        )
    for name in table.tools:
        if len(name) > _LONG_NAME:
            logger.info("mcp_tool_name_long service=%s name=%s", service.id, name)
