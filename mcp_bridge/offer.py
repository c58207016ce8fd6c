"""What one endpoint offers to one caller: the tools it lists and the way to call them.

The methods see services only through this. An endpoint over several services is another object
with the same two members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Scope

from gateway.api import CallOptions, Credentials, Gateway
from gateway.extensions import TokenFinder
from gateway.requests import admit
from mcp_bridge.catalogue import Catalogue
from mcp_bridge.catalogues import Catalogues
from mcp_bridge.declared import MCP_TYPE
from mcp_bridge.headers import bearer_token
from mcp_bridge.prompts import Prompt
from mcp_bridge.resources import Found
from mcp_bridge.text import cut
from mcp_bridge.tools import Tool
from schema.errors import Blocked, NotFound, PermissionDenied, ServiceNotFound
from schema.identity import Caller
from schema.services import ServiceInfo

_ANONYMOUS: Final = Credentials()


@dataclass(slots=True)
class Offer:
    """One service, as one caller may use it. Calls raise what the gateway raises."""

    gateway: Gateway
    caller: Caller
    service: ServiceInfo
    catalogue: Catalogue

    async def call(self, tool: Tool, arguments: Mapping[str, Any], options: CallOptions) -> Any:
        """Call the function of a tool; value, ValueStream and errors are those of the gateway."""
        if tool.via is not None:
            named = (tool.function, dict(arguments))
            return await self.gateway.call(
                self.caller, self.service, tool.via, named, None, options
            )
        return await self.gateway.call(
            self.caller, self.service, tool.function, (), arguments, options
        )

    async def read(self, found: Found) -> Any:
        """The value of a resource."""
        source = found.source
        if not source.path:
            return source.value
        if not source.is_function:
            return await self.gateway.read(self.caller, self.service, source.path)
        known = {**found.variables, "uri": found.uri}
        named = {key: known[key] for key in source.parameters if key in known}
        return await self.gateway.call(self.caller, self.service, source.path, (), named)

    async def fill_in(self, prompt: Prompt, arguments: Mapping[str, str]) -> Any:
        """The value of a prompt for these arguments."""
        path = prompt.source.path
        if prompt.source.parameters:
            named = (prompt.name, dict(arguments))
            return await self.gateway.call(self.caller, self.service, path, named)
        return await self.gateway.call(self.caller, self.service, path, (), arguments)

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

    def __init__(self, gateway: Gateway, finder: TokenFinder | None = None) -> None:
        self._gateway = gateway
        self._finder = finder
        self._catalogues = Catalogues(gateway)

    async def open(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Offer:
        """Raises GatewayError. A service that does not exist and one that the caller may not see
        give the same error."""
        path: Mapping[str, str] = scope["path_params"]
        credentials = await self._credentials(scope, headers)
        name, workspace = path["service"], path["workspace"]
        try:
            caller = await self._gateway.authenticate(credentials, workspace)
            admit(scope, caller)
            service = await self._gateway.find_service(caller, workspace, name)
        except Blocked:
            raise
        except (NotFound, PermissionDenied):
            raise ServiceNotFound(
                f"No service {cut(name, 100)!r} that you may use. If it is a protected one, send "
                "a token for its workspace in an Authorization header."
            ) from None
        catalogue = await self._catalogues.of(caller, service)
        return Offer(self._gateway, caller, service, catalogue)

    async def _credentials(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Credentials:
        token = None
        if self._finder is not None and self._finder.finds_tokens:
            token = await self._finder.find(scope)
        if token is None:
            token = bearer_token(headers.get(b"authorization"))
        return _ANONYMOUS if token is None else Credentials(token)
