"""What a provider says of itself (OpenID Connect Discovery 1.0) and its keys, fetched when needed.

Both are kept for a while. A key that is not known is looked for once more, but not more often than
once in a while: whoever sends tokens with made-up key ids must not make this server ask for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import jwt

from gateway.auth.oidc.config import OidcConfig
from schema.errors import Unauthenticated, Unavailable

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 3600.0
REFETCH_SECONDS: Final = 60.0
TIMEOUT_SECONDS: Final = 10.0
MAX_BYTES: Final = 512 * 1024
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures that only the provider can make. With a symmetric one, who can check can forge."""


class Web(Protocol):
    """Makes an HTTP client; tests put their own in its place."""

    def __call__(self) -> httpx.AsyncClient: ...


def web() -> httpx.AsyncClient:
    """A client for a provider: no redirects, little time."""
    # Only servers with a provider wait for this import.
    import httpx  # noqa: PLC0415

    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where the provider's endpoints are."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    sends_issuer: bool
    """Its answers name it (RFC 9207)."""
    auth_methods: tuple[str, ...]


class Discovery:
    """One provider's metadata and keys. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        config: OidcConfig,
        *,
        web: Web = web,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._web = web
        self._clock = clock
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, dict[str, jwt.PyJWK]] | None = None
        self._lock = asyncio.Lock()

    async def metadata(self) -> Metadata:
        """Raises Unavailable."""
        async with self._lock:
            return await self._fresh_metadata()

    async def key(self, key_id: str | None) -> jwt.PyJWK:
        """The key with this id, or the only one there is. Raises Unauthenticated, Unavailable."""
        found = self._known(key_id)
        if found is not None:
            return found
        async with self._lock:
            found = self._known(key_id)
            age = None if self._keys is None else self._clock() - self._keys[0]
            if found is None and (age is None or age >= REFETCH_SECONDS):
                await self._fetch_keys()
                found = self._known(key_id)
        if found is None:
            raise Unauthenticated("The token is not valid")
        return found

    def _known(self, key_id: str | None) -> jwt.PyJWK | None:
        if self._keys is None or self._clock() - self._keys[0] >= KEPT_SECONDS:
            return None
        keys = self._keys[1]
        if key_id is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(key_id)

    async def _fresh_metadata(self) -> Metadata:
        if self._metadata is None or self._clock() - self._metadata[0] >= KEPT_SECONDS:
            base = self._config.issuer.removesuffix("/")
            document = await self._get(f"{base}/.well-known/openid-configuration")
            self._metadata = (self._clock(), self._read(document))
        return self._metadata[1]

    def _read(self, document: dict[str, Any]) -> Metadata:
        # The issuer exactly (OpenID Connect Discovery 1.0 section 4.3): else one provider could
        # speak for another.
        if document.get("issuer") != self._config.issuer:
            raise self._unavailable("its metadata names another issuer")
        methods = document.get("token_endpoint_auth_methods_supported")
        return Metadata(
            self._endpoint(document, "authorization_endpoint"),
            self._endpoint(document, "token_endpoint"),
            self._endpoint(document, "jwks_uri"),
            sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
            auth_methods=tuple(methods) if isinstance(methods, list) else ("client_secret_basic",),
        )

    def _endpoint(self, document: dict[str, Any], name: str) -> str:
        """An address in the metadata: https, unless the provider itself is on this machine."""
        url = document.get(name)
        scheme = urlsplit(url).scheme if isinstance(url, str) else ""
        is_local = urlsplit(self._config.issuer).scheme == "http"
        if scheme != "https" and not (is_local and scheme == "http"):
            raise self._unavailable(f"its metadata has no {name}")
        return str(url)

    async def _fetch_keys(self) -> None:
        metadata = await self._fresh_metadata()
        document = await self._get(metadata.jwks_uri)
        keys: dict[str, jwt.PyJWK] = {}
        for number, entry in enumerate(document.get("keys") or ()):
            if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
                continue
            try:
                key = jwt.PyJWK.from_dict(entry)
            except (jwt.PyJWTError, ValueError, KeyError):
                continue  # a kind that this server does not know
            if key.algorithm_name in ALGORITHMS:
                keys[str(entry.get("kid", number))] = key
        self._keys = (self._clock(), keys)

    async def _get(self, url: str) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 - see web()

        try:
            async with self._web() as client:
                response = await client.get(url, headers={"accept": "application/json"})
            if response.status_code != 200 or len(response.content) > MAX_BYTES:
                raise self._unavailable(f"status {response.status_code}")
            document = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._unavailable(type(error).__name__) from None
        if not isinstance(document, dict):
            raise self._unavailable("it answers with something else")
        return document

    def _unavailable(self, reason: str) -> Unavailable:
        logger.warning("oidc_unavailable provider=%s reason=%s", self._config.id, reason)
        return Unavailable(f"{self._config.label} cannot be reached now")
