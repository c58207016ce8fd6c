"""The resources that describe a workspace: its record, its services, and one of them.

Entries are the registry's, in the form that ``ServiceInfo.to_wire`` gives them; nothing is added.
The record comes from the workspace manager, under the manager's own rule.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp

from gateway import __version__
from gateway.api import Gateway
from gateway.settings import Settings
from http_proxy.arguments import MODE, parse_query
from http_proxy.encoding import value_reply
from http_proxy.paging import Page
from http_proxy.request import Request
from schema.identity import ANY_WORKSPACE, Caller
from schema.ids import MANAGER
from schema.services import ServiceInfo


class Listing:
    """Answers ``/{workspace}/info``, ``/{workspace}/services`` and
    ``/{workspace}/services/{service}``."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self._gateway = gateway
        self._settings = settings

    async def configuration(self, request: Request, caller: Caller) -> ASGIApp:
        """Who the caller is and where the server is, for pages that start from nothing else."""
        base_url = self._settings.base_url
        told = {
            "user": caller.user.to_wire(),
            "public_base_url": base_url,
            "login_service_url": f"{base_url}/public/services/hypha-login",
            "hypha_version": __version__,
        }
        return value_reply(told, request.formats)

    async def workspace(self, request: Request, caller: Caller) -> ASGIApp:
        """The record of the workspace. Raises PermissionDenied to whoever may not read it, whether
        or not it exists, and WorkspaceNotFound."""
        manager = await self._gateway.find_service(caller, request.workspace, MANAGER)
        record = await self._gateway.call(
            caller, manager, "get_workspace_info", (), {"workspace": request.workspace}
        )
        return value_reply(record, request.formats)

    async def services(self, request: Request, caller: Caller) -> ASGIApp:
        """The services that the caller may see; ids come without the workspace of the URL (HTTP
        contract). ``?type=`` and ``?visibility=`` choose among them; with ``?limit=`` they come in
        pages, ordered by id, and the header ``Link`` (RFC 8288) leads to the next.

        Raises WorkspaceNotFound, InvalidRequest and other GatewayErrors."""
        query = parse_query(request.scope["query_string"])
        page = Page.of(query)
        found = await self._gateway.list_services(caller, request.workspace)
        prefix = f"{request.workspace}/"
        kept, cursor = page.cut(found, prefix)
        entries = [_entry(service, caller) for service in kept]
        for entry in entries:
            entry["id"] = entry["id"].removeprefix(prefix)
        reply = value_reply(entries, request.formats)
        if cursor is not None:
            rest = urlencode({**query, "cursor": cursor})
            reply.headers.append((b"link", f'<?{rest}>; rel="next"'.encode()))
            reply.headers.append((b"access-control-expose-headers", b"Link"))
        return reply

    async def service(self, request: Request, caller: Caller) -> ASGIApp:
        """One service, with its full id; the manager's is ``~``. Raises ServiceNotFound and other
        GatewayErrors."""
        query = parse_query(request.scope["query_string"])
        service = await self._gateway.find_service(
            caller, request.workspace, request.service, mode=query.get(MODE)
        )
        entry = _entry(service, caller)
        if request.service == MANAGER:  # it is in every workspace, under this name
            entry["id"], entry["config"]["workspace"] = MANAGER, ANY_WORKSPACE
        return value_reply(entry, request.formats)


def _entry(service: ServiceInfo, caller: Caller) -> dict[str, Any]:
    inside = caller.user.scope.permission_on(service.id.workspace) is not None
    return service.to_wire(inside=inside)
