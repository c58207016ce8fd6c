"""Who asks for authorization: clients by the address of their metadata, and registered ones.

Nothing is stored for either. The first kind publishes what it is (OAuth Client ID Metadata
Documents); what the second kind registers (RFC 7591) is its client id, signed, so that nobody can
fill a table with registrations.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from gateway.auth.oauth.errors import InvalidClient, InvalidClientMetadata
from gateway.auth.oauth.fetching import CannotFetch, Document, fetch_document
from gateway.auth.oauth.redirects import check_redirect_uris

ALGORITHM: Final = "HS256"
MAX_CLIENT_ID: Final = 6000
MAX_NAME: Final = 100
DEFAULT_CACHE_SECONDS: Final = 300.0
MAX_CACHE_SECONDS: Final = 86400.0
AUTH_METHODS: Final = ("none", "client_secret_post", "client_secret_basic")
"""How a client can prove at the token endpoint that it is the one it names."""

_CACHED: Final = 500
_PREFIX: Final = "dcr."


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A program that asks on behalf of a user."""

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    host: str | None = None
    """The host that vouches for it; None if it only says who it is."""
    has_secret: bool = False


class OAuthClients:
    """Finds clients by their ids. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        key: str,
        *,
        fetch: Callable[[str], Awaitable[Document]] = fetch_document,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = hashlib.sha256(b"polyport oauth clients " + key.encode()).hexdigest()
        self._fetch = fetch
        self._clock = clock
        self._published: OrderedDict[str, tuple[float, OAuthClient]] = OrderedDict()

    async def find(self, client_id: str) -> OAuthClient:
        """Raises InvalidClient."""
        if not client_id or len(client_id) > MAX_CLIENT_ID:
            raise InvalidClient("There is no such client")
        if client_id.startswith("https://"):
            return await self._by_address(client_id)
        if not client_id.startswith(_PREFIX):
            raise InvalidClient("There is no such client")
        return self._registered(client_id)

    def register(self, metadata: object) -> dict[str, Any]:
        """Register a client (RFC 7591 section 3.1) and return what it needs to know.

        Raises InvalidClientMetadata, InvalidRedirectUri.
        """
        if not isinstance(metadata, dict):
            raise InvalidClientMetadata("Client metadata is a JSON object")
        uris = check_redirect_uris(metadata.get("redirect_uris"))
        method = metadata.get("token_endpoint_auth_method") or "client_secret_basic"
        if method not in AUTH_METHODS:
            raise InvalidClientMetadata(f"token_endpoint_auth_method is one of {AUTH_METHODS}")
        _check_types(metadata)
        name = _name(metadata.get("client_name")) or "A program without a name"
        issued_at = int(time.time())
        claims = {
            "name": name,
            "uris": list(uris),
            "secret": method != "none",
            "iat": issued_at,
            "jti": secrets.token_urlsafe(8),
        }
        client_id = _PREFIX + jwt.encode(claims, self._key, algorithm=ALGORITHM)
        if len(client_id) > MAX_CLIENT_ID:
            raise InvalidClientMetadata("The redirect URIs are too long together")
        answer: dict[str, Any] = {
            "client_id": client_id,
            "client_id_issued_at": issued_at,
            "client_name": name,
            "redirect_uris": list(uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
        }
        if method != "none":
            answer |= {"client_secret": self._secret(client_id), "client_secret_expires_at": 0}
        return answer

    def authenticate(self, client: OAuthClient, secret: str | None) -> None:
        """Raises InvalidClient for a client that has a secret and does not show it."""
        if not client.has_secret:
            return
        expected = self._secret(client.id).encode()
        if secret is None or not secrets.compare_digest(secret.encode(), expected):
            raise InvalidClient("The client's secret is not right")

    def _secret(self, client_id: str) -> str:
        return hmac.digest(self._key.encode(), f"secret {client_id}".encode(), "sha256").hex()

    def _registered(self, client_id: str) -> OAuthClient:
        try:
            claims = jwt.decode(
                client_id.removeprefix(_PREFIX),
                self._key,
                algorithms=[ALGORITHM],
                options={"require": ["iat"], "verify_aud": False},
            )
        except jwt.PyJWTError:
            raise InvalidClient("There is no such client; register again") from None
        return OAuthClient(
            client_id, claims["name"], tuple(claims["uris"]), has_secret=claims["secret"]
        )

    async def _by_address(self, url: str) -> OAuthClient:
        known = self._published.get(url)
        if known is not None and known[0] > self._clock():
            return known[1]
        check_metadata_url(url)
        try:
            document = await self._fetch(url)
        except CannotFetch as error:
            raise InvalidClient(f"The client's metadata cannot be read: {error}") from None
        client = _from_document(url, document.content)
        seconds = DEFAULT_CACHE_SECONDS if document.max_age is None else document.max_age
        self._published[url] = (self._clock() + min(seconds, MAX_CACHE_SECONDS), client)
        if len(self._published) > _CACHED:
            self._published.popitem(last=False)
        return client


def check_metadata_url(url: str) -> None:
    """An address that can be a client id: https, with a path, nothing that has two spellings
    (draft-ietf-oauth-client-id-metadata-document section 3). Raises InvalidClient."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidClient("The client id cannot be read as an address") from None
    segments = parts.path.split("/")
    has_odd_parts = bool(parts.fragment or parts.username or parts.password) or port == 0
    if (
        len(url) > 1000
        or not url.isascii()
        or parts.scheme != "https"
        or not parts.hostname
        or parts.path in ("", "/")
        or has_odd_parts
        or "." in segments
        or ".." in segments
    ):
        raise InvalidClient("A client id that is an address is https with a path")


def _from_document(url: str, content: Mapping[str, Any]) -> OAuthClient:
    if content.get("client_id") != url:
        raise InvalidClient("The client's metadata is that of another client")
    if "client_secret" in content:
        raise InvalidClient("A client whose metadata is public has no secret")
    method = content.get("token_endpoint_auth_method", "none")
    if method != "none":
        raise InvalidClient(f"token_endpoint_auth_method {method!r} is not supported here")
    host = urlsplit(url).netloc
    uris = check_redirect_uris(content.get("redirect_uris"))
    return OAuthClient(url, _name(content.get("client_name")) or host, uris, host=host)


def _check_types(metadata: Mapping[str, Any]) -> None:
    grants = metadata.get("grant_types", ["authorization_code"])
    if not isinstance(grants, list) or "authorization_code" not in grants:
        raise InvalidClientMetadata("grant_types must have authorization_code in it")
    responses = metadata.get("response_types", ["code"])
    if not isinstance(responses, list) or "code" not in responses:
        raise InvalidClientMetadata("response_types must have code in it")


def _name(text: object) -> str:
    """A name on one line, without what changes how the text around it is read."""
    if not isinstance(text, str):
        return ""
    return "".join(c for c in text if c.isprintable()).strip()[:MAX_NAME]
