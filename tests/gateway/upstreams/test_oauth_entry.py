"""What an entry says about the gateway's login at its server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.oauth_client.config import JWT_BEARER, IdentityProvider
from gateway.upstreams.entries import BadEntry, Remote, read_entry
from gateway.upstreams.expansion import Expansion
from gateway.upstreams.oauth_entry import OAuthEntry

CANARY = "canary-secret-of-an-entry"
TRUSTED = Expansion({"SECRET": CANARY}, may_read_files=True)


def oauth(entry: dict[str, Any], expand: Expansion = TRUSTED) -> OAuthEntry | None:
    upstream = read_entry("demo", {"url": "https://a.example/mcp", **entry}, expand)
    assert isinstance(upstream.target, Remote)
    return upstream.target.oauth


@pytest.mark.parametrize(
    "entry",
    [
        {"oauth": {"clientId": "id", "clientSecret": "${SECRET}", "scopes": ["a", "b"]}},
        {"oauth": {"client_id": "id", "client_secret": CANARY, "scope": "a b", "enabled": True}},
        {"auth": {"CLIENT_ID": "id", "CLIENT_SECRET": CANARY, "scopes": ["a", "b"]}},
    ],
)
def test_the_ways_in_which_programs_write_it_mean_the_same(entry: dict[str, Any]) -> None:
    assert oauth(entry) == OAuthEntry(client_id="id", client_secret=CANARY, scope="a b")
    assert CANARY not in repr(oauth(entry))


def test_a_server_may_be_logged_in_to_unless_its_entry_says_how_it_is_otherwise() -> None:
    assert oauth({}) == oauth({"oauth": True}) == oauth({"oauth": {}}) == OAuthEntry()
    assert oauth({"headers": {"X-Key": "k"}}) == OAuthEntry()
    assert oauth({"headers": {"authorization": "Bearer t"}}) is None
    assert oauth({"headers": {"authorization": "Bearer t"}, "oauth": {}}) == OAuthEntry()
    assert oauth({"oauth": False}) is oauth({"oauth": {"enabled": False}}) is None


def test_an_assertion_is_given_or_in_a_file_of_the_operators(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a.b.c")
    entry = {"grant": "jwt-bearer", "clientId": "id", "assertionFile": str(file)}
    found = oauth({"oauth": entry})
    assert found is not None
    assert (found.grant, found.assertion_file) == (JWT_BEARER, str(file))
    with pytest.raises(BadEntry, match="only be named in the configuration"):
        oauth({"oauth": entry}, Expansion({}))


def test_an_identity_provider_gives_the_assertion_in_exchange() -> None:
    provider = {"tokenEndpoint": "https://id.example/token", "client_id": "p"}
    entry = {"grant": "jwt-bearer", "clientId": "id", "assertion": "a.b.c"}
    found = oauth({"oauth": {**entry, "identityProvider": provider}})
    assert found is not None
    assert found.identity_provider == IdentityProvider("https://id.example/token", "p")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("yes", "must be a map, or false"),
        ({"clientId": 1}, r"'oauth\.clientId' must be text"),
        ({"clientSecret": CANARY}, "no 'clientId'"),
        ({"grant": "password"}, r"'oauth\.grant' is"),
        ({"grant": "client_credentials", "clientId": "id"}, "needs 'clientSecret' or 'privateKey'"),
        ({"grant": "jwt-bearer", "clientId": "id"}, "'assertion' or 'assertionFile'"),
        ({"grant": "jwt-bearer", "assertion": CANARY}, "needs 'clientId'"),
        ({"tokenEndpointAuthMethod": "magic"}, "tokenEndpointAuthMethod"),
        ({"signingAlgorithm": "none"}, "signingAlgorithm"),
        ({"signingAlgorithm": "HS256"}, "signingAlgorithm"),
        ({"issuer": "auth.example"}, "'oauth.issuer' is no"),
        ({"issuer": "https://u:p@auth.example"}, "'oauth.issuer' is no"),
        ({"clientMetadataUrl": "http://a.example/c.json"}, "no https URL"),
        ({"scope": ["a", 1]}, r"'oauth\.scope'"),
        ({"scope": "a\nb"}, r"'oauth\.scope'"),
        ({"identityProvider": "https://id.example"}, "must be a map"),
        ({"identityProvider": {"clientId": "p"}}, "needs 'tokenEndpoint'"),
        ({"identityProvider": {"tokenEndpoint": "x", "clientId": "p"}}, "needs 'tokenEndpoint'"),
    ],
)
def test_what_cannot_be_is_told_without_secrets(entry: Any, words: str) -> None:
    with pytest.raises(BadEntry, match=words) as raised:
        oauth({"oauth": entry})
    assert CANARY not in str(raised.value)
