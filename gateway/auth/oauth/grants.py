"""Tokens for clients that a user has allowed something: issued, refreshed, and taken back.

A refresh token is good once (OAuth 2.1 section 4.3.1). Whoever comes with one that was used before
may be a thief, or the victim of one: then all that follows from the same consent is taken back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gateway.auth.digests import digest
from gateway.auth.login.exchange import AsMember
from gateway.auth.oauth.errors import InvalidGrant
from gateway.auth.oauth.requests import Allowed
from gateway.auth.oauth.resources import DEFAULT_SCOPE, SCOPES
from gateway.auth.tokens import MAX_LIFE_SECONDS, TokenIssuer, format_scope, parse_scope
from gateway.storage.rows import StoredGrant
from schema.errors import InvalidRequest, Unauthenticated
from schema.identity import Permission, Scope, User, personal_workspace

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.oauth import OAuthGrantRows

ACCESS_SECONDS: Final = 3600.0
REFRESH_SECONDS: Final = 30 * 86400.0
_REFRESH_PREFIX: Final = "prt_"


class Grants:
    """Issues tokens. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        tokens: TokenIssuer,
        rows: OAuthGrantRows,
        as_member: AsMember,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._rows = rows
        self._as_member = as_member
        self._clock = clock

    def permission(self, user: User, workspace: str, scopes: tuple[str, ...]) -> Permission | None:
        """What a client that acts for ``user`` may do in a workspace: what it was allowed, and no
        more than the user may."""
        held = self._as_member(user, workspace).scope.permission_on(workspace)
        if held is None:
            return None
        asked = max((SCOPES[s] for s in scopes if s in SCOPES), key=lambda p: p.rank)
        return asked if held.covers(asked) else held

    async def begin(self, allowed: Allowed) -> dict[str, Any]:
        """The first tokens. Raises InvalidGrant if the user's login has ended meanwhile."""
        life = self._life(allowed.user)
        details = {
            "resource": allowed.resource.url,
            "workspace": allowed.resource.workspace,
            "scope": allowed.scope,
            "user": _user_to_json(allowed.user),
        }
        answer = self._access(allowed.grant_id, details, allowed.user, life)
        if allowed.user.is_anonymous:
            return answer  # a guest does not come back
        refresh = secrets.token_urlsafe(32)
        row = StoredGrant(
            id=allowed.grant_id,
            client=digest(allowed.client_id),
            user_id=allowed.user.effective_id,
            details=details,
            refresh=digest(refresh),
            expires_at=self._clock() + REFRESH_SECONDS,
        )
        for dropped in await self._rows.add(row, self._clock()):
            await self._tokens.revocations.revoke(dropped, seconds=MAX_LIFE_SECONDS)
        return answer | {"refresh_token": f"{_REFRESH_PREFIX}{allowed.grant_id}.{refresh}"}

    async def refresh(self, token: str, client_id: str, scope: str | None) -> dict[str, Any]:
        """New tokens for old ones. Raises InvalidGrant."""
        grant_id, secret = _split(token)
        row = await self._rows.get(grant_id)
        if row is None or row.expires_at <= self._clock() or row.client != digest(client_id):
            raise InvalidGrant("This refresh token is not good (any more)")
        fresh = secrets.token_urlsafe(32)
        expires_at = self._clock() + REFRESH_SECONDS
        if not await self._rows.rotate(grant_id, digest(secret), digest(fresh), expires_at):
            await self.take_back(grant_id)
            raise InvalidGrant("This refresh token was used before: its grant has ended")
        details = row.details
        if scope is not None:
            narrowed = [s for s in scope.split() if s in details["scope"].split()]
            if not narrowed:
                raise InvalidGrant("That scope was not granted")
            details = details | {"scope": " ".join(narrowed)}
        user = _user_from_json(details["user"])
        if self._tokens.revocations.covers(user):
            # A revocation is remembered for as long as a token may live, a grant while it is used.
            await self.take_back(grant_id)
            raise InvalidGrant("The login that this grant was made with has been revoked")
        answer = self._access(grant_id, details, user, ACCESS_SECONDS)
        return answer | {"refresh_token": f"{_REFRESH_PREFIX}{grant_id}.{fresh}"}

    async def take_back(self, grant_id: str) -> None:
        """End a grant, with every token that follows from it."""
        await self._tokens.revocations.revoke(grant_id, seconds=MAX_LIFE_SECONDS)
        await self._rows.drop(grant_id)

    async def revoke(self, token: str, client_id: str) -> None:
        """A client is done with a token (RFC 7009). Says nothing of one that is not its own."""
        if token.startswith(_REFRESH_PREFIX):
            grant_id, _ = _split(token)
            row = await self._rows.get(grant_id)
            if row is not None and row.client == digest(client_id):
                # A used one counts as well: whoever has it must not learn that it is.
                await self.take_back(grant_id)
            return
        origin = self._tokens.origin_of(token)
        row = await self._rows.get(origin) if origin is not None else None
        if row is not None and row.client == digest(client_id):
            await self.take_back(row.id)

    def _access(
        self, grant_id: str, details: dict[str, Any], user: User, life: float
    ) -> dict[str, Any]:
        scopes = tuple(details["scope"].split())
        workspace = details["workspace"] or personal_workspace(user.id)
        permission = self.permission(user, workspace, scopes)
        if permission is None:
            # A stranger there, who calls what is public from home.
            workspace = user.scope.current_workspace or personal_workspace(user.id)
            permission = self.permission(user, workspace, (DEFAULT_SCOPE,))
        acting = replace(
            user,
            # What is allowed is what the scope says: not what its user owns, nor what roles give.
            parent=user.effective_id,
            roles=("anonymous",) if user.is_anonymous else (),
            scope=Scope(
                {workspace: permission} if permission is not None else {},
                current_workspace=workspace,
            ),
        )
        token = self._tokens.issue(
            acting, expires_in_seconds=life, origin=grant_id, resource=details["resource"]
        )
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(life),
            "scope": details["scope"],
        }

    def _life(self, user: User) -> float:
        # A login that is for good, or for long, is asked for again by refreshing; a guest's and a
        # short one's ends when it ends.
        if user.expires_at is None:
            return ACCESS_SECONDS
        left = user.expires_at - self._clock()
        if left < 1:
            raise InvalidGrant("The login has expired")
        return min(ACCESS_SECONDS, left) if user.is_anonymous else ACCESS_SECONDS


