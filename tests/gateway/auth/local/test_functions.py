"""Local accounts at the doors."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import Parts, build
from gateway.extensions import ExtensionContext, load_routes
from gateway.settings import Settings
from schema.errors import TokenRevoked
from schema.identity import User, personal_workspace

LOGIN = "/public/services/hypha-login"
EMAIL, PASSWORD = "ada@example.org", "correct horse"


@pytest.fixture
def settings() -> Settings:
    return Settings(ephemeral=True, enable_local_auth=True, local_auth_admins=("boss@example.org",))


@pytest.fixture
async def built(settings: Settings) -> AsyncIterator[tuple[Parts, httpx.AsyncClient]]:
    parts, routes = build(settings)
    context = ExtensionContext(parts.gateway, settings, parts.authentication)
    app = Starlette(routes=[*routes, *load_routes(["http_proxy"], context)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield parts, http
    await parts.database.close()


@pytest.fixture
def parts(built: tuple[Parts, httpx.AsyncClient]) -> Parts:
    return built[0]


@pytest.fixture
def http(built: tuple[Parts, httpx.AsyncClient]) -> httpx.AsyncClient:
    return built[1]


async def call(http: httpx.AsyncClient, function: str, bearer: str = "", /, **named: Any) -> Any:
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    return await http.post(f"{LOGIN}/{function}", json=named, headers=headers)


async def member(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, email: str = EMAIL
) -> dict[str, Any]:
    """An account; returns what logging in gives."""
    with caplog.at_level(logging.WARNING):
        answer = await call(http, "signup", name="Ada", email=email, password=PASSWORD)
    assert answer.status_code == 200, answer.text
    assert not re.search(r"\d{6}", answer.text)  # for the operator alone
    code = re.findall(r"code is (\d{6})", caplog.text)[-1]
    assert (await call(http, "verify_email", email=email, code=code)).status_code == 200
    result: dict[str, Any] = (await call(http, "login", email=email, password=PASSWORD)).json()
    return result


async def test_a_user_signs_up_and_logs_in(
    parts: Parts, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await member(http, caplog)
    assert ada["success"] is True
    user = parts.tokens.verify(ada["token"])
    assert (user.id, user.email, user.email_verified) == (ada["user_id"], EMAIL, True)
    assert (user.roles, dict(user.scope.workspaces)) == ((), {})
    assert ada["workspace"] == personal_workspace(user.id)
    boss = await member(http, caplog, "boss@example.org")
    assert parts.tokens.verify(boss["token"]).roles == ("admin",)


async def test_n6_a_login_grants_nothing_on_a_workspace_of_others(
    parts: Parts, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await member(http, caplog)
    given = {"email": EMAIL, "password": PASSWORD}
    for workspace in ("ws-user-root", "public", "no-such-one"):
        answer = await call(http, "login", **given, workspace=workspace)
        assert answer.status_code == 403
    answer = await call(http, "login", **given, workspace=ada["workspace"])
    scope = parts.tokens.verify(answer.json()["token"]).scope
    assert set(scope.workspaces) == {ada["workspace"]}


async def test_a_wrong_password_is_no_more_than_that(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await member(http, caplog)
    answers = [
        await call(http, "login", email=email, password="wrong password")
        for email in (EMAIL, "nobody@example.org")
    ]
    assert {answer.status_code for answer in answers} == {400}
    assert answers[0].json() == answers[1].json()


async def test_a_program_that_waits_gets_the_token(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await member(http, caplog)
    started = (await call(http, "start")).json()
    answers = {"email": EMAIL, "password": PASSWORD}
    token = (await call(http, "get_token", provider="local", answers=answers)).json()
    reported = await call(http, "report", key=started["key"], token=token)
    assert reported.status_code == 200, reported.text
    profile = (await call(http, "check", key=started["key"], profile=True)).json()
    assert (profile["user_id"], profile["email"]) == (ada["user_id"], EMAIL)
    started = (await call(http, "start")).json()
    assert (await call(http, "login", **answers, key=started["key"])).status_code == 200
    profile = (await call(http, "check", key=started["key"], profile=True)).json()
    assert (profile["name"], profile["email_verified"]) == ("Ada", True)
    gone = await call(http, "check", key=started["key"], timeout=0)
    assert gone.status_code == 400  # it was given out once


async def test_a_profile_needs_the_account_and_its_password(
    parts: Parts, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await member(http, caplog)
    changes = {"name": "Eve", "current_password": PASSWORD}
    assert (await call(http, "update_profile", **changes)).status_code == 403
    bob = parts.tokens.issue(User("bob"), expires_in_seconds=3600)
    assert (await call(http, "update_profile", bob, **changes)).status_code == 401
    wrong = changes | {"current_password": "wrong password"}
    assert (await call(http, "update_profile", ada["token"], **wrong)).status_code == 401
    assert (await call(http, "update_profile", ada["token"], **changes)).status_code == 200


async def test_a_new_password_ends_all_logins(
    parts: Parts, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await member(http, caplog)
    changes = {"current_password": PASSWORD, "new_password": "battery staple"}
    assert (await call(http, "update_profile", ada["token"], **changes)).status_code == 200
    with pytest.raises(TokenRevoked):
        parts.tokens.verify(ada["token"])
    again = (await call(http, "login", email=EMAIL, password="battery staple")).json()
    with caplog.at_level(logging.WARNING):
        await call(http, "forgot_password", email=EMAIL)
    code = re.findall(r"code is (\d{6})", caplog.text)[-1]
    given = {"email": EMAIL, "code": code, "new_password": PASSWORD}
    assert (await call(http, "reset_password", **given)).status_code == 200
    with pytest.raises(TokenRevoked):
        parts.tokens.verify(again["token"])


async def test_accounts_are_made_by_the_operator_if_the_operator_says_so() -> None:
    settings = Settings(ephemeral=True, enable_local_auth=True, local_auth_signup=False)
    parts, _ = build(settings)
    functions = parts.login
    assert functions is not None
    from schema.errors import PermissionDenied  # noqa: PLC0415
    from schema.identity import anonymous_http_caller  # noqa: PLC0415

    service = await parts.gateway.find_service(anonymous_http_caller(), "public", "hypha-login")
    named = {"name": "Ada", "email": EMAIL, "password": PASSWORD}
    with pytest.raises(PermissionDenied, match="made by the operator"):
        await parts.gateway.call(anonymous_http_caller(), service, "signup", (), named)
