"""Tokens that a Hypha server has signed with the secret that this one was given.

Whoever moves to this server with ``JWT_SECRET`` takes the tokens along that programs hold. Their
grants are one text, in which a client of that server may have smuggled more than it was given, so
only the one form is taken in which nothing can be added: a token that is for a workspace has a
grant for that workspace and for no other. Roles are not taken over from it (HTTP contract,
sections 3.3 and 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from gateway.auth.signing import ALGORITHM
from gateway.auth.tokens import MAX_LIFE_SECONDS, parse_scope
from schema.errors import InvalidRequest, Unauthenticated
from schema.identity import ANONYMOUS_PREFIX, ROOT_USER, Scope, User, personal_workspace

ISSUER: Final = "https://amun.ai/"
AUDIENCE: Final = "https://amun-ai.eu.auth0.com/api/v2/"
NAMESPACE: Final = "https://amun.ai/"
"""What a Hypha server writes into its own tokens, unless it is configured otherwise."""


@dataclass(frozen=True, slots=True)
class HyphaTokens:
    """Reads them; see ``gateway.auth.authentication.TokenReader``."""

    secrets: Sequence[str]
    issuer: str = ISSUER
    audience: str = AUDIENCE
    namespace: str = NAMESPACE

    async def read(self, token: str, resources: Sequence[str]) -> User | None:
        """Whom it stands for, or None for a token of another form or issuer.

        Raises Unauthenticated: it is not signed with one of the secrets, is for somebody else, has
        expired, or grants what no such token can grant.
        """
        if not self._is_one(token):
            return None
        claims = self._claims(token)
        try:
            return self._user(claims)
        except (InvalidRequest, ValueError, TypeError, KeyError):
            raise Unauthenticated("The token is malformed") from None

    def _is_one(self, token: str) -> bool:
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            return False
        return header.get("alg") == ALGORITHM and claims.get("iss") == self.issuer

    def _claims(self, token: str) -> dict[str, Any]:
        for secret in self.secrets:
            try:
                return jwt.decode(
                    token,
                    secret,
                    algorithms=[ALGORITHM],
                    audience=self.audience,
                    issuer=self.issuer,
                    options={"require": ["exp", "iat", "sub", "scope"]},
                )
            except jwt.ExpiredSignatureError:
                raise Unauthenticated("The token has expired. Please fetch a new one") from None
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
        raise Unauthenticated("The token is not valid")

    def _user(self, claims: Mapping[str, Any]) -> User:
        user_id, parent = _name(claims["sub"]), claims.get(f"{self.namespace}parent")
        email, issued_at = claims.get(f"{self.namespace}email"), float(claims["iat"])
        is_anonymous = user_id.startswith(ANONYMOUS_PREFIX)
        return User(
            id=user_id,
            roles=("anonymous",) if is_anonymous else (),
            is_anonymous=is_anonymous,
            scope=_checked(parse_scope(claims["scope"]), user_id),
            email=email if isinstance(email, str) else None,
            parent=_name(parent) if parent is not None else None,
            # A Hypha server gives a token any life.
            expires_at=min(float(claims["exp"]), issued_at + MAX_LIFE_SECONDS),
            issued_at=issued_at,
        )


def _checked(scope: Scope, user_id: str) -> Scope:
    """Raises InvalidRequest for grants beside the workspace that the token is for; that of a login
    is the user's own."""
    workspace = scope.current_workspace or personal_workspace(user_id)
    if not scope.workspaces.keys() <= {workspace, personal_workspace(user_id)}:
        raise InvalidRequest("The token grants more than the workspace that it is for")
    return scope


def _name(value: object) -> str:
    """An id of a user. Raises InvalidRequest."""
    if not isinstance(value, str) or not value.isprintable() or not value or "/" in value:
        raise InvalidRequest("The token names no user")
    if value == ROOT_USER.id:
        raise InvalidRequest("The operator of another server is nobody here")
    return value
