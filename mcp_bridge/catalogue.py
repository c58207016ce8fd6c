"""Everything MCP says at one endpoint, made once and kept as bytes.

Results are stored without their JSON-RPC envelope, which is all that differs between two requests.
What an endpoint offers is ``Contents``; where they come from is not known here (``offered`` makes
them of a service, ``workspace`` of all services of one).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from mcp_bridge.meta_tools import SearchMode
from mcp_bridge.options import Mode
from mcp_bridge.profiles import Profile, usual_profile
from mcp_bridge.prompts import Prompt
from mcp_bridge.resources import ResourceTable
from mcp_bridge.revisions import MODERN, Revision, finish_result, shape_definition
from mcp_bridge.tools import Tool

PAGE_SIZE: Final = 500

LIST_LIFE_MS: Final = 0
"""How long a client may keep a list (``ttlMs``). Providers come, change and go at any time."""


@dataclass(frozen=True, slots=True)
class About:
    """What an endpoint says of itself. ``is_private``: its lists differ between callers."""

    server_info: Mapping[str, Any]
    instructions: str = ""
    is_private: bool = True


@dataclass(frozen=True, slots=True)
class Contents:
    """What an endpoint offers: ``tools`` are listed, ``reachable`` can be called."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    resources: ResourceTable = field(default_factory=ResourceTable)
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    reachable: Mapping[str, Tool] = field(default_factory=dict)
    toolsets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names of tools by the name of a set that can be asked for."""
    pinned: frozenset[str] = frozenset()
    """Names of tools that are listed even where the others are searched for."""


class Catalogue:
    """The contents of an endpoint, and the results that describe them."""

    def __init__(
        self,
        about: About,
        contents: Contents,
        profile: Profile | None = None,
        search: SearchMode | None = None,
    ) -> None:
        """``profile`` is that of the schemas; None: the usual one of each revision. ``search``
        answers where tools are searched for, and not listed."""
        self.search = search
        self.usual_mode: Mode = "all"
        self.about = about
        self.contents = contents
        self.profile = profile
        self.tools = contents.tools
        self.reachable = contents.reachable or contents.tools
        self.resources = contents.resources
        self.prompts = contents.prompts
        self.server_info = about.server_info
        self.cache_scope = "private" if about.is_private else "public"
        self.views: dict[Any, Catalogue] = {}
        """The same contents as clients asked to see them, by what they asked."""
        self._pages: dict[tuple[str, str, str | None], bytes] = {}
        self._marks: dict[str, bytes] = {}
        self._own_mark = uuid.uuid4().bytes

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to list."""
        return not (self.tools or self.resources or self.prompts)

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
            shown = [self._definitions(kind, None)]
            if kind == "resources":
                shown.append(self._definitions("resourceTemplates", None))
            mark = self._marks[kind] = hashlib.sha256(orjson.dumps(shown)).digest()
        return mark

    def resource_mark(self, uri: str) -> bytes | None:
        """What tells two states of a resource apart, as far as that can be known without reading
        it: contents that a function makes may be others with every registration, unless the
        provider says of which revision they are."""
        found = self.resources.find(uri)
        if found is None:
            return None
        state = found.source.revision
        if state is None and isinstance(found.source.value, str):
            state = found.source.value
        if state is None:
            return self._own_mark
        return hashlib.sha256(state.encode("utf-8", "replace")).digest()

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
        if self.about.instructions:
            introduction["instructions"] = self.about.instructions
        return introduction

    def _definitions(self, kind: str, revision: Revision | None) -> list[Mapping[str, Any]]:
        """As they are listed; without a revision, in full."""
        match kind:
            case "tools":
                profile = self.profile or usual_profile(revision)
                return [tool.shown(profile) for tool in self.tools.values()]
            case "resources":
                return [r.definition for r in self.resources.resources.values()]
            case "resourceTemplates":
                return [t.definition for t in self.resources.templates]
            case _:
                return [prompt.definition for prompt in self.prompts.values()]

    def _make_pages(self, kind: str, revision: Revision) -> None:
        shaped = [shape_definition(each, revision) for each in self._definitions(kind, revision)]
        digest = hashlib.sha256(orjson.dumps([kind, shaped])).hexdigest()
        starts = range(0, max(len(shaped), 1), PAGE_SIZE)
        cursors = [None, *(_cursor(digest, start) for start in starts[1:]), None]
        for index, start in enumerate(starts):
            result: dict[str, Any] = {kind: shaped[start : start + PAGE_SIZE]}
            if cursors[index + 1] is not None:
                result["nextCursor"] = cursors[index + 1]
            self._pages[kind, revision.name, cursors[index]] = self.cacheable(result, revision)

    def cacheable(
        self, result: dict[str, Any], revision: Revision, *, is_private: bool = False
    ) -> bytes:
        """A result that its client may keep for a time (revision 2026-07-28, caching)."""
        if revision.is_modern:
            result["ttlMs"] = LIST_LIFE_MS
            result["cacheScope"] = "private" if is_private else self.cache_scope
        return orjson.dumps(finish_result(result, revision, self.server_info))


def _cursor(digest: str, start: int) -> str:
    """Opaque, and only known for a page that exists: one from an older registration is refused,
    and the client starts again."""
    return hashlib.sha256(f"{digest}:{start}".encode()).hexdigest()[:32]
