"""From a query to a service: find what matches, keep what the caller may use, choose one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from gateway.auth.access import Action, ServiceAction, decide, hidden_from_strangers, is_inside
from gateway.auth.function_access import FunctionAccess
from gateway.registry.apps import AppCatalogue, match_instances
from gateway.registry.registry import ADDED, Registry
from gateway.registry.selection import choose
from gateway.rpc.endpoint import Endpoint
from gateway.rpc.local import LocalServices, Packed
from gateway.rpc.values import make_targets_absolute
from gateway.wire.codec import pack, unpack
from gateway.wire.methods import called, service_method
from schema.access import ACCESS, FunctionLimits
from schema.errors import Conflict, GatewayError, InvalidRequest, ServiceNotFound, Unavailable
from schema.identity import Caller
from schema.ids import ANY, ServiceQuery
from schema.services import BUILT_IN, ServiceInfo
from schema.values import METHOD, rtype

SELECT_PREFIX: Final = "select:"
SELECT_CRITERIA: Final = ("min", "max", "first_success")
TIMER_SLACK_SECONDS: Final = 0.05

MAX_KEPT_BYTES: Final = 64 * 1024
"""Longest encoded service object that is kept."""

DEFAULT_SELECT_SECONDS: Final = 2.0


class Absence(NamedTuple):
    """Why a service is not there that will be again."""

    service: ServiceInfo
    """As it would be registered: whoever may use that hears of it."""
    text: str
    """For its users."""
    reason: str | None = None
    """For those who see how the servers of its workspace are."""


class _Expected:
    """A service whose provider may come back."""

    def __init__(self) -> None:
        self.until = 0.0
        self.changed = asyncio.Event()


class Directory:
    """Resolves queries, and shows the service objects behind them."""

    def __init__(  # noqa: PLR0913 - the composition root calls it once, by name
        self,
        registry: Registry,
        endpoint: Endpoint,
        local: LocalServices,
        *,
        manager: Callable[[], ServiceInfo],
        manager_id: str,
        load: Callable[[str], float],
        apps: AppCatalogue,
        base_url: str,
        fetch_seconds: float,
        functions: FunctionAccess,
    ) -> None:
        self._functions = functions
        self._registry = registry
        self._endpoint = endpoint
        self._local = local
        self._manager = manager
        self._manager_id = manager_id
        self._load = load
        self._apps = apps
        self._base_url = base_url
        self._fetch_seconds = fetch_seconds
        self._expected: dict[tuple[str, str], _Expected] = {}
        self._is_stopping = False
        self._absence: Callable[[ServiceQuery], Absence | None] = lambda query: None
        self._shown: WeakKeyDictionary[ServiceInfo, dict[bool, Packed]] = WeakKeyDictionary()
        registry.subscribe(self._on_change)

    @property
    def manager(self) -> ServiceInfo:
        """The service that every client talks to."""
        return self._manager()

    def is_local(self, service: ServiceInfo) -> bool:
        """Whether the service runs in this process."""
        return service.id.client_id == self._manager_id

    async def find(
        self,
        caller: Caller,
        query: ServiceQuery,
        mode: str | None = None,
        *,
        select_seconds: float = DEFAULT_SELECT_SECONDS,
    ) -> ServiceInfo:
        """One service that the query means and the caller may use, as there is for the caller.

        Raises ServiceNotFound, PermissionDenied (all that match are closed to the caller),
        AmbiguousService, InvalidRequest (mode) and Unavailable (nothing matches for now: the
        server stops, or it is known what keeps the service away).
        """
        if query.is_manager:
            return self._manager()
        found = self._matching(query) or await self._returning(query)
        if not found:
            raise self._missing(caller, query)
        usable = [s for s in found if decide(caller, ServiceAction.USE, s).allowed]
        if not usable:
            decide(caller, ServiceAction.USE, found[0]).require()
        mode = mode or self._mode_of_app(query)
        if mode is not None and mode.startswith(SELECT_PREFIX):
            chosen = await self._select(caller, usable, mode, select_seconds)
        else:
            chosen = choose(
                query,
                usable,
                mode,
                pick=random.choice,
                load=lambda service: self._load(service.id.provider),
            )
        return self._functions.view(caller, chosen)

    def listed(
        self, caller: Caller, services: Iterable[ServiceInfo], *, with_hidden: bool = False
    ) -> list[ServiceInfo]:
        """Those that the caller may see in a list, as there are for the caller; ``with_hidden``
        with those that are left out for others."""
        action = ServiceAction.SEE_HIDDEN if with_hidden else ServiceAction.SEE_LISTED
        return [
            self._functions.view(caller, service)
            for service in services
            if decide(caller, action, service).allowed
            and (not hidden_from_strangers(service) or is_inside(caller, service.id.workspace))
        ]

    def entry(self, caller: Caller, service: ServiceInfo) -> dict[str, Any]:
        """The registry's entry for a service, as the caller may know it."""
        return service.to_wire(inside=is_inside(caller, service.id.workspace))

    def require_usable(self, caller: Caller, query: ServiceQuery) -> None:
        """Raises ServiceNotFound, also for services that the caller may not use."""
        for service in self._registry.matching(query):
            if decide(caller, ServiceAction.USE, service).allowed:
                return
        raise ServiceNotFound(f"Service not found: {query}")

    def offer(self, caller: Caller, service: ServiceInfo) -> ServiceInfo | None:
        """Register a service of the client that calls; returns the one that it replaces.

        Raises PermissionDenied (it is not that client's), Conflict (it would stand in for one of
        the gateway's own, such as the login).
        """
        decide(caller, ServiceAction.OFFER, service).require()
        workspace, name = service.id.workspace, service.id.service_id
        if self._local.is_own(name) and self._registry.matching(
            ServiceQuery(workspace, name, self._manager_id)
        ):
            raise Conflict(f"The server itself offers {workspace}/{name}: choose another id")
        return self._registry.add(service)

    def withdraw(self, caller: Caller, query: ServiceQuery) -> None:
        """Unregister a service: if several match the caller's own.

        Raises ServiceNotFound, PermissionDenied, Conflict (several are others').
        """
        found = self._registry.matching(query)
        found = [s for s in found if s.id.provider == caller.address] or found
        if not found:
            raise ServiceNotFound(f"Service not found: {query}")
        decide(caller, ServiceAction.REMOVE, found[0]).require()
        if len(found) > 1:
            raise Conflict(f"Multiple services found for {query}")
        self._registry.remove(found[0])

    def expect(self, services: Sequence[ServiceInfo], seconds: float) -> None:
        """Their client may come back within ``seconds``: whoever asks for them waits so long."""
        until = asyncio.get_running_loop().time() + seconds
        for service in services:
            key = (service.id.workspace, service.id.service_id)
            expected = self._expected.get(key)
            if expected is None:
                self._expected[key] = expected = _Expected()
            expected.until = max(expected.until, until)
            asyncio.get_running_loop().call_at(until, self._lapse, key)

    def expect_no_more(self, service: ServiceInfo) -> None:
        """It does not come soon: whoever waits for it is answered."""
        expected = self._expected.pop((service.id.workspace, service.id.service_id), None)
        if expected is not None:
            expected.changed.set()

    def explain_absence(self, explain: Callable[[ServiceQuery], Absence | None]) -> None:
        """Ask ``explain`` about services that are not there; it says None of those it knows
        nothing of."""
        self._absence = explain

    def stop_expecting(self) -> None:
        """Nobody comes back to a server that stops: whoever waits for a provider is answered."""
        self._is_stopping = True
        expected, self._expected = self._expected, {}
        for entry in expected.values():
            entry.changed.set()

    def _missing(self, caller: Caller, query: ServiceQuery) -> GatewayError:
        if self._is_stopping:  # what was there a moment ago is not gone, and comes back
            return Unavailable("The server is stopping")
        absence = self._absence(query)
        if absence is None or not decide(caller, ServiceAction.USE, absence.service).allowed:
            return ServiceNotFound(f"Service not found: {query}")
        workspace = absence.service.id.workspace
        if absence.reason and decide(caller, Action.LIST_SERVERS, workspace).allowed:
            return Unavailable(f"{absence.text} ({absence.reason})")
        return Unavailable(absence.text)

    async def _returning(self, query: ServiceQuery) -> list[ServiceInfo]:
        """What matches once an absent provider is back; nothing if it does not come."""
        while (expected := self._expected.get((query.workspace, query.service_id))) is not None:
            await expected.changed.wait()
            found = self._registry.matching(query)
            if found:
                return found
        return []

    def _matching(self, query: ServiceQuery) -> Sequence[ServiceInfo]:
        found = self._registry.matching(query)
        if found or query.app_id == ANY:
            return found
        of_app = self._registry.of_app(query.workspace, query.app_id)
        if query.client_id != ANY:
            of_app = [s for s in of_app if s.id.client_id == query.client_id]
        manifest = self._apps.manifest(query.workspace, query.app_id)
        return match_instances(query.service_id, of_app, manifest)

    def _mode_of_app(self, query: ServiceQuery) -> str | None:
        if query.app_id == ANY:
            return None
        manifest = self._apps.manifest(query.workspace, query.app_id)
        return manifest.service_selection_mode if manifest is not None else None

    def _on_change(self, kind: str, service: ServiceInfo) -> None:
        if kind == ADDED:
            expected = self._expected.pop((service.id.workspace, service.id.service_id), None)
            if expected is not None:
                expected.changed.set()

    def _lapse(self, key: tuple[str, str]) -> None:
        expected = self._expected.get(key)
        # A timer may fire a moment early; only a time that was put off since is really later.
        now = asyncio.get_running_loop().time() + TIMER_SLACK_SECONDS
        if expected is not None and expected.until <= now:
            del self._expected[key]
            expected.changed.set()

    async def fetch(self, service: ServiceInfo, *, timeout_seconds: float | None = None) -> Any:
        """The service object as its provider shows it, usable from any workspace.

        Raises ProviderGone, CallTimeout, ServiceError.
        """
        if self.is_local(service):
            packed = self._local.at(service.id).packed
            if service.limits is None:
                return packed
            return _without_aliases(_within(unpack(packed), service.limits), service.limits)
        sid = service.id
        value = await self._endpoint.call(
            self._endpoint.manager_identity(sid.workspace),
            sid.provider,
            service_method(BUILT_IN, "get_service"),
            (sid.service_id,),
            silence_seconds=timeout_seconds or self._fetch_seconds,
            heartbeats=False,
        )
        if not isinstance(value, dict):
            raise ServiceNotFound(f"Service not found: {sid}")
        make_targets_absolute(value, sid.workspace)
        config = value.get("config")
        config = dict(config) if isinstance(config, dict) else {}
        config["workspace"] = sid.workspace
        config["url"] = sid.url(self._base_url)
        config.pop(ACCESS, None)
        value["config"] = config
        value["id"] = str(sid)
        return value if service.limits is None else _within(value, service.limits)

    async def show(
        self, caller: Caller, service: ServiceInfo, *, timeout_seconds: float | None = None
    ) -> Packed:
        """The service object, encoded for a caller from inside its workspace or from another.

        Its provider is asked once per registration if functions are all there is to show.
        Raises what ``fetch`` raises.
        """
        inside = is_inside(caller, service.id.workspace)
        kept = self._shown.get(service)
        if kept is not None and inside in kept:
            return kept[inside]
        value = await self.fetch(service, timeout_seconds=timeout_seconds)
        if isinstance(value, Packed):
            return value
        if not inside:
            value["config"].pop("authorized_workspaces", None)
        packed = Packed(pack(value))
        if service.has_only_functions and len(packed) <= MAX_KEPT_BYTES:
            self._shown.setdefault(service, {})[inside] = packed
        return packed

    async def _select(
        self, caller: Caller, candidates: Sequence[ServiceInfo], mode: str, seconds: float
    ) -> ServiceInfo:
        """``select:<criteria>:<function>``: ask every instance at the same time, then choose."""
        _, criteria, function = (*mode.split(":", 2), "", "")[:3]
        if criteria not in SELECT_CRITERIA or not function:
            raise InvalidRequest(
                f"Invalid mode: {mode}. Expected select:<min|max|first_success>:<function>"
            )
        if len(candidates) == 1:
            return candidates[0]
        identity = self._endpoint.identity_of(caller)

        async def ask(service: ServiceInfo) -> tuple[ServiceInfo, Any] | None:
            try:
                self._functions.require(caller, service, function)
                async with asyncio.timeout(seconds):
                    answer = await self._endpoint.call(
                        identity,
                        service.id.provider,
                        service_method(service.id.service_id, function),
                    )
            except (GatewayError, TimeoutError):
                return None
            return service, answer

        answers = [a for a in await asyncio.gather(*map(ask, candidates)) if a is not None]
        if criteria == "first_success" and answers:
            return answers[0][0]
        scored = [(s, float(v)) for s, v in answers if isinstance(v, (int, float))]
        if not scored:
            return random.choice(candidates)
        best = min if criteria == "min" else max
        return best(scored, key=lambda pair: pair[1])[0]


def _without_aliases(value: dict[str, Any], limits: FunctionLimits) -> dict[str, Any]:
    """A hosted service shows some functions by a second name, for which no rule is made."""
    return {
        key: node
        for key, node in value.items()
        if rtype(node) != METHOD or limits.allows(called(node["_rmethod"])[1])
    }


def _within(value: Any, limits: FunctionLimits) -> Any:
    """A service object without the functions that are not there for the caller."""
    return limits.prune(value, is_function=lambda node: rtype(node) == METHOD)
