"""The way of a browser to a provider and back (OpenID Connect Core 1.0 section 3.1).

Authorization code with PKCE, a state and a nonce for each login, all bound to the browser in which
the user pressed the button: an answer that is brought in from elsewhere logs nobody in.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from gateway.auth.expiring import Expiring
from gateway.auth.login.pending import PendingLogins
from gateway.auth.oauth.redirects import with_query
from gateway.auth.oidc.accounts import profile_of, user_of
from gateway.auth.oidc.config import OidcConfig
from gateway.auth.oidc.discovery import Discovery, Metadata, Web, web
from gateway.auth.oidc.verification import Verifier
from gateway.auth.pkce import challenge_of
from schema.errors import InvalidRequest, NotFound, Unauthenticated, Unavailable
from schema.identity import User

logger = logging.getLogger(__name__)

LOGIN_SECONDS: Final = 600.0
_BYTES: Final = 32

Complete = Callable[[User, dict[str, Any], "Asked"], Awaitable[None]]
"""Complete a login: who has logged in, what is known of them besides, and for which login."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which login a browser is on its way for."""

    key: str
    workspace: str | None = None
    expires_in: float | None = None
    request: str | None = None
    """Of a client of OAuth that waits for the user's consent."""


@dataclass(frozen=True, slots=True)
class Journey:
    """One browser on its way."""

    provider: str
    asked: Asked
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(_BYTES))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    browser: str = field(default_factory=lambda: secrets.token_urlsafe(_BYTES))
    """Known to the browser alone (in a cookie)."""


class Provider:
    """One provider, as logins use it."""

    def __init__(self, config: OidcConfig, *, web: Web = web) -> None:
        self.config = config
        self.discovery = Discovery(config, web=web)
        self.verifier = Verifier(config, self.discovery)
        self._web = web

    async def exchange(self, code: str, redirect_uri: str, verifier: str) -> str:
        """The ID token for a code. Raises Unauthenticated, Unavailable."""
        import httpx  # noqa: PLC0415 - see discovery.web

        metadata = await self.discovery.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"accept": "application/json"} | self._authenticated(metadata, form)
        try:
            async with self._web() as client:
                answer = await client.post(metadata.token_endpoint, data=form, headers=headers)
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            logger.warning(
                "oidc_unavailable provider=%s error=%s", self.config.id, type(error).__name__
            )
            raise Unavailable(f"{self.config.label} cannot be reached now") from None
        token = found.get("id_token") if isinstance(found, dict) else None
        if answer.status_code != 200 or not isinstance(token, str):
            # Its own words are for the operator: they may be about the client's secret.
            reason = found.get("error") if isinstance(found, dict) else None
            logger.warning(
                "oidc_refused provider=%s status=%d error=%.100r",
                self.config.id,
                answer.status_code,
                reason,
            )
            raise Unauthenticated(f"{self.config.label} has refused the login")
        return token

    def _authenticated(self, metadata: Metadata, form: dict[str, str]) -> dict[str, str]:
        """Prove to be the client (RFC 6749 section 2.3.1); returns headers."""
        client_id, secret = self.config.client_id, self.config.client_secret
        if secret is None:
            form["client_id"] = client_id
            return {}
        if "client_secret_basic" in metadata.auth_methods:
            pair = f"{quote(client_id, safe='')}:{quote(secret.get_secret_value(), safe='')}"
            return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form |= {"client_id": client_id, "client_secret": secret.get_secret_value()}
        return {}


class OidcLogins:
    """Sends browsers to providers, and takes them back."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        pending: PendingLogins,
        base_url: str,
        complete: Complete,
    ) -> None:
        self._providers = providers
        self._pending = pending
        self._base_url = base_url
        self._complete = complete
        self._journeys: Expiring[Journey] = Expiring(LOGIN_SECONDS)

    async def begin(self, provider_id: str, asked: Asked) -> tuple[str, str, Journey]:
        """Where to send the browser, the state it goes with, and what it has to keep.

        Raises NotFound (the provider), InvalidRequest (the login), Unavailable.
        """
        provider = self._provider(provider_id)
        self._pending.get(asked.key)
        metadata = await provider.discovery.metadata()
        journey = Journey(provider_id, asked)
        state = self._journeys.put(journey)
        query = {
            **provider.config.authorization_parameters,
            "response_type": "code",
            "client_id": provider.config.client_id,
            "redirect_uri": self._redirect_uri(provider_id),
            "scope": " ".join(provider.config.scopes),
            "state": state,
            "nonce": journey.nonce,
            "code_challenge": challenge_of(journey.verifier),
            "code_challenge_method": "S256",
        }
        return with_query(metadata.authorization_endpoint, **query), state, journey

    async def finish(
        self, provider_id: str, query: Mapping[str, str], browser: str | None
    ) -> Asked:
        """The provider's answer; completes the login. Raises GatewayError."""
        provider = self._provider(provider_id)
        journey = self._journeys.get(query.get("state", ""))
        if journey is None or journey.provider != provider_id:
            raise InvalidRequest("This login has expired. Start again in your program.")
        if browser is None or not secrets.compare_digest(
            browser.encode(), journey.browser.encode()
        ):
            raise InvalidRequest("This login was not started in this browser.")
        self._journeys.take(query["state"])
        issuer = query.get("iss")
        metadata = await provider.discovery.metadata()
        if issuer != provider.config.issuer and (issuer is not None or metadata.sends_issuer):
            raise InvalidRequest("The answer is that of another provider.")
        if "error" in query or not query.get("code"):
            raise Unauthenticated(f"{provider.config.label} has not logged you in.")
        redirect_uri = self._redirect_uri(provider_id)
        token = await provider.exchange(query["code"], redirect_uri, journey.verifier)
        claims = await provider.verifier.id_token(token, journey.nonce)
        user = user_of(provider.config, claims)
        await self._complete(user, profile_of(claims), journey.asked)
        return journey.asked

    def _provider(self, provider_id: str) -> Provider:
        provider = self._providers.get(provider_id)
        if provider is None:
            raise NotFound("There is no such provider")
        return provider

    def _redirect_uri(self, provider_id: str) -> str:
        return f"{self._base_url}/oauth/callback/{provider_id}"
