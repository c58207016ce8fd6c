"""Cut a token down to what a program asked for: one workspace, a shorter life.

The new token stands for the same user and never for more than the old one: not for a workspace or
a permission that the user does not have, and not for longer. It is revoked with the old one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from gateway.auth.access import Action, decide
from gateway.auth.authentication import Authentication
from gateway.auth.tokens import MAX_LIFE_SECONDS, check_life
from schema.errors import PermissionDenied
from schema.identity import Caller, User

AsMember = Callable[[User, str], User]
"""The user with what owning a workspace, or being a member, gives them there, and without what does
not count there any more. A token that is pinned to another workspace gets nothing by it."""


class TokenExchange:
    """Exchanges tokens. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        authentication: Authentication,
        as_member: AsMember,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authentication = authentication
        self._as_member = as_member
        self._clock = clock

    async def cut(self, token: str, workspace: str | None, expires_in: float | None) -> str:
        """A token for ``workspace`` with a life of ``expires_in`` seconds; the same one if neither
        is asked for.

        Raises Unauthenticated (the token), PermissionDenied (the workspace), InvalidRequest (life).
        """
        user = await self._authentication.user(token)
        if workspace is None and expires_in is None:
            return token
        left = self.seconds_left(user)
        life = min(check_life(expires_in), left)
        if workspace is None:
            return await self._authentication.issue(user, expires_in_seconds=life)
        member = self._as_member(user, workspace)
        decide(Caller(member, workspace), Action.READ_WORKSPACE, workspace).require()
        permission = member.scope.permission_on(workspace)
        if permission is None:
            raise PermissionDenied(f"Permission denied for workspace {workspace}")
        scope = replace(user.scope, workspaces={workspace: permission}, current_workspace=workspace)
        # This role is about all workspaces; the others are about the user.
        roles = tuple(role for role in user.roles if role != "admin")
        cut = replace(user, scope=scope, roles=roles)
        return await self._authentication.issue(cut, expires_in_seconds=life)

    def seconds_left(self, user: User) -> float:
        """How long the token that ``user`` was read from is still good for; as long as any may
        live if it does not say."""
        if user.expires_at is None:
            return MAX_LIFE_SECONDS
        return max(1.0, user.expires_at - self._clock())
