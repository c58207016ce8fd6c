"""Shipped test double: ``FakeGateway`` keeps the contract of ``gateway.api.Gateway`` with plain
Python functions in memory. Use it to test a bridge, or an extension of your own, without sockets.

    gateway = FakeGateway()
    gateway.add_service("ws-lab/scope-1:camera", {"snap": snap}, visibility="public")
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.api import DEFAULT_OPTIONS, CallOptions, Credentials
from gateway.interaction import lent
from schema.errors import (
    AmbiguousService,
    FunctionNotFound,
    GatewayError,
    PermissionDenied,
    ServiceError,
    ServiceNotFound,
    Unauthenticated,
    WorkspaceNotFound,
)
from schema.functions import INTERACTION
from schema.identity import Caller, Permission, Scope, User, anonymous_http_caller
from schema.ids import ANY, ServiceId, ServiceQuery
from schema.services import ServiceInfo, Visibility, parse_visibility
from schema.values import METHOD, RTYPE


class FakeStream:
    """Items of a Python generator as a ``ValueStream``; ``closed`` tells whether it was closed."""

    def __init__(self, items: Iterable[Any] | AsyncIterator[Any]) -> None:
        self._items = items if hasattr(items, "__anext__") else _as_async(items)
        self.closed = False

    def __aiter__(self) -> FakeStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._items.__anext__()
        except (StopAsyncIteration, GatewayError):
            raise
        except Exception as error:
            raise ServiceError(str(error), remote_type=type(error).__name__) from error

    async def aclose(self) -> None:
        self.closed = True
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


async def _as_async(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


_NO_CONFIG: Final[Mapping[str, Any]] = {}


class _Loan:
    """The functions among the arguments of one call, which expire with it."""

    def __init__(self) -> None:
        self.is_over = False
        self._running: set[asyncio.Task[Any]] = set()

    def end(self) -> None:
        """What still runs is cancelled."""
        self.is_over = True
        for task in self._running:
            task.cancel()

    def of(self, value: Any) -> Any:
        """A copy of an argument whose functions can be called until the loan is over."""
        if isinstance(value, Mapping):
            return {key: self.of(child) for key, child in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(child) for child in value]
        return self._guarded(value) if callable(value) else value

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def lent(*args: Any, **kwargs: Any) -> Any:
            if self.is_over:
                raise FunctionNotFound("Method expired or not found")
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            self._running.add(task)
            try:
                return await function(*args, **kwargs)
            finally:
                self._running.discard(task)

        return lent


class FakeGateway:
    """``Gateway`` in memory. ``tokens`` maps a bearer token to the caller it stands for;
    ``calls`` records every call as ``(caller, service id, function, args, kwargs, options)``."""

    def __init__(self) -> None:
        self.tokens: dict[str, Caller] = {}
        self.calls: list[tuple[Caller, str, str, tuple[Any, ...], dict[str, Any], CallOptions]] = []
        self.streams: list[FakeStream] = []
        self._services: dict[str, tuple[ServiceInfo, Mapping[str, Any]]] = {}
        self._versions: dict[str, int] = {}
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._watchers: list[tuple[str, Callable[[ServiceInfo], None]]] = []

    # What tests arrange

    def add_service(
        self,
        service_id: str,
        api: Mapping[str, Any],
        *,
        service_schema: Mapping[str, Any] | None = None,
        **info: Any,
    ) -> ServiceInfo:
        """Register ``workspace/client:service``. ``info`` are keys of a registration: ``name``,
        ``type``, ``description``, ``docs``, ``visibility``, ``config``. A callable with a
        ``__schema__`` (``{"name", "description", "parameters"}``) is described by it."""
        query = ServiceQuery.parse(service_id, "")
        sid = ServiceId(query.workspace, query.client_id, query.service_id)
        config = dict(info.pop("config", {}))
        if "visibility" in info:
            config["visibility"] = info.pop("visibility")
        service = ServiceInfo(
            id=sid,
            name=info.pop("name", sid.service_id),
            visibility=parse_visibility(config),
            service_schema=service_schema if service_schema is not None else _schema_of(api),
            config=config,
            **info,
        )
        self._services[str(sid)] = (service, api)
        self._touch(service)
        return service

    def remove_service(self, service_id: str) -> None:
        service, _ = self._services.pop(service_id)
        self._touch(service)

    def configure(self, workspace: str, config: Mapping[str, Any]) -> None:
        """Set the ``config`` of a workspace's record."""
        self._configs[workspace] = config

    def add_token(self, token: str, user_id: str, workspaces: Mapping[str, str]) -> Caller:
        """Make ``token`` valid for a user with permission letters per workspace."""
        scope = Scope(
            {w: Permission.parse(p) for w, p in workspaces.items()},
            current_workspace=next(iter(workspaces), None),
        )
        caller = Caller(User(user_id, scope=scope), scope.current_workspace or f"ws-user-{user_id}")
        self.tokens[token] = caller
        return caller

    def _touch(self, service: ServiceInfo) -> None:
        workspace = service.id.workspace
        self._versions[workspace] = self._versions.get(workspace, 0) + 1
        for watched, watcher in list(self._watchers):
            if watched == workspace:
                watcher(service)

    # The contract

    async def authenticate(self, credentials: Credentials, workspace: str | None = None) -> Caller:
        if credentials.token is None:
            return anonymous_http_caller()
        try:
            caller = self.tokens[credentials.token]
        except KeyError:
            raise Unauthenticated("The token is not valid") from None
        if workspace and caller.user.scope.permission_on(workspace):
            return Caller(caller.user, workspace)
        return caller

    async def list_services(self, caller: Caller, workspace: str) -> list[ServiceInfo]:
        if workspace not in self._versions:
            raise WorkspaceNotFound(f"Workspace '{workspace}' not found")
        return [
            s
            for s, _ in self._services.values()
            if s.id.workspace == workspace
            and s.visibility is not Visibility.UNLISTED
            and self._may_see(caller, s)
        ]

    async def find_service(
        self, caller: Caller, workspace: str, service: str, *, mode: str | None = None
    ) -> ServiceInfo:
        query = ServiceQuery.parse(service, workspace)
        found = [
            s
            for s, _ in self._services.values()
            if s.id.workspace == query.workspace
            and s.id.service_id == query.service_id
            and query.client_id in (ANY, s.id.client_id)
            and query.app_id in (ANY, s.app_id)
        ]
        if not found:
            raise ServiceNotFound(f"Service not found: {query}")
        visible = [s for s in found if self._may_see(caller, s)]
        if not visible:
            raise PermissionDenied(
                f"Permission denied for non-public service in workspace {query.workspace}"
            )
        if len(visible) > 1 and mode in (None, "exact"):
            raise AmbiguousService(f"Multiple services found for {query}")
        return visible[-1] if mode == "last" else visible[0]

    async def call(
        self,
        caller: Caller,
        service: ServiceInfo,
        function: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> Any:
        target = self._member(caller, service, function)
        if not callable(target):
            raise FunctionNotFound(f"{function} is not a function")
        named = dict(kwargs or {})
        info = service.functions.get(function)
        if info is not None and info.takes_interaction and INTERACTION not in named:
            named[INTERACTION] = lent(options.interaction)
        self.calls.append((caller, str(service.id), function, tuple(args), dict(named), options))
        try:
            inspect.signature(target).bind(*args, **named)
        except TypeError as error:
            raise ServiceError(str(error), remote_type="TypeError") from None
        loan = _Loan()
        try:
            value = target(*loan.of(args), **loan.of(named))
            if inspect.isawaitable(value):
                value = await value
        except GatewayError:
            raise
        except Exception as error:
            raise ServiceError(str(error), remote_type=type(error).__name__) from error
        finally:
            loan.end()
        if inspect.isgenerator(value) or inspect.isasyncgen(value):
            stream = FakeStream(value)
            self.streams.append(stream)
            return stream
        return value

    async def read(self, caller: Caller, service: ServiceInfo, path: str = "") -> Any:
        return _shown(self._member(caller, service, path), path)

    def _member(self, caller: Caller, service: ServiceInfo, path: str) -> Any:
        if not self._may_see(caller, service):
            raise PermissionDenied(
                f"Permission denied for non-public service in workspace {service.id.workspace}"
            )
        entry = self._services.get(str(service.id))
        if entry is None:
            raise ServiceNotFound(f"Service not found: {service.id}")
        node: Any = entry[1]
        for key in path.split(".") if path else ():
            try:
                node = node[int(key)] if isinstance(node, list) else node[key]
            except (KeyError, TypeError, IndexError, ValueError):
                raise FunctionNotFound(f"{path} not found.") from None
        return node

    def workspace_version(self, workspace: str) -> int:
        return self._versions.get(workspace, 0)

    def workspace_config(self, workspace: str) -> Mapping[str, Any]:
        return self._configs.get(workspace, _NO_CONFIG)

    def watch(self, workspace: str, watcher: Callable[[ServiceInfo], None]) -> Callable[[], None]:
        entry = (workspace, watcher)
        self._watchers.append(entry)

        def stop() -> None:
            # By identity: two watchers may be equal.
            self._watchers = [kept for kept in self._watchers if kept is not entry]

        return stop

    @staticmethod
    def _may_see(caller: Caller, service: ServiceInfo) -> bool:
        return (
            service.visibility is not Visibility.PROTECTED
            or caller.user.scope.permission_on(service.id.workspace) is not None
            or caller.workspace in service.authorized_workspaces
        )


def _schema_of(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _schema_of(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_schema_of(child) for child in node]
    if callable(node):
        return {"type": "function", "function": getattr(node, "__schema__", {})}
    return {"type": "string"} if isinstance(node, str) else {}


def _shown(node: Any, path: str) -> Any:
    """A member as a provider shows it: with its functions as encoded methods."""
    if isinstance(node, Mapping):
        return {key: _shown(child, f"{path}.{key}") for key, child in node.items()}
    if isinstance(node, list):
        return [_shown(child, f"{path}.{index}") for index, child in enumerate(node)]
    if callable(node):
        name = getattr(node, "__name__", "")
        return {RTYPE: METHOD, "_rmethod": path.removeprefix("."), "_rname": name}
    return node
