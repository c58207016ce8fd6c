"""Services inside the process: the gateway's own, and those that it hosts in a workspace.

They are reached by RPC clients through the endpoint and by HTTP and MCP through ``Gateway.call``,
with the same function objects and the same binding of arguments. An own service consists of plain
async functions that take the caller first; a hosted one is whatever keeps ``InProcessService``.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Protocol, get_type_hints

from pydantic import TypeAdapter, ValidationError

from gateway.auth.access import ServiceAction, decide
from gateway.auth.function_access import FunctionAccess
from gateway.rpc.values import encode_method
from gateway.wire.codec import pack
from gateway.wire.methods import service_method
from schema.errors import (
    Conflict,
    FunctionNotFound,
    GatewayError,
    InvalidArguments,
    ServiceNotFound,
)
from schema.identity import Caller
from schema.ids import ServiceId
from schema.services import ServiceInfo


class ForeignFunction:
    """A function of the operator's as a function of the gateway's: any signature, sync or async.
    It gets its arguments as they come, and the ``context`` of the call if it asks for that."""

    def __init__(
        self, function: Callable[..., Any], call: Callable[..., Awaitable[Any]] | None = None
    ) -> None:
        """``call`` is awaited with the function and its arguments, in place of calling it."""
        self._function = function
        self._call = call or _called
        self.__doc__ = function.__doc__
        try:
            names = inspect.signature(function).parameters
        except (TypeError, ValueError):
            names = MappingProxyType({})
        self._takes_context = "context" in names
        visible = [name for name in names if name not in ("self", "context")]
        self.parameters: dict[str, Any] = {
            "type": "object",
            "properties": {name: {} for name in visible},
        }

    async def __call__(self, caller: Caller, /, *args: Any, **kwargs: Any) -> Any:
        if self._takes_context:
            client = caller.address or caller.workspace
            context = {"user": caller.user_on_wire(), "ws": caller.workspace, "from": client}
            kwargs = {**kwargs, "context": context}
        return await self._call(self._function, *args, **kwargs)


async def _called(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    value = function(*args, **kwargs)
    return await value if inspect.isawaitable(value) else value


LocalFunction = Callable[..., Awaitable[Any]]
"""``async def fn(caller, ...)``; what follows the caller is what callers see."""


class Packed(bytes):
    """A value that is already encoded, for answers that are the same for everybody."""


class InProcessService(Protocol):
    """A service that runs in this process."""

    @property
    def info(self) -> ServiceInfo:
        """Its registry entry."""
        ...

    @property
    def packed(self) -> Packed:
        """The service object as RPC clients get it."""
        ...

    async def invoke(
        self,
        caller: Caller,
        path: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Any = None,
    ) -> Any:
        """Run a function: its value, or an async generator. ``options`` are the ``CallOptions``
        of a call that came through ``Gateway.call``, None for an RPC client's.

        Raises FunctionNotFound, InvalidArguments, or what the function raises.
        """
        ...

    def missing(self, path: str) -> GatewayError:
        """What to raise for a path where there is nothing."""
        ...


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
                service_method(name, path),
                base_url=base_url,
                name=leaf,
                doc=bound.doc,
                schema={"name": leaf, "description": bound.doc, "parameters": bound.parameters},
            )

    @cached_property
    def packed(self) -> Packed:
        """The encoded form as bytes; clients fetch the manager several times per connection."""
        return Packed(pack(self.encoded))

    async def invoke(
        self,
        caller: Caller,
        path: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Any = None,
    ) -> Any:
        """Bind and run. Raises FunctionNotFound, InvalidArguments, or what the function raises."""
        bound = self._functions.get(path)
        if bound is None:
            raise self.missing(path)
        return await bound.call(caller, args, kwargs)

    def missing(self, path: str) -> GatewayError:
        return FunctionNotFound(f"{path} not found.")


class LocalServices:
    """Services inside the process. The gateway's own are found by their id in every workspace,
    hosted ones in theirs."""

    def __init__(self, functions: FunctionAccess | None = None) -> None:
        self._functions = functions or FunctionAccess()
        self._own: dict[str, LocalService] = {}
        self._hosted: dict[tuple[str, str], InProcessService] = {}

    def add(self, service: LocalService) -> None:
        """Serve one of the gateway's own."""
        self._own[service.info.id.service_id] = service

    def host(self, service: InProcessService) -> None:
        """Serve one in its workspace, in place of the one of its id. Raises Conflict if the id is
        that of an own service."""
        sid = service.info.id
        if sid.service_id in self._own:
            raise Conflict(f"The service id {sid.service_id} belongs to the gateway")
        self._hosted[sid.workspace, sid.service_id] = service

    def drop(self, info: ServiceInfo) -> None:
        """Serve a hosted one no longer, unless it has been replaced since."""
        key = info.id.workspace, info.id.service_id
        hosted = self._hosted.get(key)
        if hosted is not None and hosted.info is info:
            del self._hosted[key]

    def drop_workspace(self, workspace: str) -> None:
        """Serve no hosted ones in a workspace any longer."""
        for key in [key for key in self._hosted if key[0] == workspace]:
            del self._hosted[key]

    def get(self, service_id: str) -> LocalService:
        """One of the gateway's own. Raises ServiceNotFound."""
        try:
            return self._own[service_id]
        except KeyError:
            raise ServiceNotFound(f"Service not found: {service_id}") from None

    def is_own(self, service_id: str) -> bool:
        """Whether it is the id of one of the gateway's own."""
        return service_id in self._own

    def at(self, sid: ServiceId) -> InProcessService:
        """The one behind a registry entry. Raises ServiceNotFound."""
        hosted = self._hosted.get((sid.workspace, sid.service_id))
        return hosted if hosted is not None else self.get(sid.service_id)

    async def call(
        self,
        caller: Caller,
        workspace: str,
        service_id: str,
        path: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Run a function for a client that calls it at the gateway's address in ``workspace``.

        Raises what ``open_to`` and ``InProcessService.invoke`` raise.
        """
        service = self.open_to(caller, workspace, service_id, path)
        return await service.invoke(caller, path, args, kwargs)

    def open_to(
        self, caller: Caller, workspace: str, service_id: str, path: str
    ) -> InProcessService:
        """The one that a client calls the function at ``path`` of, at the gateway's address in
        ``workspace``; own services decide themselves who may do what.

        Raises ServiceNotFound, PermissionDenied, FunctionNotFound.
        """
        hosted = self._hosted.get((workspace, service_id))
        if hosted is None:
            return self.get(service_id)
        decide(caller, ServiceAction.USE, hosted.info).require()
        self._functions.require(caller, hosted.info, path)
        return hosted


class _Bound:
    """One function, and its arguments as callers see them."""

    def __init__(self, function: LocalFunction) -> None:
        self.function = function
        self.doc = inspect.cleandoc(function.__doc__ or "")
        self.is_foreign = isinstance(function, ForeignFunction)
        self._takes = _parameters(function)
        self._names = [parameter.name for parameter in self._takes]
        self.parameters = _schema_of(function, self._takes)

    async def call(self, caller: Caller, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self.is_foreign:
            return await self.function(caller, *args, **kwargs)
        if len(args) > len(self._names):
            raise InvalidArguments(
                f"takes {len(self._names)} positional arguments but {len(args)} were given"
            )
        named = dict(zip(self._names, args, strict=False))
        for name, value in kwargs.items():
            if name not in self._names:
                raise InvalidArguments(f"got an unexpected keyword argument '{name}'")
            if name in named:
                raise InvalidArguments(f"got multiple values for argument '{name}'")
            named[name] = value
        checked = {parameter.name: parameter.of(named) for parameter in self._takes}
        return await self.function(caller, **checked)


class _Type:
    """What an annotation admits. Functions share them: they are slow to make, and those of the
    gateway's own functions are needed at every start."""

    def __init__(self, annotation: Any) -> None:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self.validate = adapter.validate_python
        self.schema = adapter.json_schema()


_type_of = cache(_Type)


class _Parameter:
    """One argument of a function of the gateway's own."""

    def __init__(self, parameter: inspect.Parameter, annotation: Any) -> None:
        self.name = parameter.name
        self.is_required = parameter.default is inspect.Parameter.empty
        self._default = parameter.default
        self._type: _Type = _type_of(annotation)

    def of(self, named: Mapping[str, Any]) -> Any:
        """Its value among those that were given by name. Raises InvalidArguments."""
        if self.name not in named:
            if self.is_required:
                raise InvalidArguments(f"Missing required argument: '{self.name}'")
            return self._default
        try:
            return self._type.validate(named[self.name])
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in (self.name, *problem["loc"]))
            raise InvalidArguments(f"Argument '{place}': {problem['msg']}") from None

    @property
    def schema(self) -> dict[str, Any]:
        """It as JSON Schema, the caller's own to change."""
        schema = copy.deepcopy(self._type.schema)
        return schema if self.is_required else {**schema, "default": self._default}


