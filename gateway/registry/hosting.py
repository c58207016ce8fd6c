"""Puts hosted services where clients find them, and takes them away again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.registry.registry import REMOVED, Registry
from gateway.rpc.hosted import Handler, HostedService
from gateway.rpc.local import LocalServices
from gateway.settings import Settings
from schema.access import declared_rules, without_rules
from schema.ids import ServiceId
from schema.services import ServiceInfo, Visibility


class Hosting:
    """Offers services that run in this process. ``client_id`` is the one that they have."""

    def __init__(
        self, local: LocalServices, registry: Registry, settings: Settings, *, client_id: str
    ) -> None:
        self._local = local
        self._registry = registry
        self._base_url = settings.base_url
        self._client_id = client_id
        registry.subscribe(self._on_change)
        registry.on_forget(local.drop_workspace)

    def id_of(self, workspace: str, service_id: str) -> ServiceId:
        """The id that a hosted service has."""
        return ServiceId(workspace, self._client_id, service_id)

    def is_reserved(self, service_id: str) -> bool:
        """Whether the id is that of one of the gateway's own services."""
        return self._local.is_own(service_id)

    def describe(
        self,
        sid: ServiceId,
        service_schema: Mapping[str, Any],
        *,
        visibility: Visibility,
        config: Mapping[str, Any] | None = None,
        **texts: Any,
    ) -> ServiceInfo:
        """A registry entry. ``texts`` are ``name``, ``type``, ``description``, ``docs``. Raises
        InvalidRequest for rules about who may call that are none."""
        access = declared_rules(config or {}, service_schema)
        return ServiceInfo(
            id=sid,
            name=texts.pop("name", None) or sid.service_id,
            visibility=visibility,
            service_schema=without_rules(service_schema) if access else service_schema,
            access=access,
            config={
                **(config or {}),
                "visibility": visibility.value,
                "workspace": sid.workspace,
                "url": sid.url(self._base_url),
            },
            **texts,
        )

    def publish(
        self,
        info: ServiceInfo,
        handler: Handler,
        *,
        held: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """Offer a service; it replaces the one of the same id. ``held`` and ``members`` are those
        of ``HostedService``. Raises Conflict."""
        if held:
            info = replace(info, held=frozenset({*held, *held.values()}))
        service = HostedService(info, handler, base_url=self._base_url, held=held, members=members)
        self._local.host(service)
        self._registry.add(info)

    def withdraw(self, sid: ServiceId) -> None:
        """Offer it no longer."""
        info = self._registry.get(sid)
        if info is not None:
            self._registry.remove(info)

    def _on_change(self, kind: str, service: ServiceInfo) -> None:
        """Whoever may unregister it, ends it."""
        if kind == REMOVED and service.id.client_id == self._client_id:
            self._local.drop(service)
