"""Functions of the manager that are about services."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from gateway.registry.directory import DEFAULT_SELECT_SECONDS, Directory
from gateway.registry.registry import Registry
from gateway.registry.sharing import SchemaPool
from gateway.routing.router import Router
from gateway.rpc.endpoint import Endpoint
from gateway.wire.codec import unpack
from gateway.workspaces.exported import set_up
from gateway.workspaces.listing import ServiceFilter
from gateway.workspaces.registering import is_local_only, read_registration
from schema.errors import (
    Conflict,
    InvalidRequest,
    LimitExceeded,
    Unavailable,
)
from schema.identity import ANY_WORKSPACE, Caller
from schema.ids import MANAGER, ServiceQuery
from schema.services import (
    BUILT_IN,
    ServiceInfo,
    Visibility,
)

MAX_CLIENT_BYTES: Final = 32 * 1024 * 1024
"""Size of what one client can register altogether."""


class ServiceFunctions:
    """Register, find and list services."""

    def __init__(
        self,
        registry: Registry,
        directory: Directory,
        router: Router,
        endpoint: Endpoint,
        *,
        max_per_client: int,
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._router = router
        self._endpoint = endpoint
        self._max_per_client = max_per_client
        self._schemas = SchemaPool()

    async def register_service(
        self, caller: Caller, service: dict[str, Any], config: dict[str, Any] | None = None
    ) -> None:
        """Register a service of the connected client; one of the same id is replaced. The
        function setup() of a service "default" has run, or was given up, when this returns."""
        session = self._router.get(caller.address or "")
        if session is None or session.caller is not caller:
            raise Conflict("Another connection of this client has taken over")
        info = read_registration(service, caller, self._schemas)
        if is_local_only(service):
            return  # callbacks of one client; it expects no error for them
        is_built_in = info.id.service_id == BUILT_IN
        if not is_built_in:
            self._check_quota(session.address, info)
        replaced = self._directory.offer(caller, info)
        if is_built_in:
            # A client is complete once its built-in is there, so that is when others hear of it.
            event = "client_updated" if replaced else "client_connected"
            data = {"id": session.address, "workspace": session.workspace}
            self._router.publish(session.workspace, event, data)
        await set_up(self._endpoint, caller, info)

    async def unregister_service(self, caller: Caller, service_id: str) -> None:
        """Unregister a service: the client's own of that id, or with admin permission another's."""
        self._directory.withdraw(caller, ServiceQuery.parse(service_id, caller.workspace))

    async def get_service(
        self, caller: Caller, service_id: str, config: dict[str, Any] | None = None
    ) -> Any:
        """Get a service with its functions. A query is [workspace/][client:]service[@app]."""
        options = config or {}
        info = await self._find(caller, service_id, options)
        packed = await self._directory.show(
            caller, info, timeout_seconds=_seconds(options, "timeout")
        )
        case = options.get("case_conversion")
        return packed if case is None else _convert_keys(unpack(packed), case)

    async def get_service_info(
        self, caller: Caller, service_id: str, config: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Get the registry's entry for a service, without asking its provider."""
        info = await self._find(caller, service_id, config or {})
        entry = self._directory.entry(caller, info)
        if ServiceQuery.parse(service_id, caller.workspace).is_manager:
            entry["id"], entry["config"]["workspace"] = MANAGER, ANY_WORKSPACE
        return entry

    async def list_services(
        self,
        caller: Caller,
        query: dict[str, Any] | str | None = None,
        include_unlisted: bool = False,
        include_app_services: bool = False,
        prioritize_running_services: bool = False,
    ) -> list[dict[str, Any]]:
        """List services that the caller may see: of its workspace, of another, or with the
        workspace "*" the public ones of all workspaces and the caller's own."""
        wanted = ServiceFilter.read(query, caller.workspace)
        if wanted.workspace == ANY_WORKSPACE:
            own = [
                s
                for s in self._registry.in_workspace(caller.workspace)
                if s.visibility is not Visibility.PUBLIC
            ]
            candidates: Iterable[ServiceInfo] = (*self._registry.public(), *own)
        else:
            candidates = self._registry.in_workspace(wanted.workspace)
        fitting = filter(wanted.matches, candidates)
        listed = self._directory.listed(caller, fitting, with_hidden=include_unlisted)
        return [self._directory.entry(caller, service) for service in listed]

    async def search_services(  # noqa: PLR0913 - a signature that clients know
        self,
        caller: Caller,
        query: Any = None,
        filters: dict[str, Any] | None = None,
        limit: int = 5,
        offset: int = 0,
        return_fields: list[str] | None = None,
        order_by: str | None = None,
        pagination: bool = False,
        include_unlisted: bool = False,
    ) -> Any:
        """Search services by meaning. Not available on this server."""
        raise Unavailable("Service search is not enabled.")

    def _check_quota(self, address: str, info: ServiceInfo) -> None:
        own = self._registry.of_client(address)
        # Its built-in is not one that it chose to have.
        if len(own) > self._max_per_client and self._registry.get(info.id) is None:
            raise LimitExceeded(
                f"Service quota exceeded: a client can register {self._max_per_client}"
            )
        others = sum(service.size_bytes for service in own if service.id != info.id)
        if others + info.size_bytes > MAX_CLIENT_BYTES:
            raise LimitExceeded(
                f"Service quota exceeded: a client can register {MAX_CLIENT_BYTES} bytes"
            )

    async def _find(self, caller: Caller, service_id: str, options: dict[str, Any]) -> ServiceInfo:
        query = ServiceQuery.parse(service_id, caller.workspace)
        mode = options.get("mode")
        if mode is not None and not isinstance(mode, str):
            raise InvalidRequest("The option 'mode' must be text")
        return await self._directory.find(
            caller,
            query,
            mode,
            select_seconds=_seconds(options, "select_timeout") or DEFAULT_SELECT_SECONDS,
        )


def _seconds(options: dict[str, Any], key: str) -> float | None:
    value = options.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 86400:
        raise InvalidRequest(f"The option {key!r} must be a number of seconds")
    return float(value)


def _convert_keys(value: Any, case: object) -> Any:
    if case not in ("camel", "snake"):
        raise InvalidRequest(f"Invalid case_conversion: {case!r}; expected camel or snake")
    convert = _camel if case == "camel" else _snake

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(child) for child in node]
        if isinstance(node, dict) and "_rtype" not in node:
            return {
                convert(k) if isinstance(k, str) and not k.startswith("_") else k: (
                    v if k == "config" else walk(v)
                )
                for k, v in node.items()
            }
        return node

    return walk(value)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    if not rest:
        return head[:1].lower() + head[1:]
    return head + "".join(part.capitalize() for part in rest)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
