"""What a client may call of another directly, by a message that the gateway only relays.

Providers keep their own rules about who may call, yet a client library that mixes up two services
must not open one of them, so the gateway does not rely on it: whoever calls from another workspace
has to be allowed to use the service, and a function that is not the caller's is not there.

Looks at the header of a message; at the body only of the one call that names a service in it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway.auth.access import ServiceAction, decide
from gateway.auth.function_access import FunctionAccess
from gateway.registry.registry import REMOVED, Registry
from gateway.routing.router import Router
from gateway.routing.session import ClientSession
from gateway.wire.codec import unpack_body
from gateway.wire.methods import called
from schema.errors import FunctionNotFound, ServiceNotFound
from schema.ids import ServiceId
from schema.services import BUILT_IN, ServiceInfo

LENT: Final = "_rintf_"
"""Services that are arguments or results: whoever knows the id was given it, and it cannot be
guessed."""

MAX_REMEMBERED: Final = 1000


class RelayGuard:
    """Says no to messages on their way from client to client."""

    def __init__(self, registry: Registry, functions: FunctionAccess, router: Router) -> None:
        self._registry = registry
        self._functions = functions
        self._router = router
        self._gone: OrderedDict[ServiceId, ServiceInfo] = OrderedDict()
        """Services of clients that may be on their way back; they answer before they have
        registered again."""
        registry.subscribe(self._on_change)
        functions.watch(self._on_rules)
        router.guard = self

    def check(
        self, sender: ClientSession, target: ClientSession, method: str, body: bytes | memoryview
    ) -> None:
        """Raises PermissionDenied, FunctionNotFound, ServiceNotFound."""
        service_id, path = called(method)
        if service_id.startswith(LENT):
            return
        if service_id != BUILT_IN:
            self._check_function(sender, target, service_id, path, method)
        elif path == "get_service":
            self._check_shown(sender, target, body)

    def _check_function(
        self, sender: ClientSession, target: ClientSession, service_id: str, path: str, method: str
    ) -> None:
        info = self._find(target, service_id)
        if info is None and not sender.is_limited:
            return  # never registered: nobody has said that it is closed, and its client decides
        # Some libraries would find attributes of a function, and by them the way around a rule.
        if info is None or not path or path.startswith("__") or ".__" in path:
            raise FunctionNotFound(f"Method not found: {method}")
        decide(sender.caller, ServiceAction.USE, info).require()
        limits = self._functions.limits(sender.caller, info)
        if limits is not None and not limits.allows(path):
            raise FunctionNotFound(f"Method not found: {method}")

    def _check_shown(
        self, sender: ClientSession, target: ClientSession, body: bytes | memoryview
    ) -> None:
        """The provider would show the whole service object; whoever may not see all of it asks the
        manager."""
        content = unpack_body(body)
        args = content.get("args")
        asked = args[0] if isinstance(args, list) and args else None
        if isinstance(asked, dict):
            asked = asked.get("service_id")
        name = asked.rpartition(":")[2].partition("@")[0] if isinstance(asked, str) else ""
        if name == BUILT_IN or name.startswith(LENT):
            return
        info = self._find(target, name)
        if info is None and name and not sender.is_limited:
            return
        if info is None or self._functions.limits(sender.caller, info) is not None:
            raise ServiceNotFound(f"Service not found: {name}")
        decide(sender.caller, ServiceAction.USE, info).require()

    def _find(self, target: ClientSession, service_id: str) -> ServiceInfo | None:
        sid = ServiceId(target.workspace, target.client_id, service_id)
        return self._registry.get(sid) or self._gone.get(sid)

    def _on_change(self, kind: str, service: ServiceInfo) -> None:
        sid = service.id
        if kind == REMOVED:
            if sid.service_id != BUILT_IN:
                self._gone[sid] = service
                if len(self._gone) > MAX_REMEMBERED:
                    self._gone.popitem(last=False)
            elif sid.provider in self._router.guarded:
                self._router.guarded.discard(sid.provider)
        else:
            self._gone.pop(sid, None)
            if self._functions.is_restricted(service):
                self._router.guarded.add(sid.provider)

    def _on_rules(self, workspace: str, service_id: str) -> None:
        for service in self._registry.in_workspace(workspace):
            if service.id.service_id == service_id:
                self._router.guarded.add(service.id.provider)
                self._registry.touch(service)
