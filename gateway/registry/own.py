"""The gateway's own services, put where clients find them.

A service that is one of the gateway's parts (the manager, ``built-in``) is reached at the gateway's
own address; one that it *offers* is in the registry as well, in the workspace ``public``, and found
like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.registry.registry import Registry
from gateway.registry.selection import PUBLIC_WORKSPACE
from gateway.rpc.builtin import API_VERSION
from gateway.rpc.local import LocalFunction, LocalService, LocalServices, describe_functions
from gateway.settings import Settings
from schema.ids import ServiceId
from schema.services import ServiceInfo, Visibility


class OwnServices:
    """Makes the gateway's own services. ``manager_id`` is the client id that they have."""

    def __init__(
        self,
        local: LocalServices,
        registry: Registry,
        settings: Settings,
        *,
        manager_id: str,
        version: str,
    ) -> None:
        self._local = local
        self._registry = registry
        self._base_url = settings.base_url
        self._manager_id = manager_id
        self._config: dict[str, Any] = {
            "require_context": True,
            "api_version": API_VERSION,
            "server_id": manager_id,
            "hypha_version": version,
            "public_base_url": settings.base_url,
            "local_base_url": settings.local_base_url,
            "login_service_url": f"{settings.base_url}/{PUBLIC_WORKSPACE}/services/hypha-login",
        }

    def add(
        self,
        service_id: str,
        name: str,
        description: str,
        functions: Mapping[str, LocalFunction],
        *,
        type: str = "generic",
        is_offered: bool = False,
        workspace: str = PUBLIC_WORKSPACE,
    ) -> LocalService:
        """Serve it at the gateway's own address; one that is offered is found as
        ``<workspace>/<service id>``: in ``public`` by everybody, elsewhere by those who may be
        there."""
        sid = ServiceId(workspace, self._manager_id, service_id)
        is_public = workspace == PUBLIC_WORKSPACE
        visibility = Visibility.PUBLIC if is_public else Visibility.PROTECTED
        config = self._config | {"visibility": visibility.value, "workspace": workspace}
        if is_offered:
            config["url"] = sid.url(self._base_url)
        info = ServiceInfo(
            id=sid,
            name=name,
            type=type,
            description=description,
            visibility=visibility,
            service_schema=describe_functions(functions),
            config=config,
        )
        service = LocalService(
            info,
            functions,
            target=f"*/{self._manager_id}",
            base_url=self._base_url,
            # Every peer has services of the other kind, under the same names.
            members={"id": str(sid)} if is_offered else None,
        )
        self._local.add(service)
        if is_offered:
            self._registry.add(info)
        return service
