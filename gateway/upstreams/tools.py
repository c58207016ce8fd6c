"""From what an MCP server lists to the functions of a service. Pure.

Functions are called like the tools, as far as a path of a function can be called so; where two
would be called alike, or a name cannot be one, the path ends in a hash of the name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from schema.functions import OWN_DEFAULTS

_PATH: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_-]+")
_PASSED_ON: Final = ("title", "annotations", "icons", "_meta", "outputSchema")

RESERVED: Final = ("resources", "resource_templates", "prompts", "complete")
"""Members of a service of type "mcp" that are no tools, but what else a server has."""

LISTED_TOOLS: Final = "tools"
"""Another such member, which a service may have in place of functions."""

INTERACTION: Final = "interaction"

UPSTREAM_NAME: Final = "polyport/upstream-name"
"""In ``_meta`` of a tool whose function is not called like it."""


def paths(names: Iterable[str]) -> dict[str, str]:
    """Path of a function by name of a tool; no two share one."""
    reserved = {*RESERVED, LISTED_TOOLS}
    distinct = list(dict.fromkeys(names))
    found = {name: name for name in distinct if _PATH.fullmatch(name) and name not in reserved}
    taken = {*found, *reserved}
    for name in distinct:
        if name not in found:
            digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            plain = _ILLEGAL.sub("_", name).strip("_")
            path = plain if plain and plain not in taken else f"{plain or 'tool'}_{digest}"
            if path not in taken:
                taken.add(path)
                found[name] = path
    return found


def leaf(name: str, path: str, tool: Mapping[str, Any], *, may_ask: bool = False) -> dict[str, Any]:
    """A tool as the schema of a function, with all that the server says about it. ``may_ask``: it
    may want something of its caller while it runs."""
    parameters = tool.get("inputSchema")
    declared: dict[str, Any] = {
        "name": path,
        "description": tool.get("description") or tool.get("title") or name,
        "parameters": parameters if isinstance(parameters, dict) else {"type": "object"},
        # To send a default along is to change what was meant to be left as it is.
        OWN_DEFAULTS: True,
    }
    declared |= {key: tool[key] for key in _PASSED_ON if key in tool}
    if path != name:
        declared["_meta"] = {**(declared.get("_meta") or {}), UPSTREAM_NAME: name}
    if may_ask:
        declared[INTERACTION] = True
    return {"type": "function", "function": declared}
