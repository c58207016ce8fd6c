"""Waist 1: how everything that is not a hypha-rpc peer reaches services.

Above: the bridges (HTTP, MCP), the command line, built-in services. Below: the registry, the
access decision and the gateway's own RPC endpoint. A bridge needs nothing else; if it does, this
protocol is wrong and should change.

Deadline and cancellation belong to the awaiting task: cancelling it abandons the remote call.
Every failure is a ``schema.errors.GatewayError``.

Values are what msgpack can carry, with hypha-rpc's encoded values (``schema.values``) left as
maps. ``gateway.testing.FakeGateway`` is the second implementation; both pass the same tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from schema.identity import Caller
from schema.services import ServiceInfo

LOG_LEVELS: Final = (
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency",
)  # fmt: skip
"""Those of RFC 5424, the least first."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought along to prove who sends it."""

    token: str | None = None
    """Bearer token, without the scheme."""
    resources: tuple[str, ...] = ()
    """What the request is for, where tokens may be good for that alone (RFC 8707)."""


class ValueStream(Protocol):
    """Items of a generator, made while they are read. Close it when done early, so that the
    provider's generator is closed too.

    One whose items may come faster than they are read can have a method ``ready() -> list``: those
    that follow and are there already, so that a reader can take them together. They are not given
    out again. It raises what reading raises.
    """

    def __aiter__(self) -> AsyncIterator[Any]: ...

    async def __anext__(self) -> Any: ...

    async def aclose(self) -> None: ...


class Interaction(Protocol):
    """How a function that runs reaches whoever has called it, as far as that caller can be reached.

    Requests have the methods and forms of MCP: ``elicitation/create`` asks the user (capability
    ``elicitation``), ``sampling/createMessage`` the user's model (``sampling``), ``roots/list`` for
    the directories that the user works in (``roots``).
    """

    @property
    def capabilities(self) -> Sequence[str]:
        """Which kinds of requests the caller can answer."""
        ...

    async def progress(
        self, value: float, total: float | None = None, message: str | None = None
    ) -> None:
        """Tell how far the function is, in units of its own."""
        ...

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Tell something, at one of the levels of RFC 5424."""
        ...

    async def request(self, requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        """Ask for several things at once: ``{"method", "params"}`` by a key of the function's own;
        the results by the same keys. Raises CannotAsk."""
        ...


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Optional conditions of a call."""

    silence_timeout_seconds: float | None = None
    """Give up when the provider has sent neither reply nor heartbeat for so long; None: as set."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Extra keys for the ``context`` of the function (request id, trace)."""
    wants_content: bool = False
    """A function that is a tool of an MCP server gives its whole result, a map with ``content``,
    in place of the value in it."""
    interaction: Interaction | None = None
    """For a function that declares a parameter ``interaction``; None: nobody can be asked."""


DEFAULT_OPTIONS = CallOptions()


class Gateway(Protocol):
    """The whole of waist 1."""

    async def authenticate(self, credentials: Credentials, workspace: str | None = None) -> Caller:
        """Turn credentials into a caller acting in ``workspace`` if it may, else in its own.

        No credentials: the anonymous caller. Raises Unauthenticated for a bad credential (never a
        silent downgrade) and WorkspaceNotFound.
        """
        ...

    async def list_services(self, caller: Caller, workspace: str) -> list[ServiceInfo]:
        """Services of a workspace that the caller may see listed, in registration order."""
        ...

    async def find_service(
        self, caller: Caller, workspace: str, service: str, *, mode: str | None = None
    ) -> ServiceInfo:
        """Resolve ``[client:]service[@app]`` in a workspace to one service.

        Raises ServiceNotFound, PermissionDenied, AmbiguousService, InvalidRequest.
        """
        ...

    async def call(
        self,
        caller: Caller,
        service: ServiceInfo,
        function: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> Any:
        """Call a function by its dotted path and return its value, or a ValueStream.

        An async function anywhere in the arguments is lent to the function that is called, which
        may call it until this call ends; nobody else may, and afterwards it has expired. Calls of
        it start in the order in which they were made, and do not wait for each other. What it
        raises should be a GatewayError; anything else is a defect to the provider.

        Raises PermissionDenied, FunctionNotFound, ServiceError, ProviderGone, CallTimeout.
        """
        ...

    async def read(self, caller: Caller, service: ServiceInfo, path: str = "") -> Any:
        """The service object as its provider shows it now (functions as encoded methods), or the
        member at a dotted path. Raises FunctionNotFound if there is no such member."""
        ...

    def workspace_version(self, workspace: str) -> int:
        """A number that changes whenever the services of a workspace change."""
        ...

    def workspace_config(self, workspace: str) -> Mapping[str, Any]:
        """The ``config`` of a workspace's record, which its administrators set: the same object
        until they change it. Empty if there is no such workspace."""
        ...

    def watch(self, workspace: str, watcher: Callable[[ServiceInfo], None]) -> Callable[[], None]:
        """Call ``watcher`` with each service of a workspace that has come, gone or been registered
        anew, after the fact; the function that is returned ends it.

        It is told of all services, whoever may see them. It must neither raise nor take long.
        """
        ...
