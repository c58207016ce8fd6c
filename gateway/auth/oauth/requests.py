"""Authorization requests between the client's first redirect and its last, and codes: short-lived,
in memory, bounded, and each bound to the browser in which it began."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from gateway.auth.login.pending import Login
from gateway.auth.oauth.clients import OAuthClient
from gateway.auth.oauth.resources import Resource
from schema.identity import User

REQUEST_SECONDS: Final = 600.0
CODE_SECONDS: Final = 60.0
_BYTES: Final = 32


@dataclass(slots=True)
class AuthorizationRequest:
    """What a client asks for."""

    client: OAuthClient
    redirect_uri: str
    challenge: str
    resource: Resource
    scopes: tuple[str, ...]
    state: str | None
    login: Login
    browser: str = field(default_factory=lambda: secrets.token_urlsafe(_BYTES))
    """Known to the browser alone (in a cookie)."""
    form: str = field(default_factory=lambda: secrets.token_urlsafe(_BYTES))
    """Known to the consent page alone."""
    user: User | None = None
    """Who has logged in."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a user has allowed a client, in exchange for its code."""

    client_id: str
    redirect_uri: str
    challenge: str
    resource: Resource
    scope: str
    user: User
    grant_id: str
