"""What a client asks to see of an endpoint, by the query of its address. Pure.

``?schema=`` full, portable or strict; ``?mode=`` all, search or auto; ``?toolset=`` (``?group=``) a
named set; ``?tools=a,b`` and ``?services=a,b`` only these. A view never shows what the endpoint
itself does not have. One is made once for every catalogue and kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs

import orjson

from mcp_bridge.catalogue import About, Catalogue, Contents
from mcp_bridge.meta_tools import CALL, META_TOOLS, SEARCH, SearchMode
from mcp_bridge.offered import MAX_INSTRUCTIONS
from mcp_bridge.options import MODES, Mode
from mcp_bridge.origins import Origin
from mcp_bridge.profiles import Profile
from mcp_bridge.resources import ResourceTable
from mcp_bridge.text import cut
from mcp_bridge.tools import Tool
from schema.errors import InvalidRequest

MAX_VIEWS: Final = 32
"""Kept of one catalogue."""
MAX_TOKENS: Final = 20_000
"""What a list may cost a model, at about four bytes each, before ``auto`` searches."""


@dataclass(frozen=True, slots=True)
class View:
    """See the module. An empty field asks for nothing."""

    profile: Profile | None = None
    mode: Mode | None = None
    toolset: str = ""
    tools: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


PLAIN: Final = View()


@lru_cache(maxsize=1024)
def view_of(query: bytes) -> View:
    """The view that a query string asks for. Raises InvalidRequest for a word it cannot have."""
    if not query:
        return PLAIN
    given = parse_qs(query.decode("latin-1"))
    schema, mode = _last(given, "schema"), _last(given, "mode")
    profile = Profile.named(schema)
    if schema and profile is None:
        raise InvalidRequest(f"schema must be one of {', '.join(p.value for p in Profile)}")
    if mode and mode not in MODES:
        raise InvalidRequest(f"mode must be one of {', '.join(MODES)}")
    return View(
        profile=profile,
        mode=next((known for known in MODES if known == mode), None),
        toolset=_last(given, "toolset") or _last(given, "group"),
        tools=_listed(given, "tools"),
        services=_listed(given, "services"),
    )


def viewed(catalogue: Catalogue, view: View, most_listed: int) -> Catalogue:
    """The catalogue as a view shows it; ``auto`` lists up to ``most_listed`` tools. Raises
    InvalidRequest for a toolset that there is not."""
    kept = catalogue.views.get(view)
    if kept is None:
        kept = _make(catalogue, view, most_listed)
        while len(catalogue.views) >= MAX_VIEWS:
            catalogue.views.pop(next(iter(catalogue.views)))
        catalogue.views[view] = kept
    return kept


def _make(catalogue: Catalogue, view: View, most_listed: int) -> Catalogue:
    contents = _selected(catalogue.contents, view)
    mode = view.mode or catalogue.usual_mode
    profile = view.profile or catalogue.profile
    if mode == "search" or (mode == "auto" and _is_large(contents.tools, most_listed)):
        listed = {name: tool for name, tool in contents.tools.items() if name in contents.pinned}
        searched = replace(contents, tools={**listed, **META_TOOLS}, reachable=contents.tools)
        about = _about_search(catalogue.about, len(contents.tools))
        return Catalogue(about, searched, profile, SearchMode(contents.tools))
    if contents is catalogue.contents and profile is catalogue.profile:
        return catalogue
    return Catalogue(catalogue.about, contents, profile)


def _selected(contents: Contents, view: View) -> Contents:
    tools = contents.tools
    if view.toolset:
        members = contents.toolsets.get(view.toolset)
        if members is None:
            known = ", ".join(sorted(contents.toolsets)[:20]) or "none"
            raise InvalidRequest(f"No toolset {cut(view.toolset, 100)!r} here; there are: {known}")
        tools = {name: tool for name, tool in tools.items() if name in members}
    if view.tools:
        wanted = set(view.tools)
        tools = {
            name: tool for name, tool in tools.items() if name in wanted or tool.function in wanted
        }
    if not view.services:
        return contents if tools is contents.tools else replace(contents, tools=tools)
    services = set(view.services)
    return replace(
        contents,
        tools={n: t for n, t in tools.items() if _is_of(t.origin, services)},
        resources=ResourceTable(
            {
                uri: resource
                for uri, resource in contents.resources.resources.items()
                if _is_of(resource.source.origin, services)
            },
            tuple(t for t in contents.resources.templates if _is_of(t.source.origin, services)),
        ),
        prompts={n: p for n, p in contents.prompts.items() if _is_of(p.source.origin, services)},
    )


def _is_of(origin: Origin, services: set[str]) -> bool:
    return any(service.id.service_id in services for service in origin.services)


def _is_large(tools: Mapping[str, Tool], most_listed: int) -> bool:
    if len(tools) > most_listed:
        return True
    size = sum(len(orjson.dumps(tool.definition)) for tool in tools.values())
    return size > 4 * MAX_TOKENS


def _about_search(about: About, count: int) -> About:
    hint = f"{count} tools: find them with {SEARCH}, then call them with {CALL}."
    return replace(
        about, instructions=cut(f"{hint}\n\n{about.instructions}".strip(), MAX_INSTRUCTIONS)
    )


def _last(given: Mapping[str, list[str]], key: str) -> str:
    return given.get(key, [""])[-1]


def _listed(given: Mapping[str, list[str]], key: str) -> tuple[str, ...]:
    parts = (part.strip() for text in given.get(key, ()) for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))
