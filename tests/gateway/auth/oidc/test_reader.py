"""Tokens of a provider at the doors; its keys; who its users are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.auth.oidc.accounts import user_of
from gateway.auth.oidc.config import OidcConfig, OidcMistake, oidc_configs
from gateway.auth.oidc.discovery import REFETCH_SECONDS, Discovery
from gateway.auth.oidc.reader import OidcReader
from gateway.auth.oidc.verification import Verifier
from gateway.settings import Settings
from schema.errors import Unauthenticated, Unavailable
from tests.gateway.auth.oidc.fake_provider import ISSUER, FakeProvider

AUDIENCE = "https://gw.example"
CONFIG = OidcConfig(id="lab", issuer=ISSUER, client_id="polyport", audience=AUDIENCE)


class Door:
    """A reader of one provider's tokens."""

    def __init__(self) -> None:
        self.fake = FakeProvider()
        self.now = 0.0
        self.discovery = Discovery(CONFIG, web=self.fake.web, clock=lambda: self.now)
        self.reader = OidcReader({ISSUER: (CONFIG, Verifier(CONFIG, self.discovery))})

    async def read(self, token: str, *resources: str) -> Any:
        return await self.reader.read(token, resources)


@pytest.fixture
def door() -> Door:
    return Door()


async def test_a_token_for_this_server_is_read_and_remembered(door: Door) -> None:
    token = door.fake.token(aud=[AUDIENCE, "other"], email="a@example.org")
    user = await door.read(token)
    assert (user.id, user.email, user.email_verified) == ("lab|ada", "a@example.org", False)
    assert user.expires_at is not None
    door.fake.is_down = True
    assert await door.read(token) is user


async def test_a_token_of_nobody_here_is_left_to_others(door: Door) -> None:
    for token in (
        "",
        "rubbish",
        "a.b.c",
        door.fake.token(iss="https://other.example"),
        "x" * 20000,
    ):
        assert await door.read(token) is None
    assert door.fake.requests == []


async def test_an_id_token_is_no_key_to_a_door(door: Door) -> None:
    with pytest.raises(Unauthenticated):
        await door.read(door.fake.token())


async def test_a_token_may_be_limited_to_one_endpoint(door: Door) -> None:
    endpoint = f"{AUDIENCE}/ws-a/mcp/b/mcp"
    token = door.fake.token(aud=endpoint)
    assert (await door.read(token, endpoint)).id == "lab|ada"
    with pytest.raises(Unauthenticated):
        await door.read(token)
    with pytest.raises(Unauthenticated):
        await door.read(token, f"{AUDIENCE}/ws-a/mcp/other/mcp")


async def test_new_keys_are_found_but_not_looked_for_all_the_time(door: Door) -> None:
    assert await door.read(door.fake.token(aud=AUDIENCE))
    door.fake.add_key("two")
    token = door.fake.token("two", aud=AUDIENCE)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await door.read(token)
    assert door.fake.requests.count("/jwks") == 1
    door.now = REFETCH_SECONDS
    assert await door.read(token)
    assert door.fake.requests.count("/jwks") == 2


async def test_a_provider_that_is_down_is_no_refusal(door: Door) -> None:
    door.fake.is_down = True
    with pytest.raises(Unavailable):
        await door.read(door.fake.token(aud=AUDIENCE))


@pytest.mark.parametrize("subject", ["", 7, None])
def test_a_user_without_a_name_is_nobody(subject: Any) -> None:
    with pytest.raises(Unauthenticated):
        user_of(CONFIG, {"sub": subject})


def test_ids_have_no_place_for_tricks() -> None:
    plain = OidcConfig(id="lab", issuer=ISSUER, client_id="c", user_prefix="")
    assert user_of(plain, {"sub": "github|478667"}).id == "github|478667"
    for odd in ("a b", "ws:x#a", "a/b", "a@b", "*", "x" * 200, "é"):
        user_id = user_of(plain, {"sub": odd}).id
        assert len(user_id) == 64
        assert user_id.isalnum()
    for reserved in ("root", "anonymouz-x"):
        with pytest.raises(Unauthenticated):
            user_of(plain, {"sub": reserved})
        assert user_of(CONFIG, {"sub": reserved}).id == f"lab|{reserved}"


def test_a_provider_makes_administrators_only_of_those_the_operator_names() -> None:
    named = OidcConfig(id="lab", issuer=ISSUER, client_id="c", admin_roles=("ops",))
    claims = {"sub": "ada", "roles": ["ops", "anonymous", 7]}
    assert user_of(named, claims).roles == ("admin", "ops")
    assert user_of(named, claims).scope.permission_on("any-where") is not None
    assert user_of(CONFIG, claims).roles == ("ops",)
    assert user_of(CONFIG, {"sub": "ada", "roles": "admin"}).roles == ()


def test_auth0_is_configured_as_hypha_was() -> None:
    settings = Settings(
        auth0_domain="lab.eu.auth0.com",
        auth0_client_id="abc",
        auth0_audience="https://lab.eu.auth0.com/api/v2/",
        auth0_namespace="https://lab.example",
    )
    [config] = oidc_configs(settings)
    assert config.issuer == "https://lab.eu.auth0.com/"
    claims = {"sub": "google-oauth2|1", "https://lab.example/email": "a@example.org"}
    user = user_of(config, claims | {"https://lab.example/roles": ["crew"]})
    assert (user.id, user.email, user.roles) == ("google-oauth2|1", "a@example.org", ("crew",))


def test_nobody_is_trusted_by_default() -> None:
    assert oidc_configs(Settings(ephemeral=True)) == []


def test_several_providers_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    listed = [
        {"id": "one", "issuer": "https://one.example", "client_id": "a"},
        {"id": "two", "issuer": "https://two.example", "client_id": "b", "name": "Two"},
    ]
    (tmp_path / "providers.json").write_text(json.dumps(listed))
    for text in (json.dumps(listed), str(tmp_path / "providers.json")):
        found = oidc_configs(Settings(oidc_providers=SecretStr(text)))
        assert [(config.label, config.prefix) for config in found] == [
            ("one.example", "one|"),
            ("Two", "two|"),
        ]


GOOD = {"oidc_issuer": "https://a.example", "oidc_client_id": "a"}


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"oidc_issuer": "https://a.example"}, "client_id"),
        ({"oidc_issuer": "http://a.example", "oidc_client_id": "a"}, "https address"),
        (GOOD | {"oidc_audience": "a"}, "client id"),
        ({"oidc_providers": SecretStr("/nowhere.json")}, "cannot be read"),
        ({"oidc_providers": SecretStr("[1]")}, "JSON object"),
        ({"oidc_providers": SecretStr('[{"id": "A"}]')}, "lower-case"),
        ({"auth0_domain": "a.auth0.com"}, "client_id"),
    ],
)
def test_a_mistake_in_the_settings_is_a_sentence(changes: dict[str, Any], mistake: str) -> None:
    with pytest.raises(OidcMistake, match=mistake):
        oidc_configs(Settings(**changes))
