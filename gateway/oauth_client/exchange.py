"""An identity provider's word for a user, in exchange for what it has said before (RFC 8693): the
first half of how a company manages who may use which server (SEP-990)."""

from __future__ import annotations

import json
from typing import Final

import httpx2

from gateway.oauth_client.client import Send
from gateway.oauth_client.config import IdentityProvider
from gateway.oauth_client.errors import LoginFailed, refused

_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPE: Final = "urn:ietf:params:oauth:token-type:"


async def exchanged(
    provider: IdentityProvider, id_token: str, issuer: str, resource: str, send: Send
) -> str:
    """A JWT for the authorization server ``issuer``, that the user of ``id_token`` may use
    ``resource``. Raises LoginFailed."""
    form = {
        "grant_type": _GRANT,
        "requested_token_type": f"{_TYPE}id-jag",
        "audience": issuer,
        "resource": resource,
        "subject_token": id_token,
        "subject_token_type": f"{_TYPE}id_token",
        "client_id": provider.client_id,
    }
    if provider.client_secret is not None:
        form["client_secret"] = provider.client_secret
    response = await send(httpx2.Request("POST", provider.token_endpoint, data=form))
    if response.status_code >= 400:
        raise refused("exchange", response.status_code, response.text)
    try:
        token = json.loads(response.text)["access_token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        token = None
    if not isinstance(token, str) or not token:
        raise LoginFailed("an answer of the identity provider cannot be used")
    return token