def granted_scope(asked: tuple[str, ...]) -> str:
    """The scopes of a request that mean something here, or the default."""
    return " ".join(s for s in SCOPES if s in asked) or DEFAULT_SCOPE


def _split(token: str) -> tuple[str, str]:
    grant_id, dot, secret = token.removeprefix(_REFRESH_PREFIX).partition(".")
    if not token.startswith(_REFRESH_PREFIX) or not dot or len(grant_id) > 64:
        raise InvalidGrant("This is no refresh token")
    return grant_id, secret


def _user_to_json(user: User) -> dict[str, Any]:
    if user.scope.functions is not None:
        raise InvalidGrant("A key for certain functions cannot be exchanged")
    try:
        scope = format_scope(user.scope)
    except InvalidRequest as error:
        raise InvalidGrant(error.message) from None
    return {
        "id": user.id,
        "roles": list(user.roles),
        "email": user.email,
        "email_verified": user.email_verified,
        "parent": user.parent,
        "is_anonymous": user.is_anonymous,
        "scope": scope,
        "lineage": list(user.lineage),
    }


def _user_from_json(stored: dict[str, Any]) -> User:
    try:
        scope = parse_scope(stored["scope"])
    except (InvalidRequest, Unauthenticated):
        raise InvalidGrant("This grant cannot be used any more") from None
    return User(
        id=stored["id"],
        roles=tuple(stored["roles"]),
        email=stored["email"],
        email_verified=stored.get("email_verified") is True,
        parent=stored["parent"],
        is_anonymous=stored["is_anonymous"],
        scope=scope,
        # A grant goes with the login that it was given with, when that is revoked.
        lineage=tuple(stored.get("lineage", ())),
    )
