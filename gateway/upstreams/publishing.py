"""Between upstreams and the registry: offers their functions, but for those that are held back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.registry.directory import Absence, Directory
from gateway.registry.hosting import Hosting
from gateway.rpc.hosted import Handler
from gateway.upstreams.entries import Upstream
from gateway.upstreams.pins import Pins
from gateway.upstreams.supervisor import State, Supervisor
from schema.ids import ServiceQuery
from schema.services import ServiceInfo

EXPECT_SECONDS: Final = 15.0
"""How long whoever asks for an upstream that is starting waits for it."""

_ABSENT: Final = (State.STARTING, State.WAITING, State.NEEDS_LOGIN)
_STARTING: Final = "is not there yet: the server behind it is being started"
_FAILED: Final = (
    "is not there now: the server behind it does not start, and is tried again. Whoever manages it "
    "finds the reason in its status"
)
_NEEDS_LOGIN: Final = (
    "is not there now: whoever manages the server behind it has to log the gateway in to it"
)


def service_of(
    upstream: Upstream, hosting: Hosting, schema: Mapping[str, Any] | None = None, **texts: Any
) -> ServiceInfo:
    """The service that an upstream is; without a schema, as it is before anything is known of
    it."""
    sid = hosting.id_of(upstream.workspace, upstream.name)
    config = {"mcp": {"stateful": True}} if upstream.has_sessions else {}
    return hosting.describe(
        sid, schema or {}, visibility=upstream.visibility, config=config, **texts
    )


class Publisher:
    """Offers the functions of upstreams."""

    def __init__(self, hosting: Hosting, directory: Directory, pins: Pins) -> None:
        self._hosting = hosting
        self._directory = directory
        self._pins = pins

    def expect(self, upstream: Upstream) -> None:
        """It is starting: who asks for it may wait a little."""
        info = service_of(upstream, self._hosting)
        self._directory.expect([info], min(EXPECT_SECONDS, upstream.start_seconds))

    def expect_no_more(self, upstream: Upstream) -> None:
        """It does not start: who asks for it is told."""
        self._directory.expect_no_more(service_of(upstream, self._hosting))

    def explain(self, find: Callable[[str, str], tuple[Upstream, Supervisor] | None]) -> None:
        """Tell those who ask for an upstream that is not offered how it is. ``find`` finds it by
        workspace and name."""

        def absence(query: ServiceQuery) -> Absence | None:
            found = find(query.workspace, query.service_id)
            if found is None or found[1].state not in _ABSENT:
                return None  # one that is switched off does not exist
            upstream, supervisor = found
            text = _FAILED if supervisor.failures else _STARTING
            if supervisor.state is State.NEEDS_LOGIN:
                text = _NEEDS_LOGIN
            return Absence(
                service_of(upstream, self._hosting), f"{upstream.key} {text}", supervisor.reason
            )

        self._directory.explain_absence(absence)

    async def see(self, upstream: Upstream, tools: Sequence[Mapping[str, Any]]) -> None:
        """Compare with what was approved."""
        await self._pins.see(upstream.key, tools)

    def held(self, upstream: Upstream) -> frozenset[str]:
        """Names of the tools that are held back."""
        return self._pins.held(upstream.key)

    def publish(
        self,
        upstream: Upstream,
        schema: Mapping[str, Any],
        handler: Handler,
        *,
        held: Mapping[str, str],
        members: Mapping[str, Any] | None = None,
        **texts: Any,
    ) -> None:
        """Offer the functions. ``held`` has the paths of those that are held back, which are
        refused by name; ``members`` is what the service object has besides; ``texts`` are ``name``,
        ``type``, ``description``, ``docs``.

        Raises Conflict.
        """
        info = service_of(upstream, self._hosting, schema, **texts)
        self._hosting.publish(info, handler, held=held, members=members)

    def withdraw(self, upstream: Upstream) -> None:
        """Offer them no longer."""
        self._hosting.withdraw(self._hosting.id_of(upstream.workspace, upstream.name))
