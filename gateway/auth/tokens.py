"""Issue and verify tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256 (RFC 7515).

The grants travel in the text claim ``scope``, because hypha-rpc clients read ``wid:`` from it:
``ws:<workspace>#<r|rw|a>`` for a grant, ``wid:<workspace>`` for the current workspace,
``cid:<client>`` for the client that the token is bound to; anything else is an extra scope. Parts
that could be read as something else are refused when a token is made and when it is read.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import jwt

from schema.errors import InvalidRequest, TokenRevoked, Unauthenticated
from schema.identity import ROOT_USER, Permission, Scope, User

ALGORITHM: Final = "HS256"
ISSUER: Final = "polyport"
AUDIENCE: Final = "polyport"
_PREFIXES: Final = ("ws:", "wid:", "cid:")
_CACHE_SIZE: Final = 4096
DEFAULT_LIFE_SECONDS: Final = 3600.0
MAX_LIFE_SECONDS: Final = 90 * 86400.0


class TokenIssuer:
    """Signs and checks tokens with one key. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        key: str,
        *,
        root_token: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``root_token`` is a token with every right that the operator has chosen."""
        self._key = key
        self._root_token = root_token.encode() if root_token else None
        self._clock = clock
        self._verified: OrderedDict[str, User] = OrderedDict()
        self._revoked: dict[str, float] = {}
        """Digest of each revoked token, and how long it may still matter."""

    def issue(
        self,
        user: User,
        *,
        expires_in_seconds: float,
        purpose: str = "access",
        origin: str | None = None,
        resource: str | None = None,
    ) -> str:
        """A token for ``user`` with its scope. ``origin`` is the digest of another token, with
        which this one is revoked. With ``resource`` (RFC 8707) it is good for that alone. Raises
        InvalidRequest for a scope that cannot be written without
        ambiguity, or a life that is not positive."""
        if not expires_in_seconds > 0:
            raise InvalidRequest("A token's life must be more than 0 seconds")
        now = self._clock()
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": resource or AUDIENCE,
            "sub": user.id,
            "jti": secrets.token_urlsafe(12),
            "iat": now,  # whoever compares it with when a workspace was made needs the fraction
            "exp": int(now + expires_in_seconds),
            "scope": format_scope(user.scope),
            "purpose": purpose,
            "roles": list(user.roles),
            "anonymous": user.is_anonymous,
            "email": user.email,
            "email_verified": user.email_verified,
            "parent": user.parent,
        }
        if origin is not None:
            claims["origin"] = origin
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def revoke(self, token: str) -> None:
        """Refuse a token from now on, and those that have it as their origin."""
        now = self._clock()
        self._revoked = {d: until for d, until in self._revoked.items() if until > now}
        self.verify(token)
        # A connection that it opened outlives it, and gets new tokens to come back with.
        self._revoked[_digest(token)] = now + MAX_LIFE_SECONDS
        self._verified.clear()

    def revoke_origin(self, origin: str) -> None:
        """Refuse from now on all tokens that have ``origin``."""
        self._revoked[origin] = self._clock() + MAX_LIFE_SECONDS
        self._verified.clear()

    def origin_of(self, token: str) -> str:
        """What to give as the origin of tokens that follow from a verified one: its own origin if
        it has one, else its digest."""
        token = _bare(token)
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            claims = {}
        return str(claims.get("origin") or _digest(token))

    def verify(
        self,
        token: str,
        *,
        purpose: str = "access",
        even_if_expired: bool = False,
        resources: Sequence[str] = (),
    ) -> User:
        """The user a token stands for. One that is good for a resource alone is refused unless that
        is among ``resources``. Raises Unauthenticated; nothing else."""
        token = _bare(token)
        if self._root_token is not None and secrets.compare_digest(
            token.encode("utf-8", "replace"), self._root_token
        ):
            return ROOT_USER
        key = f"{purpose} {' '.join(resources)} {token}"
        user = self._verified.get(key)
        if user is None:
            user = self._verify(token, purpose, resources)
            if self._revoked and _digest(token) in self._revoked:
                raise TokenRevoked("Token has been revoked")
            self._verified[key] = user
            if len(self._verified) > _CACHE_SIZE:
                self._verified.popitem(last=False)
        if not even_if_expired and (user.expires_at or 0) <= self._clock():
            raise Unauthenticated("The token has expired. Please fetch a new one")
        return user

    def _verify(self, token: str, purpose: str, resources: Sequence[str]) -> User:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=(AUDIENCE, *resources),
                issuer=ISSUER,
                options={"require": ["exp", "sub", "scope"], "verify_exp": False},
            )
        except jwt.PyJWTError:
            raise Unauthenticated("The token is not valid") from None
        if claims.get("origin") in self._revoked:
            raise TokenRevoked("Token has been revoked")
        if claims.get("purpose") != purpose:
            raise Unauthenticated("The token is not valid for this purpose")
        try:
            scope = parse_scope(claims["scope"])
        except InvalidRequest as error:
            raise Unauthenticated(error.message) from None
        return User(
            id=claims["sub"],
            roles=tuple(claims.get("roles") or ()),
            is_anonymous=bool(claims.get("anonymous")),
            scope=scope,
            email=claims.get("email"),
            email_verified=claims.get("email_verified") is True,
            parent=claims.get("parent"),
            expires_at=float(claims["exp"]),
            issued_at=float(claims["iat"]) if "iat" in claims else None,
        )


def _bare(token: str) -> str:
    return token.removeprefix("Bearer ").strip()


def check_life(expires_in: object) -> float:
    """The life in seconds that a caller asks for; None means the default. Raises InvalidRequest."""
    if expires_in is None:
        return DEFAULT_LIFE_SECONDS
    if (
        isinstance(expires_in, bool)
        or not isinstance(expires_in, (int, float))
        or not expires_in > 0
    ):
        raise InvalidRequest("The option 'expires_in' must be a number of seconds above 0")
    if expires_in > MAX_LIFE_SECONDS:
        raise InvalidRequest(f"A token can live at most {MAX_LIFE_SECONDS:.0f} seconds")
    return float(expires_in)


def _digest(token: str) -> str:
    return hashlib.sha256(token.removeprefix("Bearer ").strip().encode()).hexdigest()


def format_scope(scope: Scope) -> str:
    """The text claim of a scope. Raises InvalidRequest if a part could be read as another."""
    parts: list[str] = []
    for workspace, permission in scope.workspaces.items():
        _check_word(workspace, forbidden="#")
        parts.append(f"ws:{workspace}#{permission.value}")
    if scope.current_workspace is not None:
        _check_word(scope.current_workspace, forbidden="#")
        parts.append(f"wid:{scope.current_workspace}")
    if scope.client_id is not None:
        _check_word(scope.client_id, forbidden="#")
        parts.append(f"cid:{scope.client_id}")
    check_extra_scopes(scope.extra_scopes)
    parts.extend(scope.extra_scopes)
    return " ".join(parts)


def check_extra_scopes(extra_scopes: Iterable[object]) -> tuple[str, ...]:
    """Extra scopes as they were given. Raises InvalidRequest for one that is not a single word, or
    that would be read as a grant."""
    checked: list[str] = []
    for extra in extra_scopes:
        if not isinstance(extra, str):
            raise InvalidRequest("An extra scope must be text")
        _check_word(extra)
        if extra.startswith(_PREFIXES):
            raise InvalidRequest(f"An extra scope must not begin with {extra.partition(':')[0]}:")
        checked.append(extra)
    return tuple(checked)


def parse_scope(text: object) -> Scope:
    """Read the text claim. Raises InvalidRequest for a part it does not understand."""
    if not isinstance(text, str):
        raise InvalidRequest("The token has no scope")
    workspaces: dict[str, Permission] = {}
    current: str | None = None
    client_id: str | None = None
    extra: list[str] = []
    for part in text.split():
        if part.startswith("ws:"):
            name, hash_, letter = part[3:].partition("#")
            if not name or not hash_:
                raise InvalidRequest("The token's scope is malformed")
            workspaces[name] = Permission(letter) if letter in ("r", "rw", "a") else _unknown()
        elif part.startswith("wid:"):
            if current is not None:
                raise InvalidRequest("The token's scope names two current workspaces")
            current = part[4:]
        elif part.startswith("cid:"):
            client_id = part[4:]
        else:
            extra.append(part)
    return Scope(workspaces, current, client_id, tuple(extra))


def _unknown() -> Permission:
    raise InvalidRequest("The token's scope has an unknown permission")


def _check_word(text: str, *, forbidden: str = "") -> None:
    if not text or any(c.isspace() or c in forbidden or not c.isprintable() for c in text):
        raise InvalidRequest(f"Not allowed in a token: {text!r}")
