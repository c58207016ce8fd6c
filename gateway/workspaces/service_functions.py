"""Functions of the manager that are about services."""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.auth.access import (
    Action,
    ServiceAction,
    decide,
    hidden_from_strangers,
    is_inside,
)
from gateway.auth.function_access import FunctionAccess
from gateway.registry.directory import DEFAULT_SELECT_SECONDS, Directory
from gateway.registry.registry import Registry
from gateway.registry.sharing import SchemaPool
from gateway.routing.router import Router
from gateway.rpc.endpoint import Endpoint
from gateway.wire.codec import unpack
from gateway.workspaces.exported import set_up
from schema.access import declared_rules, without_rules
from schema.errors import (
    Conflict,
    InvalidRequest,
    LimitExceeded,
    PermissionDenied,
    ServiceNotFound,
    Unavailable,
)
from schema.identity import ANY_WORKSPACE, Caller
from schema.ids import ANY, MANAGER, ServiceId, ServiceQuery, parse_registration_id
from schema.services import (
    BUILT_IN,
    MAX_DESCRIPTION,
    ServiceInfo,
    Visibility,
    parse_visibility,
)

_QUERY_KEYS: Final = frozenset(
    {"visibility", "workspace", "client_id", "service_id", "id", "type", "app_id"}
)
_PATTERN: Final = re.compile(r"[a-zA-Z0-9\-_/|*.~]*")
_LOCAL_ONLY_PREFIX: Final = "_rintf_"


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
        functions: FunctionAccess,
    ) -> None:
        self._functions = functions
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
        if session is None or session.caller is not caller or caller.client_id is None:
            raise PermissionDenied("Only a connected client can register a service")
        info = self._read_registration(service, caller, caller.client_id)
        if info.id.service_id.startswith(_LOCAL_ONLY_PREFIX) or info.config.get("_local_only"):
            return  # callbacks of one client; it expects no error for them
        if info.id.service_id != BUILT_IN:
            decide(caller, Action.REGISTER_SERVICE, caller.workspace).require()
            own = self._registry.of_client(session.address)
            # Its built-in is not one that it chose to have.
            if len(own) > self._max_per_client and self._registry.get(info.id) is None:
                raise LimitExceeded(
                    f"Service quota exceeded: a client can register {self._max_per_client}"
                )
        replaced = self._registry.add(info)
        if info.id.service_id == BUILT_IN:
            # A client is complete once its built-in is there, so that is when others hear of it.
            event = "client_updated" if replaced else "client_connected"
            data = {"id": session.address, "workspace": session.workspace}
            self._router.publish(session.workspace, event, data)
        await set_up(self._endpoint, caller, info)

    async def unregister_service(self, caller: Caller, service_id: str) -> None:
        """Unregister a service: the client's own of that id, or with admin permission another's."""
        query = ServiceQuery.parse(service_id, caller.workspace)
        if query.workspace != caller.workspace:
            raise PermissionDenied("Services of another workspace cannot be unregistered")
        own = self._registry.get(
            ServiceId(caller.workspace, caller.client_id or "", query.service_id)
        )
        if own is not None and query.client_id in (ANY, caller.client_id):
            self._registry.remove(own)
            return
        found = self._registry.matching(query)
        if not found:
            raise ServiceNotFound(f"Service not found: {query}")
        decide(caller, Action.MANAGE_OTHERS_SERVICES, caller.workspace).require()
        if len(found) > 1:
            raise Conflict(f"Multiple services found for {query}")
        self._registry.remove(found[0])

    async def get_service(
        self, caller: Caller, service_id: str, config: dict[str, Any] | None = None
    ) -> Any:
        """Get a service with its functions. A query is [workspace/][client:]service[@app]."""
        options = config or {}
        info = await self._find(caller, service_id, options)
        packed = await self._directory.show(
            info,
            inside=is_inside(caller, info.id.workspace),
            timeout_seconds=_seconds(options, "timeout"),
        )
        case = options.get("case_conversion")
        return packed if case is None else _convert_keys(unpack(packed), case)

    async def get_service_info(
        self, caller: Caller, service_id: str, config: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Get the registry's entry for a service, without asking its provider."""
        info = await self._find(caller, service_id, config or {})
        entry = info.to_wire(inside=is_inside(caller, info.id.workspace))
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
        wanted = _read_query(query, caller.workspace)
        workspace = wanted.pop("workspace", caller.workspace)
        if include_unlisted:
            _check_may_list_unlisted(caller, workspace)
        elif wanted.get("visibility") == Visibility.UNLISTED.value:
            raise PermissionDenied("Unlisted services are only listed with include_unlisted")
        if workspace == ANY_WORKSPACE:
            if wanted.get("visibility") not in (None, Visibility.PUBLIC.value):
                raise PermissionDenied("Only public services can be listed in all workspaces")
            own = [
                s
                for s in self._registry.in_workspace(caller.workspace)
                if s.visibility is not Visibility.PUBLIC
            ]
            candidates = [*self._registry.public(), *own]
        else:
            candidates = list(self._registry.in_workspace(workspace))
        entries: list[dict[str, Any]] = []
        for service in candidates:
            if not _matches(service, wanted):
                continue
            inside = is_inside(caller, service.id.workspace)
            if not inside and hidden_from_strangers(service):
                continue
            unlisted = service.visibility is Visibility.UNLISTED and include_unlisted
            if unlisted or decide(caller, ServiceAction.SEE_LISTED, service).allowed:
                if service.visibility is Visibility.UNLISTED and not include_unlisted:
                    continue
                entries.append(self._functions.view(caller, service).to_wire(inside=inside))
        return entries

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

    def _read_registration(
        self, service: dict[str, Any], caller: Caller, client_id: str
    ) -> ServiceInfo:
        sid = parse_registration_id(service.get("id"), caller.workspace, client_id)
        config = service.get("config") or {}
        if not isinstance(config, dict):
            raise InvalidRequest("A service's config must be a map")
        description = service.get("description")
        if isinstance(description, str) and len(description) > MAX_DESCRIPTION:
            description = description[: MAX_DESCRIPTION - 1] + "…"
        app_id = service.get("app_id") or ANY
        if not isinstance(app_id, str) or (app_id != ANY and any(c in app_id for c in "/:@* ")):
            raise InvalidRequest(f"Invalid app id: {app_id!r}")
        schema = service.get("service_schema")
        schema = schema if isinstance(schema, dict) else {}
        access = declared_rules(config, schema)
        if access:
            schema = without_rules(schema)
        return ServiceInfo(
            id=sid,
            name=_text_or(service.get("name"), sid.service_id),
            type=_text_or(service.get("type"), "generic"),
            description=description if isinstance(description, str) else None,
            docs=service.get("docs"),
            app_id=app_id,
            visibility=parse_visibility(config),
            service_schema=self._schemas.shared(schema) if schema else {},
            access=access,
            config=config,
            owner=caller.user,
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


def _text_or(value: object, default: str) -> str:
    return value if isinstance(value, str) and value else default


def _seconds(options: dict[str, Any], key: str) -> float | None:
    value = options.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 86400:
        raise InvalidRequest(f"The option {key!r} must be a number of seconds")
    return float(value)


def _read_query(query: dict[str, Any] | str | None, workspace: str) -> dict[str, str]:
    if query is None:
        return {}
    if isinstance(query, str):
        return _read_text_query(query, workspace)
    unknown = set(query) - _QUERY_KEYS
    if unknown:
        raise InvalidRequest(f"Invalid query keys: {unknown}")
    if "id" in query and "service_id" in query:
        raise InvalidRequest("Use either 'id' or 'service_id' in a query, not both")
    wanted: dict[str, str] = {}
    for key, value in query.items():
        if value is None:
            continue
        if not isinstance(value, str) or not _PATTERN.fullmatch(value):
            raise InvalidRequest(f"Invalid query value for {key!r}: {value!r}")
        wanted["service_id" if key == "id" else key] = value
    return wanted


def _read_text_query(text: str, workspace: str) -> dict[str, str]:
    if "/" not in text and ":" not in text:
        return {"workspace": text}
    wanted: dict[str, str] = {}
    rest = text
    if "/" in rest:
        target, _, rest = rest.partition("/")
        if target == ANY_WORKSPACE:
            wanted["visibility"] = Visibility.PUBLIC.value
            target = workspace
        wanted["workspace"] = target
    client, colon, service = rest.rpartition(":")
    if colon and client != ANY:
        wanted["client_id"] = client
    if service != ANY:
        wanted["service_id"] = service.partition("@")[0]
    for value in wanted.values():
        if not _PATTERN.fullmatch(value):
            raise InvalidRequest(f"Invalid query: {text!r}")
    return wanted


def _check_may_list_unlisted(caller: Caller, workspace: str) -> None:
    if workspace != caller.workspace:
        raise PermissionDenied("Unlisted services can only be listed in the own workspace")
    decide(caller, Action.READ_WORKSPACE, workspace).require()


def _matches(service: ServiceInfo, wanted: dict[str, str]) -> bool:
    actual = {
        "visibility": service.visibility.value,
        "client_id": service.id.client_id,
        "service_id": service.id.service_id,
        "type": service.type,
        "app_id": service.app_id,
    }
    return all(value in (ANY, actual[key]) for key, value in wanted.items())


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
