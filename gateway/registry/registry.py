"""The index of services. Knows who offers what; asks nobody and decides nothing about access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final, TypeVar

from schema.errors import Conflict
from schema.ids import ANY, ServiceId, ServiceQuery
from schema.services import ServiceInfo, Visibility

_K = TypeVar("_K")
_L = TypeVar("_L")

ADDED: Final = "service_added"
REMOVED: Final = "service_removed"

Listener = Callable[[str, ServiceInfo], None]
"""Told of every change: ``(ADDED or REMOVED, service)``."""

Watcher = Callable[[ServiceInfo], None]
"""Told of a service that has come or gone. Must neither raise nor take long."""


class Registry:
    """Services by workspace, by name and by client; every look-up costs what it returns."""

    def __init__(self) -> None:
        self._by_workspace: dict[str, dict[ServiceId, ServiceInfo]] = {}
        self._by_name: dict[tuple[str, str], dict[str, ServiceInfo]] = {}
        self._by_client: dict[str, dict[str, ServiceInfo]] = {}
        self._by_app: dict[tuple[str, str], dict[ServiceId, ServiceInfo]] = {}
        self._public: dict[ServiceId, ServiceInfo] = {}
        self._versions: dict[str, int] = {}
        self._counter = count(1)
        self._listeners: list[Listener] = []
        self._forgetters: list[Callable[[str], None]] = []
        self._watchers: dict[str, dict[int, Watcher]] = {}

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after every change."""
        self._listeners.append(listener)

    def watch(self, workspace: str, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` after every change in a workspace, also those without an event, until
        the function that is returned has been called."""
        key = next(self._counter)
        self._watchers.setdefault(workspace, {})[key] = watcher

        def stop() -> None:
            watchers = self._watchers.get(workspace, {})
            watchers.pop(key, None)
            if not watchers:
                self._watchers.pop(workspace, None)

        return stop

    def add(self, service: ServiceInfo) -> ServiceInfo | None:
        """Register a service and return the one it replaces.

        Raises Conflict if it is a singleton and another client has a service of its name, or the
        other way round.
        """
        sid = service.id
        named = self._by_name.get((sid.workspace, sid.service_id), {})
        self._check_singleton(service, named)
        replaced = named.get(sid.client_id)
        if replaced is not None:
            self.remove(replaced)
        self._by_workspace.setdefault(sid.workspace, {})[sid] = service
        self._by_name.setdefault((sid.workspace, sid.service_id), {})[sid.client_id] = service
        self._by_client.setdefault(sid.provider, {})[sid.service_id] = service
        if service.app_id != ANY:
            self._by_app.setdefault((sid.workspace, service.app_id), {})[sid] = service
        if service.visibility is Visibility.PUBLIC:
            self._public[sid] = service
        self._changed(ADDED, service)
        return replaced

    def touch(self, service: ServiceInfo) -> None:
        """What callers see of a service has changed, though it is the same."""
        self._changed(ADDED, service)

    def remove(self, service: ServiceInfo, *, silent: bool = False) -> bool:
        """Forget a service. False if this very registration is not there any more."""
        sid = service.id
        if self._by_workspace.get(sid.workspace, {}).get(sid) is not service:
            return False
        _discard(self._by_workspace, sid.workspace, sid)
        _discard(self._by_name, (sid.workspace, sid.service_id), sid.client_id)
        _discard(self._by_client, sid.provider, sid.service_id)
        if service.app_id != ANY:
            _discard(self._by_app, (sid.workspace, service.app_id), sid)
        self._public.pop(sid, None)
        self._changed(REMOVED, service, silent=silent)
        return True

    def remove_client(self, address: str) -> list[ServiceInfo]:
        """Forget all services of a client that has left, without an event for each."""
        services = list(self._by_client.get(address, {}).values())
        for service in services:
            self.remove(service, silent=True)
        return services

    def get(self, sid: ServiceId) -> ServiceInfo | None:
        return self._by_workspace.get(sid.workspace, {}).get(sid)

    def matching(self, query: ServiceQuery) -> list[ServiceInfo]:
        """Services that a query means, in registration order."""
        named = self._by_name.get((query.workspace, query.service_id))
        if not named:
            return []
        if query.client_id != ANY:
            service = named.get(query.client_id)
            found = [service] if service is not None else []
        else:
            found = list(named.values())
        if query.app_id != ANY:
            found = [s for s in found if s.app_id == query.app_id]
        return found

    def in_workspace(self, workspace: str) -> Iterator[ServiceInfo]:
        """All services of a workspace, in registration order."""
        return iter(list(self._by_workspace.get(workspace, {}).values()))

    def count(self) -> int:
        """How many services there are."""
        return sum(len(services) for services in self._by_workspace.values())

    def holds(self, workspace: str) -> bool:
        """Whether there is a service in the workspace."""
        return bool(self._by_workspace.get(workspace))

    def public(self) -> Iterator[ServiceInfo]:
        """All public services of all workspaces."""
        return iter(list(self._public.values()))

    def of_client(self, address: str) -> list[ServiceInfo]:
        return list(self._by_client.get(address, {}).values())

    def of_app(self, workspace: str, app_id: str) -> list[ServiceInfo]:
        """Services registered for an application, in registration order."""
        return list(self._by_app.get((workspace, app_id), {}).values())

    def version(self, workspace: str) -> int:
        """Changes with every change in the workspace; 0 if there never was one."""
        return self._versions.get(workspace, 0)

    def forget_workspace(self, workspace: str) -> None:
        """Drop what is kept about a workspace that no longer exists."""
        for service in self.in_workspace(workspace):
            self.remove(service, silent=True)
        self._versions.pop(workspace, None)
        for forgetter in self._forgetters:
            forgetter(workspace)

    def on_forget(self, forgetter: Callable[[str], None]) -> None:
        """Call ``forgetter`` with the id of each workspace that is forgotten."""
        self._forgetters.append(forgetter)

    def _check_singleton(self, service: ServiceInfo, named: dict[str, ServiceInfo]) -> None:
        others = [s for c, s in named.items() if c != service.id.client_id]
        if others and (service.is_singleton or any(s.is_singleton for s in others)):
            exists = "already exists" if service.is_singleton else "has already exists"
            raise Conflict(
                f"A singleton service with the same name ({service.id.service_id}) {exists} in "
                f"the workspace ({service.id.workspace}), please remove it first or use a "
                "different name."
            )

    def _changed(self, kind: str, service: ServiceInfo, *, silent: bool = False) -> None:
        self._versions[service.id.workspace] = next(self._counter)
        if not silent:
            for listener in self._listeners:
                listener(kind, service)
        for watcher in list(self._watchers.get(service.id.workspace, {}).values()):
            watcher(service)


def _discard(index: dict[_K, dict[_L, ServiceInfo]], key: _K, inner: _L) -> None:
    entries = index[key]
    del entries[inner]
    if not entries:
        del index[key]
