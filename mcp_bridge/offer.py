"""What one endpoint offers to one caller: the tools it lists and the way to call them.

The methods see services only through this. An endpoint over a whole workspace is one whose tools,
resources and prompts say which service they come from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.types import Scope

from gateway.api import DEFAULT_OPTIONS, CallOptions, Gateway
from gateway.requests import admit
from mcp_bridge.callers import Callers
from mcp_bridge.catalogue import Catalogue
from mcp_bridge.catalogues import Catalogues
from mcp_bridge.declared import MCP_TYPE
from mcp_bridge.oversize import Oversize
from mcp_bridge.parked import ParkedCalls
from mcp_bridge.prompts import Prompt
from mcp_bridge.resources import Found
from mcp_bridge.schemas import WRAPPED
from mcp_bridge.text import cut
from mcp_bridge.tools import Tool
from mcp_bridge.views import view_of, viewed
from mcp_bridge.workspace import WorkspaceCatalogues, standing_for
from schema.errors import (
    Blocked,
    GatewayError,
    InvalidArguments,
    NotFound,
    PermissionDenied,
    ServiceNotFound,
)
from schema.identity import Caller
from schema.ids import MANAGER, MANAGER_WORD
from schema.services import ServiceInfo

WORKSPACE = "*"
"""Service id of what stands for all services of a workspace; none can be called so."""


@dataclass(slots=True)
class Offer:
    """One service, as one caller may use it. Calls raise what the gateway raises."""

    gateway: Gateway
    caller: Caller
    service: ServiceInfo
    """The service at this endpoint; of a workspace's endpoint, what stands for all of them."""
    catalogue: Catalogue
    parked: ParkedCalls
    oversize: Oversize
    reopen: Callable[[], Awaitable[Offer]]
    """Open the same endpoint with the same credential once more, as it is by then."""
    denied: Callable[[PermissionDenied], GatewayError] | None = None
    """Makes of a refused call the challenge to ask for more rights, if this caller can."""

    def watch(self, watcher: Callable[[ServiceInfo], None]) -> Callable[[], None]:
        """Call ``watcher`` when what is offered may have changed, until the function that is
        returned has been called."""
        sid = self.service.id

        def on_change(service: ServiceInfo) -> None:
            if sid.service_id in (service.id.service_id, WORKSPACE):
                watcher(service)

        return self.gateway.watch(sid.workspace, on_change)

    @property
    def place(self) -> str:
        """Which endpoint it is, whichever replica answers there."""
        return f"{self.service.id.workspace}/{self.service.id.service_id}"

    async def call(self, tool: Tool, arguments: Mapping[str, Any], options: CallOptions) -> Any:
        """Call the function of a tool; value, ValueStream and errors are those of the gateway."""
        function: str = tool.function
        args: Sequence[Any] = ()
        named: Mapping[str, Any] | None = arguments
        if tool.is_wrapped:
            if WRAPPED not in arguments:  # too much came along to be checked
                raise InvalidArguments(f'"{WRAPPED}" is a required property')
            args, named = (arguments[WRAPPED],), None
        if tool.via is not None:
            passed = args[0] if tool.is_wrapped else dict(arguments)
            function, args, named = tool.via, (tool.function, passed), None
        try:
            service = tool.origin.service_for(self.service)
            return await self.gateway.call(self.caller, service, function, args, named, options)
        except PermissionDenied as error:
            raise (self.denied(error) if self.denied is not None else error) from None

    async def read(self, found: Found, options: CallOptions = DEFAULT_OPTIONS) -> Any:
        """The value of a resource."""
        source = found.source
        if not source.path:
            return source.value
        service = source.origin.service_for(self.service)
        if not source.is_function:
            return await self.gateway.read(self.caller, service, source.path)
        known = {**found.variables, "uri": found.uri.removeprefix(source.origin.prefix)}
        named = {key: known[key] for key in source.parameters if key in known}
        return await self.gateway.call(self.caller, service, source.path, (), named, options)

    async def fill_in(
        self, prompt: Prompt, arguments: Mapping[str, str], options: CallOptions = DEFAULT_OPTIONS
    ) -> Any:
        """The value of a prompt for these arguments."""
        path, origin = prompt.source.path, prompt.source.origin
        service = origin.service_for(self.service)
        if prompt.source.parameters:
            named = (origin.name or prompt.name, dict(arguments))
            return await self.gateway.call(self.caller, service, path, named, None, options)
        return await self.gateway.call(self.caller, service, path, (), arguments, options)

    @property
    def completes(self) -> bool:
        """Whether the service itself completes arguments, by a function."""
        return self.service.type == MCP_TYPE and "complete" in self.service.functions

    async def complete(
        self, ref: Mapping[str, Any], argument: Mapping[str, Any], context: object
    ) -> Any:
        """What the service suggests for an argument."""
        known = {"ref": dict(ref), "argument": dict(argument), "context": context}
        names = self.service.functions["complete"].parameter_names
        named = {key: known[key] for key in names if key in known}
        return await self.gateway.call(self.caller, self.service, "complete", (), named)


