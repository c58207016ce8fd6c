"""What a provider says about its service for this door alone: ``config.mcp`` of a registration.

::

    "config": {"mcp": {
        "tools": {"delete": {"title": "Delete a file", "annotations": {"destructiveHint": true}}},
        "toolsets": {"reading": ["list", "read"]}, "group": "files", "pinned": ["list"],
        "schema": "portable", "mode": "search", "maxResultChars": 20000,
    }}

What cannot be read is passed over: a registration never fails by it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeGuard

from mcp_bridge.profiles import Profile
from schema.functions import OWN_DEFAULTS, FunctionInfo
from schema.services import ServiceInfo

Mode = Literal["all", "search", "auto"]
MODES: Final[tuple[Mode, ...]] = ("all", "search", "auto")

MAX_RESULT_CHARS: Final = 100_000
"""Of a tool's result, unless its provider says another number."""
MAX_RESULT_KEY: Final = "maxResultChars"
_OVERRIDES: Final = (
    "title", "description", "annotations", "outputSchema", "icons", "_meta", MAX_RESULT_KEY,
    OWN_DEFAULTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """See the module."""

    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    toolsets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    """Toolsets of the workspace that the whole service is in."""
    pinned: frozenset[str] = frozenset()
    profile: Profile | None = None
    mode: Mode | None = None
    max_result_chars: int = MAX_RESULT_CHARS

    @classmethod
    def of(cls, service: ServiceInfo) -> ServiceOptions:
        given = service.config.get("mcp")
        if not isinstance(given, Mapping):
            return NO_OPTIONS
        tools = given.get("tools")
        limit = given.get(MAX_RESULT_KEY)
        return cls(
            tools={
                str(name): {key: entry[key] for key in _OVERRIDES if key in entry}
                for name, entry in (tools.items() if isinstance(tools, Mapping) else ())
                if isinstance(entry, Mapping)
            },
            toolsets=toolsets_of(service.config),
            groups=_words(given.get("group")),
            pinned=_words(given.get("pinned")),
            profile=Profile.named(given.get("schema")),
            mode=next((mode for mode in MODES if mode == given.get("mode")), None),
            max_result_chars=limit if is_limit(limit) else MAX_RESULT_CHARS,
        )

    def applied(self, function: FunctionInfo) -> FunctionInfo:
        """The function with what the service says about it."""
        override = self.tools.get(function.path) or self.tools.get(
            str(function.declared.get("name"))
        )
        declared = {MAX_RESULT_KEY: self.max_result_chars, **function.declared, **(override or {})}
        if not override and self.max_result_chars == MAX_RESULT_CHARS:
            return function
        description = declared["description"] if "description" in (override or {}) else None
        return replace(
            function,
            declared=declared,
            description=description if isinstance(description, str) else function.description,
        )


NO_OPTIONS: Final = ServiceOptions()


def toolsets_of(config: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The sets in the ``config`` of a service or a workspace, with their members."""
    given = config.get("mcp")
    named = given.get("toolsets") if isinstance(given, Mapping) else None
    if not isinstance(named, Mapping):
        return {}
    return {str(name): _words(members) for name, members in named.items()}


def is_limit(value: object) -> TypeGuard[int]:
    """Whether a value is a number of characters that a result may have."""
    return type(value) is int and 0 < value <= 10_000_000


def _words(value: object) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset((value,))
    if not isinstance(value, list | tuple):
        return frozenset()
    return frozenset(word for word in value if isinstance(word, str))
