"""Functions that show the audit log: a workspace's to who administers it, all to the operator."""

from __future__ import annotations

from typing import Any, Final

from gateway.auth.audit import AuditLog
from schema.errors import InvalidRequest
from schema.identity import Caller

MAX_LISTED: Final = 1000


class AuditFunctions:
    """For the manager."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def get_audit_log(
        self,
        caller: Caller,
        workspace: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Get the audit log of a workspace, the newest entries first; the next page is before the
        number of the last one."""
        return await _page(self._audit, workspace or caller.workspace, before, limit)


class WholeAuditFunctions:
    """For the operator's service."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def get_audit_log(
        self, caller: Caller, before: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Get the audit log of all workspaces, the newest entries first."""
        return await _page(self._audit, None, before, limit)


async def _page(
    audit: AuditLog, workspace: str | None, before: int | None, limit: int
) -> list[dict[str, Any]]:
    if not 1 <= limit <= MAX_LISTED:
        raise InvalidRequest(f"limit must be from 1 to {MAX_LISTED}")
    return await audit.find(workspace, before=before, limit=limit)
