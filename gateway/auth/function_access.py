"""Functions that only some may call: what a caller sees of a service, and what it may call.

A provider declares rules when it registers a service; the owner of its workspace can add rules for
it, which are kept. Where there are both, a caller has to satisfy both. Nobody learns of a function
that is not theirs: they get a *view* of the service, in which it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from gateway.auth.access import FunctionAction, decide
from gateway.storage.rows import FunctionKey
from schema.access import FunctionLimits, FunctionRule
from schema.errors import FunctionNotFound, LimitExceeded, NotFound
from schema.functions import is_function
from schema.identity import Caller
from schema.services import ServiceInfo

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.function_access import FunctionAccessRepository

MAX_RULES: Final = 1000
"""Rules that a workspace can have."""

_NO_RULES: Final[Mapping[str, FunctionRule]] = {}


class FunctionAccess:
    """Rules, and the views that follow. Without a ``repository`` rules of owners do not survive the
    process."""

    def __init__(self, repository: FunctionAccessRepository | None = None) -> None:
        self._repository = repository
        self._rules: dict[tuple[str, str], dict[str, FunctionRule]] = {}
        self._views: WeakKeyDictionary[ServiceInfo, dict[FunctionLimits, ServiceInfo]] = (
            WeakKeyDictionary()
        )
        self._watchers: list[Callable[[str, str], None]] = []

    async def load(self) -> None:
        """Read what earlier processes have kept."""
        if self._repository is not None:
            for (workspace, service_id, path), allowed in (await self._repository.load()).items():
                rules = self._rules.setdefault((workspace, service_id), {})
                rules[path] = FunctionRule.read(allowed)

    def watch(self, watcher: Callable[[str, str], None]) -> None:
        """Call ``watcher`` with workspace and service when rules for it have changed."""
        self._watchers.append(watcher)

    # Asked with every call

    def is_restricted(self, service: ServiceInfo) -> bool:
        """Whether there is a rule for one of its functions."""
        return bool(service.access or (self._rules and self._owned(service)))

    def limits(self, caller: Caller, service: ServiceInfo) -> FunctionLimits | None:
        """What there is of a service for the caller; None: all of it."""
        only = caller.user.scope.functions
        if only is None and not service.access and not self._rules:
            return None
        hidden = frozenset(
            path
            for rules in (service.access, self._owned(service))
            for path, rule in rules.items()
            if not _is_provider(caller, service)
            and not decide(caller, FunctionAction.CALL, rule).allowed
        )
        allowed = None if only is None else _allowed_in(service.id.service_id, only)
        if not hidden and allowed is None:
            return None
        return FunctionLimits(hidden, allowed)

    def require(self, caller: Caller, service: ServiceInfo, path: str) -> None:
        """Raises FunctionNotFound for a function that is not the caller's: it does not learn that
        there is one."""
        limits = self.limits(caller, service)
        if limits is not None and not limits.allows(path):
            raise FunctionNotFound(f"{path} not found.")

    def view(self, caller: Caller, service: ServiceInfo) -> ServiceInfo:
        """The service as there is for the caller: the same object if nothing is hidden, else one
        that all callers with the same limits share."""
        limits = self.limits(caller, service)
        if limits is None:
            return service
        views = self._views.setdefault(service, {})
        view = views.get(limits)
        if view is None:
            pruned = limits.prune(service.service_schema, is_function=is_function)
            view = replace(service, service_schema=pruned, limits=limits)
            views[limits] = view
        return view

    def published(self, service: ServiceInfo) -> ServiceInfo:
        """The service as everybody in its workspace may know it."""
        if not self.is_restricted(service):
            return service
        limits = FunctionLimits(frozenset((*service.access, *self._owned(service))))
        pruned = limits.prune(service.service_schema, is_function=is_function)
        return replace(service, service_schema=pruned, limits=limits)

    def _owned(self, service: ServiceInfo) -> Mapping[str, FunctionRule]:
        """The rules of its workspace's owner, by function."""
        return self._rules.get((service.id.workspace, service.id.service_id), _NO_RULES)

    # What owners say

    async def restrict(self, key: FunctionKey, rule: FunctionRule) -> None:
        """Let only those call a function whom ``rule`` names. Raises LimitExceeded."""
        workspace, service_id, path = key
        is_new = path not in self._rules.get((workspace, service_id), _NO_RULES)
        if is_new and len(self.listed(workspace)) >= MAX_RULES:
            raise LimitExceeded(f"A workspace can have at most {MAX_RULES} rules for functions")
        if self._repository is not None:
            await self._repository.put(key, rule.to_wire())
        self._rules.setdefault((workspace, service_id), {})[path] = rule
        self._tell(workspace, service_id)

    async def release(self, key: FunctionKey) -> None:
        """Let whoever may use the service call the function. Raises NotFound."""
        workspace, service_id, path = key
        if path not in self._rules.get((workspace, service_id), _NO_RULES):
            raise NotFound(f"There is no rule for {service_id}.{path}")
        if self._repository is not None:
            await self._repository.remove(key)
        # Somebody else may have released it meanwhile.
        rules = self._rules.pop((workspace, service_id), {})
        rules.pop(path, None)
        if rules:
            self._rules[workspace, service_id] = rules
        self._tell(workspace, service_id)

    def listed(self, workspace: str) -> list[dict[str, Any]]:
        """The rules of a workspace."""
        return [
            {"service_id": service_id, "function": path, **rule.to_wire()}
            for (owner, service_id), rules in sorted(self._rules.items())
            if owner == workspace
            for path, rule in sorted(rules.items())
        ]

    async def forget_workspace(self, workspace: str) -> None:
        """A workspace is gone, and its rules with it."""
        gone = [key for key in self._rules if key[0] == workspace]
        if not gone:
            return
        if self._repository is not None:
            await self._repository.forget_workspace(workspace)
        for key in gone:
            self._rules.pop(key, None)

    def _tell(self, workspace: str, service_id: str) -> None:
        for watcher in self._watchers:
            watcher(workspace, service_id)


def _is_provider(caller: Caller, service: ServiceInfo) -> bool:
    """Whether the caller is who registered the service, by the same credential."""
    return service.owner is not None and service.owner.id == caller.user.id


def _allowed_in(service_id: str, only: frozenset[str]) -> frozenset[str] | None:
    """Paths that a credential is limited to, of its ``service`` and ``service/function``."""
    if service_id in only:
        return None
    prefix = f"{service_id}/"
    return frozenset(name.removeprefix(prefix) for name in only if name.startswith(prefix))