def _parameters(function: LocalFunction) -> Sequence[_Parameter]:
    """Those that follow the caller; none of a function that gets its arguments as they come."""
    if isinstance(function, ForeignFunction):
        return ()
    hints = get_type_hints(function, include_extras=True)
    following = list(inspect.signature(function).parameters.values())[1:]
    return [_Parameter(each, hints.get(each.name, Any)) for each in following]


def _schema_of(function: LocalFunction, takes: Sequence[_Parameter]) -> dict[str, Any]:
    """What a function takes, as JSON Schema."""
    if isinstance(function, ForeignFunction):
        return copy.deepcopy(function.parameters)
    properties = {parameter.name: parameter.schema for parameter in takes}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required := [parameter.name for parameter in takes if parameter.is_required]:
        schema["required"] = required
    return schema


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
            "parameters": _listable(_schema_of(function, _parameters(function))),
        }
        node[leaf] = {"type": "function", "function": declared}
    return tree


def _listable(schema: Any) -> Any:
    """A schema without ``items``: in an entry of a list, hypha-rpc's synchronous client mistakes a
    key of that name for the method of its maps, and loses the whole list."""
    if isinstance(schema, list):
        return [_listable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    is_array = schema.get("type") == "array"
    return {k: _listable(v) for k, v in schema.items() if not (is_array and k == "items")}
