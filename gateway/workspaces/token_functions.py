"""Functions of the manager that are about tokens."""

from __future__ import annotations

from typing import Any

from gateway.auth.authentication import Authentication
from gateway.auth.tokens import check_extra_scopes, check_life
from gateway.workspaces.names import readable_name
from schema.errors import InvalidRequest, PermissionDenied, Unauthenticated
from schema.identity import ANONYMOUS_PREFIX, Caller, Permission, Scope, User
from schema.ids import check_client_id


class TokenFunctions:
    """Mint, read and revoke tokens."""

    def __init__(self, authentication: Authentication, *, max_life_seconds: float) -> None:
        self._authentication = authentication
        self._max_life_seconds = max_life_seconds

    async def generate_token(self, caller: Caller, config: dict[str, Any] | None = None) -> str:
        """Make a token for a workspace that the caller administers; never for more than it has."""
        options = config or {}
        workspace = str(options.get("workspace") or caller.workspace)
        permission = Permission.parse(options.get("permission") or "read_write")
        client_id = options.get("client_id")
        scope = Scope(
            {workspace: permission},
            current_workspace=workspace,
            client_id=check_client_id(client_id) if client_id is not None else None,
            extra_scopes=check_extra_scopes(options.get("extra_scopes") or ()),
        )
        prefix = ANONYMOUS_PREFIX if caller.user.is_anonymous else ""
        child = User(
            id=f"{prefix}{readable_name()}",
            # Roles are not inherited: a child has what its scope says and nothing else.
            roles=("anonymous",) if caller.user.is_anonymous else (),
            is_anonymous=caller.user.is_anonymous,
            scope=scope,
            email=caller.user.email,
            parent=caller.user.effective_id,
            lineage=caller.user.lineage,
            not_after=caller.user.not_after,
        )
        life = check_life(options.get("expires_in"), self._max_life_seconds)
        return await self._authentication.issue(child, expires_in_seconds=life)

    async def parse_token(self, caller: Caller, token: str) -> dict[str, Any]:
        """Read a token of this workspace."""
        user = await self._authentication.user(token)
        current = user.scope.current_workspace
        if current is not None and current != caller.workspace:
            raise PermissionDenied(
                f"The token is for workspace {current}, not for {caller.workspace}"
            )
        return user.to_wire()

    async def revoke_token(self, caller: Caller, token: str) -> None:
        """Refuse a token of this workspace, or one of the caller's own, from now on. What was made
        from it goes with it, and whoever is connected by it is disconnected."""
        try:
            await self._authentication.bearer(token)
        except Unauthenticated as error:
            raise InvalidRequest(f"Invalid token: {error.message}") from None
        try:
            user = await self._authentication.user(token)
        except Unauthenticated:
            raise InvalidRequest("Token has already expired") from None
        is_own = user.effective_id == caller.user.effective_id
        if caller.workspace not in user.scope.workspaces and not is_own:
            raise PermissionDenied("Only tokens of this workspace can be revoked here")
        await self._authentication.revoke(user)
