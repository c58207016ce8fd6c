"""What a client is for one server. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"

BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"
NONE: Final = "none"
PRIVATE_KEY_JWT: Final = "private_key_jwt"
AUTH_METHODS: Final = (BASIC, POST, NONE, PRIVATE_KEY_JWT)

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

Assertion = Callable[[str, str], Awaitable[str]]
"""Gets the issuer of the authorization server and the resource; gives a JWT for them (RFC 7523)."""


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Where a company's identity provider gives assertions for ID tokens (RFC 8693)."""

    token_endpoint: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """One client at one server."""

    server_url: str
    name: str = "Polyport"
    redirect_uri: str | None = None
    """Where the browser comes back to; needed for the grant with a code."""
    application_type: Literal["web", "native"] = "web"
    metadata_url: str | None = None
    """Where its metadata is published: its id, for servers that read it there (Client ID Metadata
    Documents)."""
    grant: str = CODE
    client_id: str | None = None
    """The id that it has from a registration by hand; without one it registers itself."""
    client_secret: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    """PEM, to sign with what it is known by at the token endpoint."""
    signing_algorithm: str = "RS256"
    auth_method: str | None = None
    """How it is known at the token endpoint; None: as the server registers it or says it can."""
    issuer: str | None = None
    """The authorization server that its id is from; it is shown to no other."""
    scope: str | None = None
    """What to ask for, in place of what the server names."""
    assertion: Assertion | None = field(default=None, repr=False)
    may_bind: bool = False
    """Where the server wants that, its token is bound to a key of the client (RFC 9449): each
    request then goes with what ``OAuthClient.headers`` says for it alone."""

    def identity(self) -> dict[str, Any]:
        """What a record is of use for: with another configuration it is that of another client."""
        return {
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "grant": self.grant,
            "issuer": self.issuer,
            "metadata_url": self.metadata_url,
        }


class Records(Protocol):
    """Where the record of a login is kept: a map that is JSON."""

    async def load(self) -> dict[str, Any] | None:
        """What was saved last."""
        ...

    async def save(self, record: dict[str, Any]) -> None:
        """Keep it in place of the one before."""
        ...


def is_safe_url(url: str) -> bool:
    """Whether tokens and codes may go to a URL: by https, or on this machine (OAuth 2.1, section
    1.5)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    return (
        bool(parts.hostname) and (parts.scheme == "https" or is_local) and "@" not in parts.netloc
    )
