"""Functions of the service ``ws-user-root/admin-utils``: for the operator of the server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.auth.access import Action
from gateway.auth.audit import AuditLog
from gateway.auth.blocks import Blocks
from gateway.registry.registry import Registry
from gateway.routing.router import Router
from gateway.routing.session import CLOSE_POLICY
from gateway.rpc.local import LocalFunction
from gateway.settings import Settings
from gateway.workspaces.audit_functions import WholeAuditFunctions
from gateway.workspaces.rules import guarded_by
from gateway.workspaces.workspaces import Workspaces
from schema.errors import Blocked, InvalidRequest, NotFound
from schema.identity import ANY_WORKSPACE, Caller

ADMIN_SERVICE: Final = "admin-utils"
MAX_LISTED: Final = 1000
_AUDITED: Final = frozenset(
    {
        "block_ip",
        "block_user",
        "get_audit_log",
        "kickout_client",
        "unblock_ip",
        "unblock_user",
        "unload_workspace",
    }
)
_MAX_REASON: Final = 100
"""The reason of a close frame has 123 bytes at most (RFC 6455, section 5.5)."""


class AdminFunctions:
    """Look at the whole server, disconnect clients, keep users out."""

    def __init__(  # noqa: PLR0913 - the composition root calls it once
        self,
        settings: Settings,
        router: Router,
        registry: Registry,
        workspaces: Workspaces,
        blocks: Blocks,
        audit: AuditLog,
        *,
        version: str,
        memory_bytes: Callable[[], int],
    ) -> None:
        """``memory_bytes`` tells what the process uses now."""
        self._settings = settings
        self._router = router
        self._registry = registry
        self._workspaces = workspaces
        self._blocks = blocks
        self._audit = audit
        self._version = version
        self._memory_bytes = memory_bytes
        self._started_at = time.monotonic()

    def functions(self) -> Mapping[str, LocalFunction]:
        """All of them, for administrators of the server only."""
        found = (
            self.list_servers,
            self.kickout_client,
            self.list_workspaces,
            self.unload_workspace,
            self.get_metrics,
            self.get_resource_usage,
            self.block_user,
            self.unblock_user,
            self.block_ip,
            self.unblock_ip,
            self.list_blocked,
            WholeAuditFunctions(self._audit).get_audit_log,
        )
        every = Action.ADMINISTER, ANY_WORKSPACE
        return {
            f.__name__: guarded_by(*every, f, self._audit if f.__name__ in _AUDITED else None)
            for f in found
        }

    async def list_servers(self, caller: Caller) -> list[dict[str, Any]]:
        """List the server processes: this one."""
        return [
            {
                "id": self._router.manager_id,
                "version": self._version,
                "public_base_url": self._settings.base_url,
                "local_base_url": self._settings.local_base_url,
                "uptime_seconds": time.monotonic() - self._started_at,
            }
        ]

    async def kickout_client(
        self,
        caller: Caller,
        workspace: str,
        client_id: str,
        code: int = CLOSE_POLICY,
        reason: str = "Disconnected by the operator",
    ) -> None:
        """Disconnect a client, with a code of RFC 6455. After 1001 clients come back."""
        if not (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) and not (
            3000 <= code <= 4999
        ):
            raise InvalidRequest(f"Not a code that a websocket can be closed with: {code}")
        session = self._router.get(f"{workspace}/{client_id}")
        if session is None:
            raise NotFound(f"There is no client {workspace}/{client_id}")
        session.close(code, reason[:_MAX_REASON])

    async def list_workspaces(
        self, caller: Caller, offset: int = 0, limit: int = MAX_LISTED
    ) -> list[dict[str, Any]]:
        """List all workspaces with their owner and how much is going on in them, sorted by id."""
        if not 1 <= limit <= MAX_LISTED or offset < 0:
            raise InvalidRequest(f"limit must be from 1 to {MAX_LISTED} and offset not negative")
        return [
            record.summary()
            | {
                "clients": len(self._router.sessions_in(record.id)),
                "services": sum(1 for _ in self._registry.in_workspace(record.id)),
                "members": len(record.members),
            }
            for record in self._workspaces.all()[offset : offset + limit]
        ]

    async def unload_workspace(self, caller: Caller, workspace: str) -> dict[str, Any]:
        """Disconnect all clients of a workspace. One that is not persistent goes with them."""
        self._workspaces.require(workspace)
        sessions = self._router.sessions_in(workspace)
        for session in sessions:
            session.close(CLOSE_POLICY, f"Workspace {workspace} was unloaded")
        if not sessions:
            self._workspaces.unload(workspace)
        return {"disconnected_clients": [session.address for session in sessions]}

    async def get_metrics(self, caller: Caller) -> dict[str, Any]:
        """Count what the server holds now."""
        sessions = self._router.sessions()
        return {
            "connections": len(sessions),
            "users": len({session.user.effective_id for session in sessions}),
            "workspaces": len(self._workspaces.all()),
            "workspaces_with_clients": len({session.workspace for session in sessions}),
            "services": self._registry.count(),
            "blocked": len(self._blocks.listed()),
            "memory_bytes": self._memory_bytes(),
            "cpu_seconds": time.process_time(),
            "uptime_seconds": time.monotonic() - self._started_at,
        }

    async def get_resource_usage(self, caller: Caller, limit: int = 20) -> dict[str, Any]:
        """Show the quotas, and the users and workspaces that come closest to them."""
        if not 1 <= limit <= MAX_LISTED:
            raise InvalidRequest(f"limit must be from 1 to {MAX_LISTED}")
        sessions = self._router.sessions()
        users = Counter(session.user.effective_id for session in sessions)
        workspaces = Counter(session.workspace for session in sessions)
        clients = {
            session.address: len(self._registry.of_client(session.address)) for session in sessions
        }
        settings = self._settings
        return {
            "limits": {
                "connections_per_user": settings.max_connections_per_user,
                "clients_per_workspace": settings.max_clients_per_workspace,
                "services_per_client": settings.max_services_per_client,
                "workspaces_per_user": settings.max_workspaces_per_user,
            },
            "connections_per_user": dict(users.most_common(limit)),
            "clients_per_workspace": dict(workspaces.most_common(limit)),
            "services_per_client": dict(Counter(clients).most_common(limit)),
        }

    # Blocks

    async def block_user(
        self, caller: Caller, user_id: str, duration: float = 0, reason: str = ""
    ) -> dict[str, Any]:
        """Keep a user out, with all tokens minted from theirs, and disconnect them. The duration is
        in seconds; 0 means 30 days."""
        by = caller.user.effective_id
        entry = await self._blocks.block_user(user_id, seconds=duration, reason=reason, by=by)
        self._disconnect_blocked()
        return entry

    async def unblock_user(self, caller: Caller, user_id: str) -> None:
        """Let a user in again."""
        await self._blocks.unblock_user(user_id)

    async def block_ip(
        self, caller: Caller, ip: str, duration: float = 0, reason: str = ""
    ) -> dict[str, Any]:
        """Keep an IP address or network (such as 192.0.2.0/24) out, and disconnect who is there.
        The duration is in seconds; 0 means 30 days."""
        by = caller.user.effective_id
        entry = await self._blocks.block_address(ip, seconds=duration, reason=reason, by=by)
        self._disconnect_blocked()
        return entry

    async def unblock_ip(self, caller: Caller, ip: str) -> None:
        """Let an IP address or network in again."""
        await self._blocks.unblock_address(ip)

    async def list_blocked(self, caller: Caller) -> list[dict[str, Any]]:
        """List the users and addresses that are kept out."""
        return self._blocks.listed()

    def _disconnect_blocked(self) -> None:
        for session in self._router.sessions():
            try:
                self._blocks.check_user(session.user)
                self._blocks.check_address(session.remote)
            except Blocked as error:
                session.close(CLOSE_POLICY, error.message[:_MAX_REASON])
