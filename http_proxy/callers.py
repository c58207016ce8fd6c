"""Who sends a request: the token it carries, and the caller that the gateway makes of it.

Carriers are the headers ``Authorization`` and ``X-API-Key`` and the ``access_token`` cookie. A
token in the URL is never looked at, because URLs end up in logs. Whether a token is good is the
gateway's decision.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from gateway.api import Credentials, Gateway
from gateway.extensions import TokenFinder
from http_proxy.request import Request
from schema.errors import Unauthenticated
from schema.identity import Caller

COOKIE = "access_token"
"""Cookie in which a browser keeps the token of its user."""

_ANONYMOUS: Final = Credentials()


class Callers:
    """Identifies the callers of all routes."""

    def __init__(self, gateway: Gateway, finder: TokenFinder | None = None) -> None:
        self._gateway = gateway
        self._finder = finder

    async def identify(self, request: Request) -> Caller:
        """The caller of a request, acting in the workspace of the URL if it may.

        Raises Unauthenticated (never a silent downgrade to anonymous) and WorkspaceNotFound.
        """
        token = None
        if self._finder is not None and self._finder.finds_tokens:
            token = await self._finder.find(request.scope)
        if token is None:
            headers = request.headers
            token = token_of(
                headers.get(b"authorization"), headers.get(b"cookie"), headers.get(b"x-api-key")
            )
        if token is not None:
            # The gateway's own documents have no workspace in their path.
            workspace = request.scope["path_params"].get("workspace")
            return await self._gateway.authenticate(Credentials(token), workspace)
        # By contract there is one anonymous caller, in a workspace of its own whatever the URL.
        return await self._gateway.authenticate(_ANONYMOUS)


def token_of(
    authorization: bytes | None, cookie: bytes | None, api_key: bytes | None = None
) -> str | None:
    """The token of a request, or None if it carries none; ``Authorization`` beats ``X-API-Key``,
    which beats the cookie.

    Raises Unauthenticated for an ``Authorization`` header from which no token can be read.
    """
    if authorization is not None:
        return _from_authorization(authorization.decode("latin-1"))
    if api_key is not None:
        return api_key.decode("latin-1").strip()
    if cookie is not None:
        return _from_cookie(cookie.decode("latin-1"))
    return None


def _from_authorization(header: str) -> str:
    """Bearer (RFC 6750), Basic with the token as password (RFC 7617; git sends it so), or the
    token alone (HTTP contract)."""
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    match scheme.lower():
        case "bearer":
            token = rest
        case "basic":
            token = _from_basic(rest)
        case _:
            token = "" if rest else scheme
    if not token or " " in token:
        raise Unauthenticated("The Authorization header carries no token that can be read")
    return token


def _from_basic(encoded: str) -> str:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def _from_cookie(header: str) -> str | None:
    for part in header.split(";"):
        name, _, value = part.partition("=")
        if name.strip() == COOKIE:
            # A page that logs out leaves an empty cookie behind.
            return value.strip().strip('"') or None
    return None
