"""What there is of upstreams for a caller: asked for here, it is decided on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.auth.access import Action, ServiceAction, decide
from gateway.registry.hosting import Hosting
from gateway.upstreams.entries import Document, Program, Upstream
from gateway.upstreams.publishing import service_of
from gateway.upstreams.upstreams import Upstreams
from schema.errors import NotFound
from schema.identity import ANY_WORKSPACE, Caller


class ServerReach:
    """Gives out no more than the caller may have."""

    def __init__(self, upstreams: Upstreams, hosting: Hosting) -> None:
        self._upstreams = upstreams
        self._hosting = hosting

    def read(
        self, caller: Caller, name: str, config: Mapping[str, Any], workspace: str
    ) -> tuple[Upstream, bool]:
        """What a caller wants to have added, and whether its entry may use what the gateway's
        machine has: programs, files and environment.

        Raises InvalidRequest, PermissionDenied.
        """
        verdict = decide(caller, Action.RUN_PROGRAM, ANY_WORKSPACE)
        upstream = self._upstreams.read(name, config, workspace, is_trusted=verdict.allowed)
        if _is_of_this_machine(upstream):
            verdict.require()
        return upstream, verdict.allowed

    def may_manage(self, caller: Caller, workspace: str) -> bool:
        """Whether a caller may see what is for those who manage the servers of a workspace."""
        return decide(caller, Action.MANAGE_SERVERS, workspace).allowed

    def usable(self, caller: Caller, name: str, workspace: str) -> Upstream:
        """An upstream whose service the caller may use. Raises NotFound, for others too."""
        upstream = self._upstreams.get(workspace, name).upstream
        if not decide(caller, ServiceAction.USE, service_of(upstream, self._hosting)).allowed:
            raise NotFound(f"There is no server {name!r} in the workspace {upstream.workspace}")
        return upstream


def _is_of_this_machine(upstream: Upstream) -> bool:
    target = upstream.target
    if isinstance(target, Document):
        return "://" not in target.source
    return isinstance(target, Program)
