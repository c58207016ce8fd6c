"""Whether a token is a provider's own, for this server, and still good.

ID tokens by OpenID Connect Core 1.0 section 3.1.3.7, access tokens by RFC 9068 section 4.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

import jwt

from gateway.auth.oidc.config import OidcConfig
from gateway.auth.oidc.discovery import ALGORITHMS, Discovery
from schema.errors import Unauthenticated

LEEWAY_SECONDS: Final = 30
_TYPES: Final = (None, "jwt", "at+jwt", "application/at+jwt")


class Verifier:
    """Checks the tokens of one provider."""

    def __init__(self, config: OidcConfig, discovery: Discovery) -> None:
        self._config = config
        self._discovery = discovery

    async def id_token(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims. Raises Unauthenticated, Unavailable."""
        claims = await self._claims(token, [self._config.client_id])
        given = claims.get("nonce")
        if not isinstance(given, str) or not secrets.compare_digest(given.encode(), nonce.encode()):
            raise Unauthenticated("The token is not that of this login")
        party, audience = claims.get("azp"), claims.get("aud")
        if party not in (None, self._config.client_id):
            raise Unauthenticated("The token is for another client")
        if isinstance(audience, list) and len(audience) > 1 and party is None:
            raise Unauthenticated("The token is for several clients")
        return claims

    async def access_token(self, token: str, resources: Sequence[str]) -> dict[str, Any]:
        """The claims. Raises Unauthenticated, Unavailable."""
        audiences = [*resources]
        if self._config.audience is not None:
            audiences.append(self._config.audience)
        if not audiences:
            raise Unauthenticated("The token is not valid")
        return await self._claims(token, audiences)

    async def _claims(self, token: str, audiences: list[str]) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise Unauthenticated("The token is not valid") from None
        algorithm, kind, key_id = header.get("alg"), header.get("typ"), header.get("kid")
        if algorithm not in ALGORITHMS or "crit" in header:
            raise Unauthenticated("The token is not valid")
        if not (kind is None or (isinstance(kind, str) and kind.lower() in _TYPES)):
            raise Unauthenticated("The token is not valid")
        key = await self._discovery.key(key_id if isinstance(key_id, str) else None)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=audiences,
                issuer=self._config.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired. Please fetch a new one") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise Unauthenticated("The token is not valid") from None
        return claims
