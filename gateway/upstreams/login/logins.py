"""What the logins of all upstreams share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.upstreams.credentials import StoredCredentials
from gateway.upstreams.login.callbacks import LoginCallbacks

CALLBACK_PATH: Final = "/oauth/upstreams/callback"
CLIENT_PATH: Final = "/oauth/upstreams/client.json"


@dataclass(frozen=True, slots=True)
class Logins:
    """``base_url`` is that of the gateway, as browsers and other servers know it."""

    credentials: StoredCredentials
    base_url: str
    callbacks: LoginCallbacks = field(default_factory=LoginCallbacks)

    @property
    def redirect_uri(self) -> str:
        """Where browsers come back to."""
        return f"{self.base_url}{CALLBACK_PATH}"

    @property
    def metadata_url(self) -> str | None:
        """Where authorization servers read what the gateway is, which they do by https alone
        (draft-ietf-oauth-client-id-metadata-document, section 3)."""
        return f"{self.base_url}{CLIENT_PATH}" if self.base_url.startswith("https://") else None

    def metadata(self) -> dict[str, object]:
        """What is read there."""
        return {
            "client_id": self.metadata_url,
            "client_name": "Polyport",
            "client_uri": self.base_url,
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "web",
        }
