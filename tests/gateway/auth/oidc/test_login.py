"""The way of a browser to a provider and back, and everything that may be wrong on it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.auth.login.pending import PendingLogins
from gateway.auth.oidc.config import OidcConfig
from gateway.auth.oidc.login import Asked, Journey, OidcLogins, Provider
from schema.errors import GatewayError, InvalidRequest, NotFound, Unauthenticated, Unavailable
from schema.identity import User
from tests.gateway.auth.oidc.fake_provider import CLIENT, ISSUER, FakeProvider


class Browser:
    """One browser, on its way."""

    def __init__(self, **config: Any) -> None:
        self.fake = FakeProvider()
        given = {"id": "lab", "issuer": ISSUER, "client_id": CLIENT, **config}
        self.provider = Provider(OidcConfig(**given), web=self.fake.web)
        self.pending = PendingLogins(180)
        self.done: list[tuple[User, dict[str, Any], Asked]] = []

        async def complete(user: User, profile: dict[str, Any], asked: Asked) -> None:
            self.done.append((user, profile, asked))

        providers = {"lab": self.provider}
        self.logins = OidcLogins(providers, self.pending, "https://gw.example", complete)
        self.query: dict[str, str] = {}
        self.journey: Journey | None = None

    async def begin(self) -> dict[str, str]:
        asked = Asked(self.pending.begin().key)
        location, _, self.journey = await self.logins.begin("lab", asked)
        self.query = dict(parse_qsl(urlsplit(location).query))
        self.answer_with()
        return self.query

    def answer_with(self, token: str | None = None, **changes: Any) -> None:
        given = {"nonce": self.query["nonce"]} | changes
        self.fake.answer = (200, {"id_token": token or self.fake.token(**given)})

    async def back(self, browser: str | None = "own", **changes: str | None) -> Asked:
        assert self.journey is not None
        given = {"code": "c", "state": self.query["state"]} | changes
        query = {name: value for name, value in given.items() if value is not None}
        cookie = self.journey.browser if browser == "own" else browser
        return await self.logins.finish("lab", query, cookie)


@pytest.fixture
async def browser() -> Browser:
    browser = Browser()
    await browser.begin()
    return browser


async def test_a_user_comes_back_as_who_the_provider_says(browser: Browser) -> None:
    browser.answer_with(
        email="ada@example.org", email_verified=True, name="Ada", roles=["crew", "admin"]
    )
    asked = await browser.back()
    [(user, profile, for_login)] = browser.done
    assert (user.id, user.roles) == ("lab|ada", ("crew",))
    assert (user.email, user.email_verified) == ("ada@example.org", True)
    assert profile == {"name": "Ada"}
    assert for_login == asked
    form = browser.fake.form
    assert form["redirect_uri"] == "https://gw.example/oauth/callback/lab"
    assert form["client_id"] == CLIENT
    challenge = browser.query["code_challenge"]
    assert browser.query["code_challenge_method"] == "S256"
    assert challenge != form["code_verifier"]


async def test_an_answer_counts_once(browser: Browser) -> None:
    await browser.back()
    with pytest.raises(InvalidRequest, match="expired"):
        await browser.back()


@pytest.mark.parametrize("cookie", [None, "", "guessed"])
async def test_an_answer_that_is_brought_into_another_browser_logs_nobody_in(
    browser: Browser, cookie: str | None
) -> None:
    with pytest.raises(InvalidRequest, match="not started in this browser"):
        await browser.back(cookie)
    assert browser.done == []
    await browser.back()  # and does not spoil it for its own


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": "guessed"}, InvalidRequest),
        ({"state": None}, InvalidRequest),
        ({"iss": "https://other.example"}, InvalidRequest),
        ({"code": None}, Unauthenticated),
        ({"error": "access_denied"}, Unauthenticated),
    ],
)
async def test_an_answer_that_is_not_good_is_refused(
    browser: Browser, changes: dict[str, str | None], error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        await browser.back(**changes)
    assert browser.done == []


async def test_a_provider_that_names_itself_in_answers_always_does(browser: Browser) -> None:
    browser = Browser()
    browser.fake.metadata["authorization_response_iss_parameter_supported"] = True
    await browser.begin()
    with pytest.raises(InvalidRequest, match="another provider"):
        await browser.back()
    await browser.begin()
    await browser.back(iss=ISSUER)


def _unsigned(browser: Browser) -> str:
    claims = jwt.decode(browser.fake.token(nonce="n"), options={"verify_signature": False})
    return jwt.encode(claims | {"nonce": browser.query["nonce"]}, "", "none")


def _signed_with_the_public_key(browser: Browser) -> str:
    # What a server takes that lets the token choose its algorithm. PyJWT will not make one.
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    public = browser.fake.keys["one"].public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _, payload, _ = browser.fake.token(nonce=browser.query["nonce"]).split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').decode().rstrip("=")
    signature = hmac.digest(secret, f"{header}.{payload}".encode(), hashlib.sha256)
    return f"{header}.{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.parametrize("forge", [_unsigned, _signed_with_the_public_key])
async def test_s22_a_forged_token_is_refused(browser: Browser, forge: Any) -> None:
    browser.answer_with(forge(browser))
    with pytest.raises(Unauthenticated):
        await browser.back()


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": [CLIENT, "another client"]},
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"iss": "https://other.example"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
        {"nbf": 9_999_999_999},
    ],
)
async def test_s22_a_token_for_something_else_is_refused(
    browser: Browser, changes: dict[str, Any]
) -> None:
    browser.answer_with(**changes)
    with pytest.raises(Unauthenticated):
        await browser.back()
    assert browser.done == []


async def test_a_client_with_a_secret_shows_it_as_the_provider_takes_it() -> None:
    browser = Browser(client_secret="s&cret")
    browser.fake.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await browser.begin()
    await browser.back()
    assert browser.fake.form["client_secret"] == "s&cret"
    browser = Browser(client_secret="s&cret")
    await browser.begin()
    await browser.back()
    assert "client_secret" not in browser.fake.form


async def test_a_provider_that_refuses_or_is_down_is_not_quoted(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    browser.fake.answer = (401, {"error": "invalid_client", "error_description": "the secret x"})
    with pytest.raises(Unauthenticated, match=r"issuer\.example has refused the login"):
        await browser.back()
    assert "the secret x" not in caplog.text
    await browser.begin()
    browser.fake.is_down = True
    with pytest.raises(Unavailable):
        await browser.back()


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://issuer.example/"},
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"jwks_uri": "http://issuer.example/jwks"},
    ],
)
async def test_a_provider_whose_metadata_is_not_its_own_is_not_used(
    changes: dict[str, Any],
) -> None:
    browser = Browser()
    browser.fake.metadata |= changes
    with pytest.raises(Unavailable):
        await browser.begin()


async def test_a_login_that_nobody_waits_for_does_not_begin(browser: Browser) -> None:
    with pytest.raises(InvalidRequest, match="Invalid key"):
        await browser.logins.begin("lab", Asked("guessed"))
    with pytest.raises(NotFound):
        await browser.logins.begin("other", Asked("guessed"))
