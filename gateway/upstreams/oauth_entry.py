"""How the gateway logs in at a server: the key ``oauth`` of an entry, read and checked. Pure.

Programs write the names of its members in several ways (``clientId``, ``client_id``,
``CLIENT_ID``), and one calls the key ``auth``: all are understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.oauth_client.config import (
    AUTH_METHODS,
    CLIENT_CREDENTIALS,
    CODE,
    JWT_BEARER,
    IdentityProvider,
)
from gateway.upstreams.expansion import Expansion
from schema.errors import InvalidRequest

_GRANTS: Final = {
    CODE: CODE,
    CLIENT_CREDENTIALS: CLIENT_CREDENTIALS,
    "jwt-bearer": JWT_BEARER,
    JWT_BEARER: JWT_BEARER,
}
_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


class BadOAuth(InvalidRequest):
    """The key cannot be used; the text says why, without the value of a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthEntry:
    """What an entry says about the login; what is None is found out."""

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    signing_algorithm: str = "RS256"
    auth_method: str | None = None
    issuer: str | None = None
    scope: str | None = None
    grant: str = CODE
    metadata_url: str | None = None
    assertion: str | None = field(default=None, repr=False)
    assertion_file: str | None = None
    """Read whenever it is needed: who runs programs exchanges it while they run."""
    identity_provider: IdentityProvider | None = None
    """Who gives the assertion, in exchange for it."""


def read_oauth(
    entry: Mapping[str, Any], headers: Mapping[str, str], expand: Expansion
) -> OAuthEntry | None:
    """What an entry for a server at a URL says about its login; None if there is to be none: it
    says so, or has a credential in its ``headers``.

    Raises BadOAuth, CannotExpand.
    """
    given = entry.get("oauth")
    if given is None and isinstance(entry.get("auth"), Mapping):
        given = entry["auth"]
    if given is None:
        has_credential = any(name.lower() == "authorization" for name in headers)
        return None if has_credential else OAuthEntry()
    if given is True:
        return OAuthEntry()
    if given is False:
        return None
    if not isinstance(given, Mapping):
        raise BadOAuth("'oauth' must be a map, or false")
    known = {_plain(str(key)): value for key, value in given.items()}
    if known.get("enabled") is False:
        return None
    return _checked(_read(known), expand)


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _read(known: Mapping[str, Any]) -> OAuthEntry:
    grant = _text(known, "grant") or CODE
    if grant not in _GRANTS:
        raise BadOAuth("'oauth.grant' is authorization_code, client_credentials or jwt-bearer")
    return OAuthEntry(
        client_id=_text(known, "clientId"),
        client_secret=_text(known, "clientSecret"),
        private_key=_text(known, "privateKey"),
        signing_algorithm=_text(known, "signingAlgorithm") or "RS256",
        auth_method=_text(known, "tokenEndpointAuthMethod"),
        issuer=_text(known, "issuer"),
        scope=_scope(known),
        grant=_GRANTS[grant],
        metadata_url=_text(known, "clientMetadataUrl"),
        assertion=_text(known, "assertion"),
        assertion_file=_text(known, "assertionFile"),
        identity_provider=_identity_provider(known.get(_plain("identityProvider"))),
    )


def _identity_provider(given: Any) -> IdentityProvider | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise BadOAuth("'oauth.identityProvider' must be a map")
    known = {_plain(str(key)): value for key, value in given.items()}
    endpoint, client_id = (_text(known, name) for name in ("tokenEndpoint", "clientId"))
    if endpoint is None or client_id is None or not _is_url(endpoint):
        raise BadOAuth("'oauth.identityProvider' needs 'tokenEndpoint', a URL, and 'clientId'")
    return IdentityProvider(endpoint, client_id, _text(known, "clientSecret"))


def _checked(entry: OAuthEntry, expand: Expansion) -> OAuthEntry:
    """Raises BadOAuth, CannotExpand."""
    if entry.auth_method not in (None, *AUTH_METHODS):
        raise BadOAuth(f"'oauth.tokenEndpointAuthMethod' is one of {', '.join(AUTH_METHODS)}")
    if entry.signing_algorithm not in _ALGORITHMS:
        raise BadOAuth(f"'oauth.signingAlgorithm' is one of {', '.join(_ALGORITHMS)}")
    for name, url in (("issuer", entry.issuer), ("clientMetadataUrl", entry.metadata_url)):
        if url is not None and not _is_url(url):
            raise BadOAuth(f"'oauth.{name}' is no http or https URL")
    if entry.metadata_url is not None and not entry.metadata_url.startswith("https://"):
        raise BadOAuth("'oauth.clientMetadataUrl' is no https URL")
    has_proof = bool(entry.client_secret or entry.private_key)
    if has_proof and entry.client_id is None:
        raise BadOAuth("'oauth' has a secret or a key, but no 'clientId' that it is of")
    if entry.grant == CLIENT_CREDENTIALS and not has_proof:
        raise BadOAuth("the grant client_credentials needs 'clientSecret' or 'privateKey'")
    has_assertion = bool(entry.assertion or entry.assertion_file)
    if entry.grant == JWT_BEARER and not (has_assertion and entry.client_id):
        raise BadOAuth("the grant jwt-bearer needs 'clientId', and 'assertion' or 'assertionFile'")
    if entry.assertion_file is not None:
        expand.file(entry.assertion_file)  # it is there, and may be read
    return entry


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _scope(known: Mapping[str, Any]) -> str | None:
    scopes = known.get("scopes", known.get("scope"))
    if isinstance(scopes, list) and all(isinstance(each, str) for each in scopes):
        scopes = " ".join(scopes)
    if scopes is not None and (not isinstance(scopes, str) or not scopes.isprintable()):
        raise BadOAuth("'oauth.scope' must be text, or a list of texts")
    return scopes or None


def _text(known: Mapping[str, Any], name: str) -> str | None:
    value = known.get(_plain(name))
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise BadOAuth(f"'oauth.{name}' must be text")
    return value or None
