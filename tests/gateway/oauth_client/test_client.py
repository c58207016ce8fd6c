"""Logging in at a server that asks for it."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.oauth_client.client import Challenge
from gateway.oauth_client.config import CLIENT_CREDENTIALS, JWT_BEARER
from gateway.oauth_client.errors import LoginFailed, LoginUnavailable
from tests.gateway.oauth_client.conftest import (
    CALLBACK,
    ISSUER,
    SERVER,
    Memory,
    Person,
    Site,
    challenge_of,
    client,
)

UNAUTHORIZED = Challenge(401, "Bearer")
CANARY = "canary-secret-of-the-client"


def step_up(scope: str) -> Challenge:
    return Challenge(403, f'Bearer error="insufficient_scope", scope="{scope}"')


async def test_a_login_is_bound_to_the_server_the_request_and_the_program() -> None:
    site, person = Site(), Person()
    login = client(site, Memory(), person)
    assert await login.headers() == {}
    assert await login.challenged(UNAUTHORIZED, {})
    [asked], [token] = person.asked, site.tokens()
    assert asked["resource"] == token["resource"] == SERVER
    assert asked["code_challenge_method"] == "S256"
    assert asked["code_challenge"] == challenge_of(token["code_verifier"])
    assert (asked["redirect_uri"], token["redirect_uri"]) == (CALLBACK, CALLBACK)
    assert await login.headers() == {"Authorization": "Bearer token-1"}


async def test_what_was_kept_serves_after_a_restart_without_a_person() -> None:
    site, memory = Site(token={"refresh_token": "again-1", "expires_in": 3600}), Memory()
    await client(site, memory, Person()).challenged(UNAUTHORIZED, {})
    login = client(site, memory)
    headers = await login.headers()
    assert headers == {"Authorization": "Bearer token-1"}
    assert await login.challenged(UNAUTHORIZED, headers)
    refresh = site.tokens()[-1]
    assert (refresh["grant_type"], refresh["refresh_token"]) == ("refresh_token", "again-1")
    assert refresh["resource"] == SERVER
    assert await login.headers() == {"Authorization": "Bearer token-2"}


async def test_a_token_that_has_expired_is_refreshed_before_it_is_sent() -> None:
    site, memory = Site(token={"refresh_token": "again-1", "expires_in": 3600}), Memory()
    await client(site, memory, Person()).challenged(UNAUTHORIZED, {})
    assert memory.record is not None
    memory.record["token_expiry_time"] = time.time() - 1
    login = client(site, memory)
    both = await asyncio.gather(login.headers(), login.headers())
    assert {"Authorization": "Bearer token-2"} in both
    assert len(site.tokens()) == 2


async def test_a_token_is_kept_if_it_only_cannot_be_refreshed_now() -> None:
    site, memory = Site(token={"refresh_token": "again-1"}), Memory()
    login = client(site, memory, Person())
    await login.challenged(UNAUTHORIZED, {})
    login.accepted()
    site.refusals["refresh_token"] = (503, {})
    with pytest.raises(LoginUnavailable, match="503"):
        await login.challenged(UNAUTHORIZED, await login.headers())
    del site.refusals["refresh_token"]
    assert await login.challenged(UNAUTHORIZED, await login.headers())
    assert await login.headers() == {"Authorization": "Bearer token-2"}


async def test_a_refresh_that_is_refused_leads_to_the_person() -> None:
    site, person = Site(token={"refresh_token": "again-1"}), Person()
    login = client(site, Memory(), person)
    await login.challenged(UNAUTHORIZED, {})
    login.accepted()
    site.refusals["refresh_token"] = (400, {"error": "invalid_grant"})
    assert await login.challenged(UNAUTHORIZED, await login.headers())
    assert len(person.asked) == 2


async def test_a_server_that_refuses_the_token_it_was_given_ends_it() -> None:
    login = client(Site(), Memory(), Person())
    await login.challenged(UNAUTHORIZED, {})
    with pytest.raises(LoginFailed, match="refuses the token"):
        await login.challenged(UNAUTHORIZED, await login.headers())
    assert await login.headers() == {}


async def test_more_scopes_are_added_to_those_there_are_and_not_asked_for_in_vain() -> None:
    site, person = Site(token={"scope": "read"}), Person()
    login = client(site, Memory(), person)
    await login.challenged(Challenge(401, 'Bearer scope="read"'), {})
    assert person.asked[0]["scope"] == "read"
    assert not await login.challenged(step_up("read"), await login.headers())
    for _ in range(2):
        assert await login.challenged(step_up("write"), await login.headers())
        assert set(person.asked[-1]["scope"].split()) == {"read", "write"}
    assert not await login.challenged(step_up("write"), await login.headers())
    assert not await login.challenged(Challenge(403, "Bearer"), await login.headers())


async def test_who_is_late_gets_what_another_has_brought() -> None:
    site, person = Site(), Person()
    login = client(site, Memory(), person)
    await asyncio.gather(*(login.challenged(UNAUTHORIZED, {}) for _ in range(5)))
    assert len(person.asked) == 1


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        (Site(resource="https://evil.example/mcp"), "does not match"),
        (Site(metadata={"issuer": "https://evil.example"}), "mismatch"),
        (Site(metadata={"code_challenge_methods_supported": ["plain"]}), "PKCE"),
        (Site(metadata={"code_challenge_methods_supported": None}), "PKCE"),
        (Site(metadata={"authorization_endpoint": "http://auth.example/a"}), "neither https nor"),
        (Site(refusals={"/register": (403, {"error": "access_denied"})}), "registration"),
        (Site(refusals={"authorization_code": (400, {"error": "invalid_grant"})}), "invalid_grant"),
        (Site(token={"token_type": "mac"}), "cannot be used"),
    ],
)
async def test_what_does_not_fit_is_refused(site: Site, sentence: str) -> None:
    with pytest.raises(LoginFailed, match=sentence):
        await client(site, Memory(), Person()).challenged(UNAUTHORIZED, {})


@pytest.mark.parametrize(
    "brings",
    [
        {"code": "c", "iss": "https://evil.example"},
        {"code": "c", "iss": f"{ISSUER}/"},
        {"code": "c", "iss": ISSUER, "state": "of-another-login"},
        {"code": ""},
    ],
)
async def test_an_answer_that_is_for_another_login_is_not_exchanged(brings: Any) -> None:
    site = Site()
    with pytest.raises(LoginFailed) as raised:
        await client(site, Memory(), Person(brings)).challenged(UNAUTHORIZED, {})
    assert site.tokens() == []
    assert "of-another-login" not in str(raised.value)


async def test_a_server_that_promises_its_name_in_the_answer_has_to_give_it() -> None:
    site = Site(metadata={"authorization_response_iss_parameter_supported": True})
    with pytest.raises(LoginFailed, match="iss"):
        await client(site, Memory(), Person({"code": "c"})).challenged(UNAUTHORIZED, {})
    assert site.tokens() == []


@pytest.mark.parametrize(
    ("methods", "is_basic"), [(None, True), (["client_secret_post"], False), (["none"], True)]
)
async def test_a_client_registered_by_hand_proves_who_it_is(methods: Any, is_basic: bool) -> None:
    site = Site(metadata={"token_endpoint_auth_methods_supported": methods})
    login = client(site, Memory(), Person(), client_id="by hand", client_secret=CANARY)
    await login.challenged(UNAUTHORIZED, {})
    assert "/register" not in site.paths
    request = next(each for each in site.seen if each.url.path == "/token")
    basic = base64.b64encode(f"by%20hand:{CANARY}".encode()).decode()
    assert (request.headers.get("authorization") == f"Basic {basic}") is is_basic
    assert (site.form(request).get("client_secret") == CANARY) is not is_basic


async def test_a_secret_goes_to_no_other_server_than_the_first() -> None:
    site, memory = Site(), Memory()
    config: Any = {"client_id": "by hand", "client_secret": CANARY}
    login = client(site, memory, Person(), **config)
    await login.challenged(UNAUTHORIZED, {})
    login.accepted()
    site.issuer = "https://other.example"
    for again in (login, client(site, memory, Person(), **config)):
        with pytest.raises(LoginFailed, match=r"other\.example"):
            await again.challenged(UNAUTHORIZED, {"Authorization": "Bearer token-1"})
    assert len(site.tokens()) == 1
    with pytest.raises(LoginFailed, match=r"other\.example"):
        await client(site, Memory(), Person(), **config, issuer=ISSUER).challenged(UNAUTHORIZED, {})


async def test_a_registration_is_not_used_with_another_configuration_or_after_its_end() -> None:
    site, memory = Site(registration={"client_secret_expires_at": 1}), Memory()
    await client(site, memory, Person()).challenged(UNAUTHORIZED, {})
    await client(site, memory, Person()).challenged(
        UNAUTHORIZED, {"Authorization": "Bearer token-1"}
    )
    assert site.paths.count("/register") == 2
    site.registration = {}
    login = client(site, memory, Person(), redirect_uri="https://moved.example/callback")
    assert await login.headers() == {}
    await login.challenged(UNAUTHORIZED, {})
    assert site.paths.count("/register") == 3


async def test_a_registration_that_the_server_has_forgotten_is_made_anew() -> None:
    site, memory = Site(), Memory()
    site.refusals["authorization_code"] = (401, {"error": "invalid_client"})
    login = client(site, memory, Person())
    with pytest.raises(LoginFailed, match="invalid_client"):
        await login.challenged(UNAUTHORIZED, {})
    site.refusals.clear()
    assert await login.challenged(UNAUTHORIZED, {})
    assert site.paths.count("/register") == 2


async def test_an_endpoint_keeps_the_query_that_it_has() -> None:
    site = Site(metadata={"authorization_endpoint": f"{ISSUER}/authorize?tenant=a%3Fb"})
    person = Person()
    assert await client(site, Memory(), person).challenged(UNAUTHORIZED, {})
    assert (person.asked[0]["tenant"], person.asked[0]["response_type"]) == ("a?b", "code")


async def test_a_server_that_wants_ever_other_scopes_is_given_up() -> None:
    site, person = Site(token={"scope": "read"}), Person()
    login = client(site, Memory(), person)
    await login.challenged(UNAUTHORIZED, {})
    for number in range(60):
        await login.challenged(step_up(f"scope-{number}"), await login.headers())
    assert len(person.asked) <= 52


async def test_a_published_client_needs_no_registration() -> None:
    published = "https://gateway.example/client.json"
    site, person = Site(metadata={"client_id_metadata_document_supported": True}), Person()
    await client(site, Memory(), person, metadata_url=published).challenged(UNAUTHORIZED, {})
    assert person.asked[0]["client_id"] == published
    assert "/register" not in site.paths


async def test_a_program_logs_in_for_itself_with_a_signed_assertion() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    site = Site()
    config: Any = {"client_id": "robot", "private_key": pem, "signing_algorithm": "ES256"}
    login = client(site, Memory(), grant=CLIENT_CREDENTIALS, **config)
    assert await login.challenged(UNAUTHORIZED, {})
    [form] = site.tokens()
    claims = jwt.decode(
        form["client_assertion"], key.public_key(), algorithms=["ES256"], audience=ISSUER
    )
    assert (claims["iss"], claims["sub"]) == ("robot", "robot")
    assert (form["grant_type"], form["resource"]) == (CLIENT_CREDENTIALS, SERVER)
    broken = client(Site(), Memory(), grant=CLIENT_CREDENTIALS, **config | {"private_key": CANARY})
    with pytest.raises(LoginFailed, match="private key") as raised:
        await broken.challenged(UNAUTHORIZED, {})
    assert CANARY not in str(raised.value)


def word_for(audience: str | list[str]) -> str:
    return jwt.encode({"sub": "workload", "aud": audience}, "k" * 32)


async def test_an_assertion_of_somebody_else_is_exchanged() -> None:
    asked = []
    word = word_for(["x", ISSUER])

    async def assertion(issuer: str, resource: str) -> str:
        asked.append((issuer, resource))
        return word

    site = Site()
    config: Any = {"grant": JWT_BEARER, "assertion": assertion, "client_id": "workload"}
    await client(site, Memory(), **config).challenged(UNAUTHORIZED, {})
    [form] = site.tokens()
    assert (form["assertion"], form["client_id"]) == (word, "workload")
    assert asked == [(ISSUER, SERVER)]


@pytest.mark.parametrize("word", [word_for("https://other.example"), "no JWT", ""])
async def test_an_assertion_is_shown_to_the_server_alone_that_it_names(word: str) -> None:
    async def assertion(_issuer: str, _resource: str) -> str:
        return word

    site = Site()
    config: Any = {"grant": JWT_BEARER, "assertion": assertion, "client_id": "workload"}
    with pytest.raises(LoginFailed, match="not for the authorization server"):
        await client(site, Memory(), **config).challenged(UNAUTHORIZED, {})
    assert site.tokens() == []


async def test_nothing_secret_is_in_what_is_told(caplog: pytest.LogCaptureFixture) -> None:
    echo = {"error": "invalid_grant", "error_description": CANARY}
    site = Site(refusals={"authorization_code": (400, echo)})
    login = client(site, Memory(), Person(), client_id="by hand", client_secret=CANARY)
    with pytest.raises(LoginFailed) as raised:
        await login.challenged(UNAUTHORIZED, {})
    assert CANARY not in str(raised.value) + caplog.text
    assert "the-code" not in str(raised.value) + caplog.text
