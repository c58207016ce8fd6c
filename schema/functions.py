"""What a function takes: one description, from which MCP tools and OpenAPI are made.

A provider's ``service_schema`` is a tree: maps nest, a leaf ``{"type": "function", "function":
{"name", "description", "parameters"}}`` is callable, any other leaf is a constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schema.parameters import defaults_of

_MAX_DEPTH = 16

INTERACTION = "interaction"
"""Parameter through which a function reaches whoever has called it. The gateway fills it in, so
callers do not see it."""
OWN_DEFAULTS = "appliesDefaults"
"""Declared of a function that has its defaults itself, and is sent only what its caller gave."""


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """One callable of a service."""

    path: str
    """Dotted path inside the service: ``add`` or ``math.add``."""
    description: str
    parameters: Mapping[str, Any] | None
    """JSON Schema of the arguments (root ``type: object``); None if the provider gave none."""
    declared: Mapping[str, Any]
    """The provider's whole ``function`` map: name, description, parameters and anything beyond."""
    takes_interaction: bool = False
    """The function has the parameter ``interaction``, which is not among ``parameters``."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What its schema says of arguments that are not given, unless it sees to that itself."""

    @property
    def parameter_names(self) -> list[str]:
        """Names in declared order, for callers that pass arguments by position."""
        properties = (self.parameters or {}).get("properties")
        return list(properties) if isinstance(properties, Mapping) else []


def iter_functions(service_schema: object) -> Iterator[FunctionInfo]:
    """All callables of a service, in declared order, nested ones with their dotted path."""
    return _walk(service_schema, "", 0)


def _walk(node: object, prefix: str, depth: int) -> Iterator[FunctionInfo]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(node, Mapping):
        for key, child in node.items():
            path = f"{prefix}.{key}" if prefix else str(key)
            if is_function(child):
                yield _describe(path, child)
            elif isinstance(child, (Mapping, list)):
                yield from _walk(child, path, depth + 1)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            path = f"{prefix}.{index}"
            if is_function(child):
                yield _describe(path, child)
            elif isinstance(child, (Mapping, list)):
                yield from _walk(child, path, depth + 1)


def has_only_functions(node: object, depth: int = 0) -> bool:
    """True if a service is described completely by its functions: it has no other members, whose
    values only its provider knows."""
    if depth > _MAX_DEPTH:
        return False
    if is_function(node):
        return True
    children = node.values() if isinstance(node, Mapping) else node
    if not children or not isinstance(node, (Mapping, list)):
        return False
    return all(has_only_functions(child, depth + 1) for child in children)  # type: ignore[attr-defined]


def is_function(node: object) -> bool:
    """True for the leaf that stands for a callable (and not for a member called "type")."""
    return isinstance(node, Mapping) and node.get("type") == "function"


def _describe(path: str, node: Mapping[str, Any]) -> FunctionInfo:
    declared = node.get("function")
    if not isinstance(declared, Mapping):
        declared = {}
    parameters = declared.get("parameters")
    description = declared.get("description")
    takes_interaction = declared.get(INTERACTION) is True
    if isinstance(parameters, Mapping) and _has_interaction(parameters):
        takes_interaction = True
        parameters = _without_interaction(parameters)
    defaults: Mapping[str, Any] = {}
    if isinstance(parameters, Mapping) and declared.get(OWN_DEFAULTS) is not True:
        defaults = defaults_of(parameters)
    return FunctionInfo(
        path=path,
        description=description if isinstance(description, str) else "",
        parameters=parameters if isinstance(parameters, Mapping) else None,
        declared=declared,
        takes_interaction=takes_interaction,
        defaults=defaults,
    )


def _has_interaction(parameters: Mapping[str, Any]) -> bool:
    properties = parameters.get("properties")
    return isinstance(properties, Mapping) and INTERACTION in properties


def _without_interaction(parameters: Mapping[str, Any]) -> dict[str, Any]:
    properties = {k: v for k, v in parameters["properties"].items() if k != INTERACTION}
    rest = {**parameters, "properties": properties}
    if isinstance(required := parameters.get("required"), list):
        rest["required"] = [name for name in required if name != INTERACTION]
    return rest
