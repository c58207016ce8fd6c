"""Telling a server that a token is not to be good any more."""

from __future__ import annotations

from typing import Any, Final

import httpx

from gateway.commands.client import Client, Failed
from gateway.logins.store import Grant
from gateway.oauth_client.config import is_safe_url

SECONDS: Final = 10.0


def revoke_token(grant: Grant) -> str | None:
    """Of a gateway. Why it did not, if it did not."""
    token = grant.access_token
    client = Client(grant.endpoint, token)
    try:
        client.manage("public", "revoke_token", {"token": token})
    except Failed as error:
        return str(error)
    finally:
        client.close()
    return None


def revoke_client(grant: Grant) -> str | None:
    """Of an OAuth client, by its authorization server (RFC 7009). Why it did not, if it did not."""
    tokens, client = grant.record["current_tokens"], grant.record.get("client_info") or {}
    url = str((grant.record.get("oauth_metadata") or {}).get("revocation_endpoint") or "")
    if not is_safe_url(url):
        return "it offers no way to revoke one"
    form: dict[str, Any] = {
        "token": tokens.get("refresh_token") or tokens["access_token"],
        "client_id": client.get("client_id"),
        "client_secret": client.get("client_secret"),
    }
    given = {name: value for name, value in form.items() if value}
    try:
        answer = httpx.post(url, data=given, timeout=SECONDS, follow_redirects=False)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return None if answer.is_success else f"HTTP {answer.status_code}"
