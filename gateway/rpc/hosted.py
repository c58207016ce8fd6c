"""A service that the gateway hosts in a workspace: functions that are only known at run time.

Its registry entry says everything about it: the functions, with schemas that somebody else wrote,
and who may use them. One handler runs them all. Nothing is known here about where they come from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from gateway.rpc.local import Packed
from gateway.rpc.values import encode_method
from gateway.wire.codec import pack
from gateway.wire.methods import service_method
from schema.errors import FunctionHeld, FunctionNotFound, GatewayError, InvalidArguments
from schema.functions import FunctionInfo, is_function
from schema.identity import Caller
from schema.services import ServiceInfo

_OWN_KEYS: Final = frozenset(
    {"id", "name", "description", "type", "config", "docs", "app_id", "service_schema"}
)
"""Keys of every service object; a function of such a name gets a ``_`` behind it there."""


@dataclass(frozen=True, slots=True)
class LocalCall:
    """One call of a hosted function, its arguments by name."""

    caller: Caller
    function: FunctionInfo
    arguments: dict[str, Any]
    options: Any
    """The ``CallOptions``, or None for a call of an RPC client."""


Handler = Callable[[LocalCall], Awaitable[Any]]
"""Runs a call; what it returns is the value, or an async generator."""


class HostedService:
    """See ``gateway.rpc.local.InProcessService``."""

    def __init__(
        self,
        info: ServiceInfo,
        handler: Handler,
        *,
        base_url: str,
        held: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """``held`` says of functions that are held back, by path, what they are called; ``members``
        is what the service object has beside its functions."""
        self._info = info
        self._handler = handler
        self._base_url = base_url
        self._held = held or {}
        self._members = members or {}
        self._aliases = _aliases(info)

    @property
    def info(self) -> ServiceInfo:
        return self._info

    @cached_property
    def packed(self) -> Packed:
        info = self._info
        encoded: dict[str, Any] = {
            "id": str(info.id),
            "name": info.name,
            "description": info.description,
            "type": info.type,
            "docs": info.docs,
            "config": dict(info.config),
        }
        methods = _merged(self._members, self._encode(info.service_schema, ""))
        encoded.update({f"{k}_" if k in _OWN_KEYS else k: v for k, v in methods.items()})
        for alias, path in self._aliases.items():
            if alias not in encoded:
                encoded[alias] = methods[path]
        return Packed(pack(encoded))

    async def invoke(
        self,
        caller: Caller,
        path: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Any = None,
    ) -> Any:
        function = self._function(path)
        return await self._handler(
            LocalCall(caller, function, bind(function, args, kwargs), options)
        )

    def _function(self, path: str) -> FunctionInfo:
        # Never by an alias: whoever decided that the call may be made knew the path alone.
        function = self._info.functions.get(path)
        if function is None:
            raise self.missing(path)
        return function

    def missing(self, path: str) -> GatewayError:
        if path in self._held:
            return FunctionHeld.named(self._held[path])
        return FunctionNotFound(f"{path} not found.")

    def _encode(self, node: Any, prefix: str) -> Any:
        """The tree of schemas as a tree of methods."""
        if isinstance(node, list):
            return [self._encode(child, f"{prefix}{index}.") for index, child in enumerate(node)]
        if not isinstance(node, Mapping):
            return node
        return {
            key: self._method(f"{prefix}{key}", child)
            if is_function(child)
            else self._encode(child, f"{prefix}{key}.")
            for key, child in node.items()
        }

    def _method(self, path: str, leaf: Mapping[str, Any]) -> dict[str, Any]:
        declared = leaf.get("function", {})
        sid = self._info.id
        return encode_method(
            sid.provider,
            service_method(sid.service_id, path),
            base_url=self._base_url,
            name=path,
            doc=declared.get("description", ""),
            schema=declared,
        )


def bind(function: FunctionInfo, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name; those given by position belong to the properties of the function's schema,
    in its order. Raises InvalidArguments."""
    if not args:
        return dict(kwargs)
    names = function.parameter_names
    if len(args) > len(names):
        raise InvalidArguments(
            f"takes {len(names)} positional arguments but {len(args)} were given"
        )
    named = dict(zip(names, args, strict=False))
    for name in named:
        if name in kwargs:
            raise InvalidArguments(f"got multiple values for argument '{name}'")
    return {**named, **kwargs}


def _merged(constants: Any, methods: Any) -> Any:
    """Constants with the methods at their places among them."""
    if isinstance(constants, Mapping) and isinstance(methods, Mapping):
        return {
            **constants,
            **{k: _merged(constants[k], v) if k in constants else v for k, v in methods.items()},
        }
    if isinstance(constants, list) and isinstance(methods, list):
        return [_merged(*pair) for pair in zip(constants, methods, strict=True)]
    return methods


def _aliases(info: ServiceInfo) -> dict[str, str]:
    """A name that programs can write after a dot, for each function that has none: ``get_user``
    for ``get-user``, if no other function is called so."""
    aliases: dict[str, str] = {}
    taken = set(info.functions)
    for path in info.service_schema:
        plain = "".join(c if c.isalnum() or c == "_" else "_" for c in path)
        if path in info.functions and plain != path and plain not in taken:
            taken.add(plain)
            aliases[plain] = path
    return aliases
