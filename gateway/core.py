"""Waist 1, implemented: what ``gateway.api.Gateway`` promises, on the registry and the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from gateway.admission import Doorkeeper
from gateway.api import DEFAULT_OPTIONS, CallOptions, Credentials
from gateway.auth.access import ServiceAction, decide
from gateway.auth.audit import AuditLog
from gateway.auth.authentication import Authentication
from gateway.auth.function_access import FunctionAccess
from gateway.counters import Counters
from gateway.interaction import lent
from gateway.registry.directory import Directory
from gateway.registry.registry import Registry
from gateway.requests import current_door
from gateway.rpc.endpoint import Endpoint
from gateway.rpc.local import LocalServices, Packed
from gateway.rpc.streams import RemoteStream
from gateway.tracing import Tracing
from gateway.wire.codec import unpack
from gateway.wire.methods import service_method
from gateway.workspaces.workspaces import Workspaces
from schema.errors import (
    FunctionNotFound,
    GatewayError,
    InternalError,
    PermissionDenied,
    ProviderGone,
    WorkspaceNotFound,
)
from schema.functions import INTERACTION
from schema.identity import Caller, User, anonymous_http_caller
from schema.ids import ANY, ServiceQuery
from schema.services import ServiceInfo

NO_CONFIG: Final[Mapping[str, Any]] = {}
MAX_ATTEMPTS: Final = 3
"""How often a call is made at most, if its provider goes and making it again does no harm."""


class GatewayCore:
    """See ``gateway.api.Gateway``."""

    def __init__(  # noqa: PLR0913 - the composition root calls it once, by name
        self,
        *,
        registry: Registry,
        directory: Directory,
        endpoint: Endpoint,
        local: LocalServices,
        workspaces: Workspaces,
        authentication: Authentication,
        doorkeeper: Doorkeeper,
        counters: Counters,
        functions: FunctionAccess,
        audit: AuditLog,
        tracing: Tracing | None = None,
    ) -> None:
        self._tracing = tracing
        self._counters = counters
        self._functions = functions
        self._audit = audit if audit.with_calls else None
        self._registry = registry
        self._directory = directory
        self._endpoint = endpoint
        self._local = local
        self._workspaces = workspaces
        self._authentication = authentication
        self._doorkeeper = doorkeeper
        self._anonymous = anonymous_http_caller()

    async def authenticate(self, credentials: Credentials, workspace: str | None = None) -> Caller:
        outcomes = self._counters.authentications
        if credentials.token is None:
            self._doorkeeper.check_blocks(self._anonymous.user)
            outcomes["anonymous"] += 1
            return self._anonymous
        try:
            user = await self._authentication.user(credentials.token, credentials.resources)
            caller = self._doorkeeper.act_in(user, workspace)
        except GatewayError as error:
            outcomes[error.code] += 1
            raise
        outcomes["ok"] += 1
        return caller

    async def list_services(self, caller: Caller, workspace: str) -> list[ServiceInfo]:
        if self._workspaces.get(workspace) is None:
            raise WorkspaceNotFound(f"Workspace '{workspace}' not found")
        return self._directory.listed(caller, self._registry.in_workspace(workspace))

    async def find_service(
        self, caller: Caller, workspace: str, service: str, *, mode: str | None = None
    ) -> ServiceInfo:
        query = ServiceQuery.parse(service, workspace)
        try:
            return await self._directory.find(caller, query, mode)
        except PermissionDenied as error:
            if self._audit is not None:  # what it wanted to call is not known yet
                call = (query.workspace, current_door.get(), str(query), "")
                self._audit.note(caller, call, None, self._audit.now(), error)
            raise

    async def call(
        self,
        caller: Caller,
        service: ServiceInfo,
        function: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> Any:
        work = self._counted(caller, service, function, args, kwargs, options)
        if self._audit is None or service is self._directory.manager:
            return await work
        call = (service.id.workspace, current_door.get(), str(service.id), function)
        # What the gateway's own functions are given may be passwords.
        is_own = self._directory.is_local(service) and self._local.is_own(service.id.service_id)
        return await self._audit.noted(caller, call, [args, kwargs], work, is_secret=is_own)

    async def _counted(
        self,
        caller: Caller,
        service: ServiceInfo,
        function: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: CallOptions,
    ) -> Any:
        outcomes = self._counters.calls
        try:
            if self._tracing is None:
                value = await self._call(caller, service, function, args, kwargs, options)
            else:
                with self._tracing.call(service, function, options.context) as context:
                    options = replace(options, context=context)
                    value = await self._call(caller, service, function, args, kwargs, options)
        except GatewayError as error:
            outcomes[error.code] += 1
            raise
        outcomes["ok"] += 1
        return value

    async def _call(
        self,
        caller: Caller,
        service: ServiceInfo,
        function: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: CallOptions,
    ) -> Any:
        decide(caller, ServiceAction.USE, service).require()
        self._functions.require(caller, service, function)
        info = service.functions.get(function)
        if info is not None and info.takes_interaction and INTERACTION not in (kwargs or {}):
            kwargs = {**(kwargs or {}), INTERACTION: lent(options.interaction)}
        if self._directory.is_local(service):
            return await self._call_local(caller, service, function, args, kwargs or {}, options)
        for _ in range(MAX_ATTEMPTS - 1):
            if self._registry.get(service.id) is not None:
                try:
                    return await self._call_remote(caller, service, function, args, kwargs, options)
                except ProviderGone as gone:
                    if gone.delivered and not service.is_idempotent(function):
                        raise
            # It did not run, or may run twice: the provider may come back, or there is another.
            service = await self._substitute(caller, service, function)
        return await self._call_remote(caller, service, function, args, kwargs, options)

    async def _call_remote(
        self,
        caller: Caller,
        service: ServiceInfo,
        function: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: CallOptions,
    ) -> Any:
        check = partial(self._check_still_welcome, caller.user)
        value = await self._endpoint.call(
            self._endpoint.identity_of(caller),
            service.id.provider,
            service_method(service.id.service_id, function),
            args,
            kwargs,
            silence_seconds=options.silence_timeout_seconds,
            context=options.context,
            is_cancellable=service.config.get("cancellable") is True,
            check=check,
        )
        if type(value) is RemoteStream:
            value.check = check
        return value

    def _check_still_welcome(self, user: User) -> None:
        """Streams and conversations can last long. Raises TokenRevoked, Blocked."""
        self._authentication.check_not_revoked(user)
        self._doorkeeper.check_blocks(user)

    async def _substitute(self, caller: Caller, service: ServiceInfo, function: str) -> ServiceInfo:
        """The same service by a provider that is there. One that was chosen as any of several may
        be replaced by another; with a function that is not idempotent only by itself.

        Raises ServiceNotFound if nobody comes.
        """
        sid = service.id
        client = ANY if service.is_idempotent(function) else sid.client_id
        query = ServiceQuery(sid.workspace, sid.service_id, client, service.app_id)
        return await self._directory.find(caller, query, "random")

    async def read(self, caller: Caller, service: ServiceInfo, path: str = "") -> Any:
        decide(caller, ServiceAction.USE, service).require()
        node = await self._directory.fetch(self._functions.view(caller, service))
        if isinstance(node, Packed):
            node = unpack(node)
        for key in path.split(".") if path else ():
            try:
                node = node[int(key)] if isinstance(node, list) else node[key]
            except (KeyError, TypeError, IndexError, ValueError):
                if self._directory.is_local(service):
                    raise self._local.at(service.id).missing(path) from None
                raise FunctionNotFound(f"{path} not found.") from None
        return node

    def workspace_version(self, workspace: str) -> int:
        return self._registry.version(workspace)

    def workspace_config(self, workspace: str) -> Mapping[str, Any]:
        record = self._workspaces.get(workspace)
        return record.config if record is not None else NO_CONFIG

    def watch(self, workspace: str, watcher: Callable[[ServiceInfo], None]) -> Callable[[], None]:
        return self._registry.watch(workspace, watcher)

    async def _call_local(
        self,
        caller: Caller,
        service: ServiceInfo,
        function: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> Any:
        try:
            value = await self._local.at(service.id).invoke(caller, function, args, kwargs, options)
        except GatewayError:
            raise
        except Exception as error:
            raise InternalError("Internal error") from error
        return unpack(value) if isinstance(value, Packed) else value
