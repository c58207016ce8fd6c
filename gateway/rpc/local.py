"""The gateway's own services: plain async functions that take the caller first.

They are reached by RPC clients through the endpoint and by HTTP and MCP through ``Gateway.call``,
with the same function objects and the same binding of arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, get_type_hints

from pydantic import ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from gateway.rpc.values import encode_method
from schema.errors import FunctionNotFound, InvalidArguments, ServiceNotFound
from schema.identity import Caller
from schema.services import ServiceInfo

LocalFunction = Callable[..., Awaitable[Any]]
"""``async def fn(caller, ...)``; what follows the caller is what callers see."""


class LocalService:
    """A service of the gateway: its registry entry, its functions, its encoded form."""

    def __init__(
        self,
        info: ServiceInfo,
        functions: Mapping[str, LocalFunction],
        *,
        target: str,
        base_url: str,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.info = info
        self._functions = {path: _Bound(fn) for path, fn in functions.items()}
        name = info.id.service_id
        self.encoded: dict[str, Any] = {
            "id": name,
            "name": info.name,
            "description": info.description,
            "type": info.type,
            "config": dict(info.config),
            **(members or {}),
        }
        for path, bound in self._functions.items():
            *parents, leaf = path.split(".")
            node = self.encoded
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = encode_method(
                target,
                f"services.{name}.{path}",
                base_url=base_url,
                name=leaf,
                doc=bound.doc,
                schema={"name": leaf, "description": bound.doc, "parameters": bound.parameters},
            )

    async def invoke(
        self, caller: Caller, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Bind and run. Raises FunctionNotFound, InvalidArguments, or what the function raises."""
        bound = self._functions.get(path)
        if bound is None:
            raise FunctionNotFound(f"{path} not found.")
        return await bound.call(caller, args, kwargs)


class LocalServices:
    """The gateway's own services by service id."""

    def __init__(self) -> None:
        self._services: dict[str, LocalService] = {}

    def add(self, service: LocalService) -> None:
        self._services[service.info.id.service_id] = service

    def get(self, service_id: str) -> LocalService:
        try:
            return self._services[service_id]
        except KeyError:
            raise ServiceNotFound(f"Service not found: {service_id}") from None


class _Bound:
    """One function: its signature as callers see it."""

    def __init__(self, function: LocalFunction) -> None:
        self.function = function
        self.doc = inspect.cleandoc(function.__doc__ or "")
        self.names, self.required = _signature(function)
        self.parameters = _json_schema(function)

    async def call(self, caller: Caller, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if len(args) > len(self.names):
            raise InvalidArguments(
                f"takes {len(self.names)} positional arguments but {len(args)} were given"
            )
        named = dict(zip(self.names, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.names:
                raise InvalidArguments(f"got an unexpected keyword argument '{name}'")
            if name in named:
                raise InvalidArguments(f"got multiple values for argument '{name}'")
            named[name] = value
        for name in self.required:
            if name not in named:
                raise InvalidArguments(f"Missing required argument: '{name}'")
        return await self.function(caller, **named)


def _signature(function: LocalFunction) -> tuple[list[str], list[str]]:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    required = [p.name for p in parameters if p.default is inspect.Parameter.empty]
    return [p.name for p in parameters], required


def _json_schema(function: LocalFunction) -> dict[str, Any]:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        annotation = hints.get(parameter.name, Any)
        default: Any = parameter.default
        if default is inspect.Parameter.empty:
            default = ...
        fields[parameter.name] = (annotation, default if _is_field(default) else Field(default))
    model = create_model("Arguments", __config__=ConfigDict(arbitrary_types_allowed=True), **fields)
    schema = model.model_json_schema()
    schema.pop("title", None)
    for child in schema.get("properties", {}).values():
        child.pop("title", None)
    schema.setdefault("properties", {})
    return schema


def _is_field(value: object) -> bool:
    return isinstance(value, FieldInfo)


def describe_functions(functions: Mapping[str, LocalFunction]) -> dict[str, Any]:
    """``service_schema`` of a local service, so that bridges show it like any other."""
    tree: dict[str, Any] = {}
    for path, function in functions.items():
        *parents, leaf = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        declared = {
            "name": leaf,
            "description": inspect.cleandoc(function.__doc__ or ""),
            "parameters": _json_schema(function),
        }
        node[leaf] = {"type": "function", "function": declared}
    return tree
