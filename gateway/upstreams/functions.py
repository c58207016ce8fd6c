"""Functions of the service ``public/mcp-servers``: manage upstreams while the server runs.

Who may add a server decides what a workspace offers, so that takes admin permission on it. A server
that is a program runs on the machine of the gateway: only its operators may add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.auth.access import Action, ServiceAction
from gateway.auth.audit import AuditLog
from gateway.registry.hosting import Hosting
from gateway.rpc.local import LocalFunction
from gateway.upstreams.entries import Document, Program, Upstream
from gateway.upstreams.reach import ServerReach
from gateway.upstreams.server import McpServer
from gateway.upstreams.supervisor import State
from gateway.upstreams.upstreams import Service, Upstreams
from gateway.workspaces.rules import Rule, audited, permitted
from gateway.workspaces.workspaces import Workspaces
from schema.errors import Conflict, InvalidRequest
from schema.identity import Caller

SERVERS_SERVICE: Final = "mcp-servers"
FIRST_START_SECONDS: Final = 10.0
"""How long ``add`` and ``restart`` wait to be able to say how it went."""

RULES: Final[Mapping[str, Rule]] = {
    "add": Rule(Action.MANAGE_SERVERS, "workspace", each=Action.RUN_PROGRAM),
    "remove": Rule(Action.MANAGE_SERVERS, "workspace"),
    "list": Rule(Action.LIST_SERVERS, "workspace", each=Action.MANAGE_SERVERS),
    "status": Rule(Action.MANAGE_SERVERS, "workspace"),
    "restart": Rule(Action.MANAGE_SERVERS, "workspace"),
    "log_out": Rule(Action.MANAGE_SERVERS, "workspace"),
    "approve": Rule(Action.MANAGE_SERVERS, "workspace"),
    "set_credential": Rule(Action.KEEP_CREDENTIAL, "workspace", each=ServiceAction.USE),
    "delete_credential": Rule(Action.KEEP_CREDENTIAL, "workspace", each=ServiceAction.USE),
}
_SETTLED: Final = (State.RUNNING, State.NEEDS_LOGIN)
_UNLOGGED: Final = frozenset({"list", "status"})


class ServerFunctions:
    """See the module."""

    def __init__(
        self, upstreams: Upstreams, hosting: Hosting, workspaces: Workspaces, audit: AuditLog
    ) -> None:
        self._upstreams = upstreams
        self._workspaces = workspaces
        self._hosting = hosting
        self._audit = audit
        self._reach = ServerReach(upstreams, hosting)

    def functions(self) -> Mapping[str, LocalFunction]:
        """All of them, by name, each behind its rule; those that change something are logged."""
        found: dict[str, LocalFunction] = {
            "add": self.add,
            "remove": self.remove,
            "list": self.list_servers,
            "status": self.status,
            "restart": self.restart,
            "log_out": self.log_out,
            "approve": self.approve,
            "set_credential": self.set_credential,
            "delete_credential": self.delete_credential,
        }
        for name, function in found.items():
            found[name] = permitted(RULES[name], function)
            if name not in _UNLOGGED:
                found[name] = audited(
                    found[name], self._audit, SERVERS_SERVICE, name, RULES[name].argument
                )
        return found

    async def add(
        self, caller: Caller, name: str, config: dict[str, Any], workspace: str | None = None
    ) -> dict[str, Any]:
        """Add a server to a workspace and start it. ``config`` is an entry as in an mcpServers
        file: {"url": ..., "headers": {...}}, {"openapi": ...} or, for operators of the gateway,
        {"command": ..., "args": [...], "env": {...}}. It is kept, encrypted."""
        where = self._where(caller, workspace)
        upstream, is_trusted = self._reach.read(caller, name, config, where)
        self._check_name(upstream)
        service = await self._upstreams.add(
            upstream, config, added_by=caller.user.effective_id, is_trusted=is_trusted
        )
        await _settled(service)
        return self._record(service, in_full=True)

    async def remove(self, caller: Caller, name: str, workspace: str | None = None) -> None:
        """Stop a server that was added, and forget it with its approvals and credentials."""
        service = self._found(caller, name, workspace)
        if self._upstreams.is_configured(service.upstream):
            raise Conflict(f"The server {name!r} is in the configuration file of the gateway")
        await self._upstreams.remove(service)

    async def list_servers(
        self, caller: Caller, workspace: str | None = None
    ) -> list[dict[str, Any]]:
        """List the servers of a workspace and how they are; for those who may manage them also
        where to log in at one that needs it."""
        where = workspace or caller.workspace
        records = [self._record(service) for service in self._upstreams.in_workspace(where)]
        if not self._reach.may_manage(caller, where):
            for record in records:
                record.pop("login_url", None)
        return records

    async def status(
        self, caller: Caller, name: str, workspace: str | None = None
    ) -> dict[str, Any]:
        """Tell how a server is: its tools, those that wait for approval with what has changed, what
        it wrote last beside the protocol, and where to log in if it needs that."""
        return self._record(self._found(caller, name, workspace), in_full=True)

    async def restart(
        self, caller: Caller, name: str, workspace: str | None = None
    ) -> dict[str, Any]:
        """Stop a server and start it again."""
        service = self._found(caller, name, workspace)
        await service.restart()
        await _settled(service)
        return self._record(service, in_full=True)

    async def log_out(
        self, caller: Caller, name: str, workspace: str | None = None
    ) -> dict[str, Any]:
        """Forget the gateway's login at a server, and begin anew."""
        service = self._found(caller, name, workspace)
        if not isinstance(service, McpServer):
            raise InvalidRequest("Only an MCP server at a URL can be logged in to")
        await service.log_out()
        await _settled(service)
        return self._record(service, in_full=True)

    async def approve(
        self,
        caller: Caller,
        name: str,
        tools: list[str] | dict[str, str] | None = None,
        workspace: str | None = None,
    ) -> list[str]:
        """Offer tools that were held back: all of them, some by name, or by name and the digest
        that ``status`` showed, so that nothing is approved that has changed since."""
        service = self._found(caller, name, workspace)
        chosen: dict[str, str | None] = (
            dict(tools) if isinstance(tools, dict) else dict.fromkeys(tools or ())
        )
        if tools is not None and not chosen:
            return []
        key, user = service.upstream.key, caller.user.effective_id
        approved = await self._upstreams.pins.approve(key, chosen, user)
        service.review()
        return approved

    async def set_credential(
        self, caller: Caller, name: str, credential: str, workspace: str | None = None
    ) -> None:
        """Store your own credential for a server, encrypted; your calls carry it from then on as
        their Authorization. It is never shown again."""
        upstream = self._reach.usable(caller, name, workspace or caller.workspace)
        if isinstance(upstream.target, Program):
            raise InvalidRequest("A server that is a program takes no credentials of users")
        await self._upstreams.credentials.put(upstream, caller.user.effective_id, credential)

    async def delete_credential(
        self, caller: Caller, name: str, workspace: str | None = None
    ) -> bool:
        """Forget your credential for a server; false if there was none."""
        upstream = self._reach.usable(caller, name, workspace or caller.workspace)
        return await self._upstreams.credentials.remove(upstream, caller.user.effective_id)

    def _where(self, caller: Caller, workspace: str | None) -> str:
        """Raises WorkspaceNotFound."""
        return self._workspaces.require(workspace or caller.workspace).id

    def _found(self, caller: Caller, name: str, workspace: str | None) -> Service:
        return self._upstreams.get(self._where(caller, workspace), name)

    def _check_name(self, upstream: Upstream) -> None:
        if self._hosting.is_reserved(upstream.name):
            raise Conflict(f"The name {upstream.name!r} belongs to the gateway")

    def _record(self, service: Service, *, in_full: bool = False) -> dict[str, Any]:
        """Without the values of its configuration, which may be secret."""
        upstream = service.upstream
        target = upstream.target
        kind = "openapi" if isinstance(target, Document) else "http"
        waiting = self._upstreams.pins.report(upstream.key)
        record: dict[str, Any] = {
            "name": upstream.name,
            "workspace": upstream.workspace,
            "service_id": str(self._hosting.id_of(upstream.workspace, upstream.name)),
            "kind": "stdio" if isinstance(target, Program) else kind,
            "visibility": upstream.visibility.value,
            "is_configured": self._upstreams.is_configured(upstream),
            "is_disabled": upstream.is_disabled,
            **service.supervisor.to_wire(),
            "held": [entry["tool"] for entry in waiting],
        }
        if isinstance(service, McpServer) and service.login_url is not None:
            record["login_url"] = service.login_url
        if in_full:
            record |= {"held": waiting, **service.status()}
        return record


async def _settled(service: Service) -> None:
    """Until it runs, waits for somebody to log in, or has failed once."""
    supervisor = service.supervisor
    if not service.upstream.is_disabled:
        await supervisor.until(
            lambda: supervisor.state in _SETTLED or supervisor.failures > 0,
            FIRST_START_SECONDS,
        )
