"""Issue and verify tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256 (RFC 7515).

The grants are structured claims: ``ws`` (a permission by workspace), ``wid`` (the current one),
``cid`` (the client that the token is bound to), ``scp`` (extra scopes), ``anc`` (the tokens that it
was made from). They are repeated in the text claim ``scope``, because hypha-rpc clients read
``wid:`` from it: ``ws:<workspace>#<r|rw|a>``, ``wid:<workspace>``, ``cid:<client>``; anything else
is an extra scope. Parts that could be read as something else are refused when a token is made and
when it is read.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import jwt

from gateway.auth.revocations import Revocations
from gateway.auth.signing import ALGORITHM, Signer, key_id
from schema.errors import InvalidRequest, PermissionDenied, TokenRevoked, Unauthenticated
from schema.identity import ROOT_USER, Permission, Scope, User

ISSUER: Final = "polyport"
AUDIENCE: Final = "polyport"
ACCESS: Final = "access"
_PREFIXES: Final = ("ws:", "wid:", "cid:")
_CACHE_SIZE: Final = 16_384
DEFAULT_LIFE_SECONDS: Final = 3600.0
MAX_LIFE_SECONDS: Final = 90 * 86400.0
MAX_GENERATIONS: Final = 16
"""How often a token can be made from a token that was made from a token."""


class TokenIssuer:
    """Signs tokens with one key, and checks those of earlier keys too. ``clock`` gives Unix
    seconds."""

    def __init__(
        self,
        key: str,
        *,
        previous_keys: Sequence[str] = (),
        root_token: str | None = None,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``root_token`` is a token with every right that the operator has chosen."""
        self._signer = Signer(key)
        self._keys = {key_id(known): known for known in (key, *previous_keys)}
        self._root_token = root_token.encode() if root_token else None
        self._clock = clock
        self._verified: OrderedDict[str, User] = OrderedDict()
        self.revocations = revocations or Revocations(clock=clock)

    def issue(
        self,
        user: User,
        *,
        expires_in_seconds: float,
        purpose: str = ACCESS,
        origin: str | None = None,
        resource: str | None = None,
    ) -> str:
        """A token for ``user`` with its scope; if the user came with a token, it is a descendant of
        that and ends with it. ``origin`` is a further id with which this one is revoked. With
        ``resource`` (RFC 8707) it is good for that alone.

        Raises InvalidRequest for what cannot be written, or not without ambiguity, and for a life
        that is not positive; PermissionDenied if nothing more can be made from the user's token.
        """
        if not expires_in_seconds > 0:
            raise InvalidRequest("A token's life must be more than 0 seconds")
        now = self._clock()
        ancestors = user.lineage if origin is None else (*user.lineage, origin)
        if len(ancestors) > MAX_GENERATIONS:
            raise PermissionDenied("Too many tokens were made from each other: start from a login")
        scope = user.scope
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": resource or AUDIENCE,
            "sub": user.id,
            "jti": secrets.token_urlsafe(12),
            "iat": now,  # whoever compares it with when a workspace was made needs the fraction
            "exp": int(self._end(user, now + expires_in_seconds, purpose, now)),
            "scope": format_scope(scope),
            "ws": {name: held.value for name, held in scope.workspaces.items()},
            "wid": scope.current_workspace,
            "cid": scope.client_id,
            "scp": list(scope.extra_scopes),
            "purpose": purpose,
            "roles": list(user.roles),
            "anonymous": user.is_anonymous,
            "email": user.email,
            "email_verified": user.email_verified,
            "parent": user.parent,
        }
        if scope.functions is not None:
            claims["fns"] = sorted(scope.functions)
        if ancestors:
            claims["anc"] = list(ancestors)
        if purpose != ACCESS:
            claims["not_after"] = user.not_after
        return self._signer.sign(claims)

    def _end(self, user: User, wanted: float, purpose: str, now: float) -> float:
        if purpose != ACCESS or user.not_after is None or wanted <= user.not_after:
            return wanted
        if user.not_after <= now:
            raise PermissionDenied("Your token has expired: nothing can be made from it any more")
        return user.not_after

    def revoke(self, token: str) -> None:
        """Refuse a token from now on, and those that were made from it; in this process alone."""
        user = self.verify(token)
        if user.credential_id is not None:
            self.revocations.add(user.credential_id, self._clock() + MAX_LIFE_SECONDS)

    def origin_of(self, token: str) -> str | None:
        """The id of what a token was made from, if that is said in it; nothing is verified."""
        try:
            claims = jwt.decode(_bare(token), options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
        ancestors = claims.get("anc")
        return str(ancestors[-1]) if isinstance(ancestors, list) and ancestors else None

    def verify(
        self,
        token: str,
        *,
        purpose: str = ACCESS,
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
            self._verified[key] = user
            if len(self._verified) > _CACHE_SIZE:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(key)
        if self.revocations.covers(user):
            raise TokenRevoked("Token has been revoked")
        if not even_if_expired and (user.expires_at or 0) <= self._clock():
            raise Unauthenticated("The token has expired. Please fetch a new one")
        return user

    def _verify(self, token: str, purpose: str, resources: Sequence[str]) -> User:
        claims = self._claims(token, resources)
        if claims.get("purpose") != purpose:
            raise Unauthenticated("The token is not valid for this purpose")
        try:
            return _user_of(claims)
        except (InvalidRequest, ValueError, TypeError, KeyError, AttributeError):
            raise Unauthenticated("The token is malformed") from None

    def _claims(self, token: str, resources: Sequence[str]) -> dict[str, Any]:
        try:
            named = jwt.get_unverified_header(token).get("kid", self._signer.key_id)
            key = self._keys.get(named) if isinstance(named, str) else None
            if key is None:
                raise Unauthenticated("The token is not valid")
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=(AUDIENCE, *resources),
                issuer=ISSUER,
                options={"require": ["exp", "sub", "scope"], "verify_exp": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthenticated("The token is not valid") from None


def _user_of(claims: Mapping[str, Any]) -> User:
    ancestors = tuple(str(ancestor) for ancestor in claims.get("anc") or ())
    expires_at = float(claims["exp"])
    own = (str(claims["jti"]),) if "jti" in claims else ()
    return User(
        id=claims["sub"],
        roles=tuple(str(role) for role in claims.get("roles") or ()),
        is_anonymous=bool(claims.get("anonymous")),
        scope=_scope_of(claims),
        email=claims.get("email"),
        email_verified=claims.get("email_verified") is True,
        parent=claims.get("parent"),
        expires_at=expires_at,
        issued_at=float(claims["iat"]) if "iat" in claims else None,
        lineage=(*ancestors, *own),
        not_after=claims.get("not_after", expires_at),
        resource=None if claims["aud"] == AUDIENCE else str(claims["aud"]),
    )


def _scope_of(claims: Mapping[str, Any]) -> Scope:
    """The grants, from the structured claims; from the text of a token that has none. The text of
    one that has both must say the same: two readers must not see two sets of grants."""
    written = parse_scope(claims["scope"])
    if "ws" not in claims:
        return written
    scope = Scope(
        {str(name): Permission(level) for name, level in claims["ws"].items()},
        claims.get("wid"),
        claims.get("cid"),
        tuple(str(extra) for extra in claims.get("scp") or ()),
    )
    if scope != written:
        raise InvalidRequest("The token's scope contradicts itself")
    if "fns" in claims:
        scope = replace(scope, functions=frozenset(map(str, claims["fns"])))
    return scope


def _bare(token: str) -> str:
    return token.removeprefix("Bearer ").strip()


def check_life(expires_in: object, most: float = MAX_LIFE_SECONDS) -> float:
    """The life in seconds that a caller asks for; None means the default. Raises InvalidRequest."""
    if expires_in is None:
        return min(DEFAULT_LIFE_SECONDS, most)
    if (
        isinstance(expires_in, bool)
        or not isinstance(expires_in, (int, float))
        or not expires_in > 0
    ):
        raise InvalidRequest("The option 'expires_in' must be a number of seconds above 0")
    if expires_in > most:
        raise InvalidRequest(f"A token can live at most {most:.0f} seconds")
    return float(expires_in)


def format_scope(scope: Scope) -> str:
    """The text claim of a scope. Raises InvalidRequest if a part could be read as another."""
    parts: list[str] = []
    for workspace, permission in scope.workspaces.items():
        _check_word(workspace, forbidden=" #")
        parts.append(f"ws:{workspace}#{permission.value}")
    if scope.current_workspace is not None:
        _check_word(scope.current_workspace, forbidden=" #")
        parts.append(f"wid:{scope.current_workspace}")
    if scope.client_id is not None:
        _check_word(scope.client_id)
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
            if not name or not hash_ or name in workspaces:
                raise InvalidRequest("The token's scope is malformed")
            workspaces[name] = Permission(letter) if letter in ("r", "rw", "a") else _unknown()
        elif part.startswith("wid:"):
            if current is not None:
                raise InvalidRequest("The token's scope names two current workspaces")
            current = part[4:]
        elif part.startswith("cid:"):
            if client_id is not None:
                raise InvalidRequest("The token's scope names two clients")
            client_id = part[4:]
        else:
            extra.append(part)
    return Scope(workspaces, current, client_id, tuple(extra))


def _unknown() -> Permission:
    raise InvalidRequest("The token's scope has an unknown permission")


def _check_word(text: str, *, forbidden: str = " ") -> None:
    # No white space but the blank is printable.
    if not text or not text.isprintable() or any(c in text for c in forbidden):
        raise InvalidRequest(f"Not allowed in a token: {text!r}")