class Opener:
    """Turns the path and the credential of a request into an offer."""

    def __init__(self, gateway: Gateway, callers: Callers, most_listed: int) -> None:
        """``most_listed``: tools of a workspace that are listed; of more, they are searched for."""
        self._gateway = gateway
        self._callers = callers
        self._catalogues = Catalogues(gateway)
        self._oversize = Oversize()
        self._workspaces = WorkspaceCatalogues(gateway, self._catalogues)
        self._most_listed = most_listed
        self._parked = ParkedCalls()

    async def open(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Offer:
        """Raises GatewayError. A service that does not exist and one that the caller may not see
        give the same error."""
        path: Mapping[str, str] = scope["path_params"]
        if "service" not in path:
            return await self._open_workspace(scope, headers)
        name, workspace = path["service"], path["workspace"]
        try:
            caller = await self._callers.identify(scope, headers)
        except NotFound:
            raise _nothing(name) from None
        admit(scope, caller)
        if name == MANAGER_WORD and not _may_use_manager(caller, workspace):
            raise self._callers.refused(scope, headers, caller, _nothing(name))
        wanted = MANAGER if name == MANAGER_WORD else name
        try:
            service = await self._gateway.find_service(caller, workspace, wanted)
        except Blocked:
            raise
        except (NotFound, PermissionDenied):
            raise self._callers.refused(scope, headers, caller, _nothing(name)) from None
        catalogue = await self._catalogues.of(caller, service)
        return self._offer(scope, headers, caller, service, catalogue)

    async def _open_workspace(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Offer:
        """All services of a workspace that the caller may see. One that does not exist, and one in
        which a stranger may see nothing, give the same error."""
        workspace: str = scope["path_params"]["workspace"]
        nothing = ServiceNotFound(
            f"No workspace {cut(workspace, 100)!r} with services that you may use. If they are "
            "protected, send a token for it in an Authorization header."
        )
        try:
            caller = await self._callers.identify(scope, headers)
        except NotFound:
            raise nothing from None
        admit(scope, caller)
        try:
            catalogue = await self._workspaces.of(caller, workspace)
        except Blocked:
            raise
        except (NotFound, PermissionDenied):
            raise self._callers.refused(scope, headers, caller, nothing) from None
        is_inside = caller.user.scope.permission_on(workspace) is not None
        if not is_inside and catalogue.is_empty:
            raise self._callers.refused(scope, headers, caller, nothing)
        service = standing_for(workspace, WORKSPACE)
        return self._offer(scope, headers, caller, service, catalogue)

    def _offer(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        caller: Caller,
        service: ServiceInfo,
        catalogue: Catalogue,
    ) -> Offer:
        query = scope.get("query_string", b"")
        if query or catalogue.usual_mode != "all":
            catalogue = viewed(catalogue, view_of(query), self._most_listed)
        again = partial(self.open, scope, headers)
        denied = self._callers.denied(scope, headers, caller)
        return Offer(
            self._gateway, caller, service, catalogue, self._parked, self._oversize, again, denied
        )


def _may_use_manager(caller: Caller, workspace: str) -> bool:
    """Whether the manager has anything for a caller: what each function takes it decides itself."""
    rights = caller.user.scope
    return rights.functions is None and rights.permission_on(workspace) is not None


def _nothing(name: str) -> ServiceNotFound:
    return ServiceNotFound(
        f"No service {cut(name, 100)!r} that you may use. If it is a protected one, send "
        "a token for its workspace in an Authorization header."
    )
