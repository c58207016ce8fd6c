"""Search mode: three tools in place of many. One finds tools, one describes one, one calls one.

A list of hundreds of tools fills the context of a model before it has read the question. In this
mode it looks for what it needs. Nothing is reached this way that could not be called directly.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from mcp_bridge import content, tools
from mcp_bridge.content import ToolResult
from mcp_bridge.profiles import Profile
from mcp_bridge.search import ToolSearch
from mcp_bridge.text import cut
from mcp_bridge.tools import Tool
from schema.functions import FunctionInfo

SEARCH: Final = "search_tools"
DESCRIBE: Final = "describe_tool"
CALL: Final = "call_tool"

USUAL_FOUND: Final = 8
MAX_FOUND: Final = 50
MAX_COMPARED: Final = 300
"""Tool names that a wrong one is compared with; a thousand take 30 ms."""


def _described(
    name: str, description: str, properties: Mapping[str, Any], needed: str, *, reads: bool
) -> FunctionInfo:
    parameters = {"type": "object", "properties": dict(properties), "required": [needed]}
    declared = {"name": name, "annotations": {"readOnlyHint": True}} if reads else {"name": name}
    return FunctionInfo(name, description, parameters, declared)


_NAME: Final = {"type": "string", "description": "Name of the tool, as search_tools gives it."}

META_TOOLS: Final[Mapping[str, Tool]] = tools.build(
    [
        _described(
            SEARCH,
            "Find tools by words. This endpoint has more tools than are listed: look here first. "
            "Gives the best ones with their schemas; call them with call_tool.",
            {
                "query": {"type": "string", "description": "What the tool should do, in words."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_FOUND},
            },
            "query",
            reads=True,
        ),
        _described(DESCRIBE, "Describe one tool in full.", {"name": _NAME}, "name", reads=True),
        _described(
            CALL,
            "Call a tool that search_tools found.",
            {
                "name": _NAME,
                "arguments": {
                    "type": "object",
                    "description": "Its arguments, as its inputSchema has them.",
                },
            },
            "name",
            reads=False,
        ),
    ]
).tools


class SearchMode:
    """What the first two answer about a set of tools."""

    def __init__(self, reachable: Mapping[str, Tool]) -> None:
        self._tools = reachable
        self._index: ToolSearch | None = None

    def find(self, arguments: Mapping[str, Any], profile: Profile) -> ToolResult:
        """The result of ``search_tools``."""
        if self._index is None:
            self._index = ToolSearch(self._tools)
        names = self._index.find(arguments["query"], arguments.get("limit") or USUAL_FOUND)
        found = [_shown(self._tools[name], profile) for name in names]
        return _structured({"tools": found, "searched": len(self._tools)})

    def describe(self, arguments: Mapping[str, Any], profile: Profile) -> ToolResult:
        """The result of ``describe_tool``."""
        tool = self._tools.get(arguments["name"])
        if tool is None:
            return self.unknown(arguments["name"])
        return _structured(dict(tool.shown(profile)))

    def unknown(self, name: str) -> ToolResult:
        """What a model is told that asks for a tool that is not there."""
        near = nearest(name, self._tools)
        hint = f"; there are: {', '.join(near)}" if near else ""
        return content.from_error(
            f"Unknown tool: {cut(name, 200)}{hint}. Use {SEARCH} to find one."
        )


def nearest(name: str, known: Mapping[str, Tool]) -> list[str]:
    """Names like a wrong one."""
    return difflib.get_close_matches(name[:64], list(known)[:MAX_COMPARED], n=3)


def _shown(tool: Tool, profile: Profile) -> dict[str, Any]:
    shown = tool.shown(profile)
    keys = ("name", "description", "inputSchema", "annotations")
    return {key: shown[key] for key in keys if key in shown}


def _structured(value: dict[str, Any]) -> ToolResult:
    encoded = orjson.dumps(value)
    return ToolResult([{"type": "text", "text": encoded.decode()}], encoded)
