"""Access tokens of providers at the doors, where the operator allows it (``audience``)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import jwt

from gateway.auth.digests import digest
from gateway.auth.oidc.accounts import user_of
from gateway.auth.oidc.config import OidcConfig
from gateway.auth.oidc.verification import Verifier
from schema.identity import User

CACHED_SECONDS: Final = 300.0
_CACHED: Final = 4096
_MAX_LENGTH: Final = 16_000


class OidcReader:
    """Reads the tokens of all providers that have an audience. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        providers: Mapping[str, tuple[OidcConfig, Verifier]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``providers`` by issuer."""
        self._providers = providers
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, User]] = OrderedDict()

    async def read(self, token: str, resources: Sequence[str]) -> User | None:
        """See ``TokenReader``."""
        found = self._providers.get(_issuer(token))
        if found is None:
            return None
        key = digest(f"{' '.join(resources)} {token}")
        known = self._known.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        config, verifier = found
        user = user_of(config, await verifier.access_token(token, resources))
        until = min(self._clock() + CACHED_SECONDS, user.expires_at or 0.0)
        self._known[key] = (until, user)
        if len(self._known) > _CACHED:
            self._known.popitem(last=False)
        return user


def _issuer(token: str) -> str:
    """Who a token says it is from; empty if it says nothing that can be read."""
    if len(token) > _MAX_LENGTH or token.count(".") != 2:
        return ""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        return ""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""
