"""Functions of the manager that are about tokens."""

from __future__ import annotations

from typing import Any

from gateway.auth.authentication import Authentication
from gateway.auth.tokens import check_extra_scopes, check_life
from gateway.workspaces.names import readable_name
from gateway.workspaces.reach import Reach
from schema.errors import InvalidRequest
from schema.identity import ANONYMOUS_PREFIX, Caller, Permission, Scope, User
from schema.ids import check_client_id


class TokenFunctions:
    """Mint, read and revoke tokens."""

    def __init__(
        self, authentication: Authentication, reach: Reach, *, max_life_seconds: float
    ) -> None:
        self._reach = reach
        self._authentication = authentication
        self._max_life_seconds = max_life_seconds

    async def generate_token(self, caller: Caller, config: dict[str, Any] | None = None) -> str:
        """Make a token for a workspace that the caller administers; never for more than it has.
        Another e-mail address than the caller's is for admins of the server to say."""
        options = config or {}
        workspace = str(options.get("workspace") or caller.workspace)
        permission = Permission.parse(options.get("permission") or "read_write")
        client_id = options.get("client_id")
        email = options.get("email")
        if email is not None and not isinstance(email, str):
            raise InvalidRequest("The option 'email' must be text")
        extra_scopes = options.get("extra_scopes") or ()
        if not isinstance(extra_scopes, list | tuple):
            raise InvalidRequest("The option 'extra_scopes' must be a list")
        scope = Scope(
            {workspace: permission},
            current_workspace=workspace,
            client_id=check_client_id(client_id) if client_id is not None else None,
            extra_scopes=check_extra_scopes(extra_scopes),
        )
        prefix = ANONYMOUS_PREFIX if caller.user.is_anonymous else ""
        child = User(
            id=f"{prefix}{readable_name()}",
            # Roles are not inherited: a child has what its scope says and nothing else.
            roles=("anonymous",) if caller.user.is_anonymous else (),
            is_anonymous=caller.user.is_anonymous,
            scope=scope,
            email=email or caller.user.email,
            parent=caller.user.effective_id,
            lineage=caller.user.lineage,
            not_after=caller.user.not_after,
        )
        life = check_life(options.get("expires_in"), self._max_life_seconds)
        return await self._authentication.issue(child, expires_in_seconds=life)

    async def parse_token(self, caller: Caller, token: str) -> dict[str, Any]:
        """Read a token of this workspace."""
        return (await self._reach.parsed(caller, token)).to_wire()

    async def revoke_token(self, caller: Caller, token: str) -> None:
        """Refuse a token of this workspace, or one of the caller's own, from now on. What was made
        from it goes with it, and whoever is connected by it is disconnected."""
        await self._authentication.revoke(await self._reach.revocable(caller, token))
