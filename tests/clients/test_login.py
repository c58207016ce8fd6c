"""``login`` and ``logout`` of the clients, with a callback that reports a token to the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import hypha_rpc.sync
import pytest
from hypha_rpc import login, logout
from hypha_rpc.rpc import RemoteException

from tests.clients.conftest import NODE, Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import running
from tests.patience import PATIENCE_SECONDS

Report = Callable[[Any], Awaitable[None]]
PROFILE = {
    "token", "workspace", "expires_in", "email", "email_verified", "name", "nickname", "user_id",
    "picture",
}  # fmt: skip


@pytest.fixture
async def owner(connect: Connect) -> Any:
    """A user with a workspace and thus with tokens."""
    return await connect()


def reporting(token: str, seen: list[str] | None = None, **parameters: Any) -> Report:
    """A callback that reports a token, in place of the login page."""

    async def report(context: Any) -> None:
        if seen is not None:
            seen.append(context["login_url"])
        given = {"key": context["key"], "token": token, **parameters}
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            answer = await http.get(context["report_url"], params=given)
        assert answer.status_code == 200, answer.text

    return report


async def test_a_program_gets_the_token_that_is_reported(
    gateway: Gateway, owner: Any, connect: Connect
) -> None:
    token = await owner.generate_token()
    config = {
        "server_url": gateway.url,
        "login_callback": reporting(token),
        "login_timeout": PATIENCE_SECONDS,
    }
    assert await login(config) == token
    member = await connect(token=token)
    assert member.config.workspace == owner.config.workspace


async def test_a_program_gets_a_token_for_the_workspace_and_time_it_asks_for(
    gateway: Gateway, owner: Any, connect: Connect
) -> None:
    workspace = owner.config.workspace
    token = await owner.generate_token({"permission": "admin"})
    seen: list[str] = []
    config = {
        "server_url": gateway.url,
        "workspace": workspace,
        "expires_in": 90,
        "profile": True,
        "login_timeout": PATIENCE_SECONDS,
    }
    profile = await login({**config, "login_callback": reporting(token, seen, name="Ada")})
    query = parse_qs(urlsplit(seen[0]).query)
    assert (query["workspace"], query["expires_in"]) == ([workspace], ["90"])
    assert set(profile) == PROFILE
    assert (profile["workspace"], profile["name"]) == (workspace, "Ada")
    assert profile["expires_in"] == pytest.approx(90, abs=20)
    user = await owner.parse_token(profile["token"])
    assert user["scope"]["workspaces"] == {workspace: "a"}
    assert (await connect(token=profile["token"])).config.user["id"] == profile["user_id"]


async def test_a_workspace_of_others_is_refused(
    gateway: Gateway, owner: Any, connect: Connect
) -> None:
    other = await connect()
    token = await owner.generate_token()

    async def report(context: Any) -> None:
        given = {"key": context["key"], "token": token}
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            answer = await http.get(context["report_url"], params=given)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")

    config = {"server_url": gateway.url, "workspace": other.config.workspace}
    with pytest.raises(RemoteException, match=r"Login timeout, waited for 0\.2 seconds"):
        await login({**config, "login_callback": report, "login_timeout": 0.2})


async def test_a_waiting_program_is_answered_at_once(gateway: Gateway, connect: Connect) -> None:
    program, reporter = await connect(), await connect()
    token = await reporter.generate_token()
    service = await program.get_service("public/hypha-login")
    started = await service.start()
    check = asyncio.ensure_future(service.check(started["key"], timeout=60))
    assert await service.check(started["key"], timeout=0) is None
    assert not check.done()
    await (await reporter.get_service("public/hypha-login")).report(started["key"], token)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await check == token
    with pytest.raises(RemoteException, match="Invalid key, key does not exist"):
        await service.check(started["key"])


async def test_a_long_wait_does_not_look_like_silence(connect: Connect) -> None:
    program, reporter = await connect(method_timeout=2), await connect()
    service = await program.get_service("public/hypha-login")
    key = (await service.start())["key"]
    check = asyncio.ensure_future(service.check(key, timeout=60))
    done, _ = await asyncio.wait({check}, timeout=3)
    assert not done
    token = await reporter.generate_token()
    await (await reporter.get_service("public/hypha-login")).report(key, token)
    assert await check == token


async def test_a_login_is_found_by_its_url(gateway: Gateway) -> None:
    url = f"{gateway.url}/public/services/hypha-login"
    async with hypha_rpc.get_remote_service(url) as service:
        started = await service.start()
        assert started["check_url"] == f"{url}/check"
        assert await service.check(started["key"], timeout=0) is None


async def test_a_program_shows_where_to_log_out(gateway: Gateway) -> None:
    shown: list[Any] = []

    async def show(context: Any) -> None:
        shown.append(context["logout_url"])

    context = await logout({"server_url": gateway.url, "logout_callback": show})
    assert shown == [context["logout_url"]]
    assert shown[0].startswith(f"{gateway.url}/public/apps/hypha-login/?logout=true")
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        assert (await http.get(shown[0])).status_code == 200


def test_a_program_without_asyncio_logs_in_and_out(gateway: Gateway) -> None:
    def report(context: Any) -> None:
        given = {"key": context["key"], "token": token}
        assert (
            httpx.get(context["report_url"], params=given, timeout=PATIENCE_SECONDS).status_code
            == 200
        )

    with hypha_rpc.sync.connect_to_server({"server_url": gateway.url}) as owner:
        token = owner.generate_token()
        workspace = owner.config.workspace
        config = {
            "server_url": gateway.url,
            "login_callback": report,
            "login_timeout": PATIENCE_SECONDS,
        }
        assert hypha_rpc.sync.login(config) == token
        scoped = {**config, "workspace": workspace, "expires_in": 90, "profile": True}
        profile = hypha_rpc.sync.login(scoped)
        assert (profile["workspace"], set(profile)) == (workspace, PROFILE)
        assert owner.parse_token(profile["token"])["scope"]["workspaces"] == {workspace: "rw"}

        silent = {**config, "login_callback": lambda context: None, "login_timeout": 0.2}
        with pytest.raises(RemoteException, match=r"Login timeout, waited for 0\.2 seconds"):
            hypha_rpc.sync.login(silent)
        url = hypha_rpc.sync.logout({"server_url": gateway.url})["logout_url"]
        assert url.endswith("?logout=true&close=true")


async def test_javascript_logs_in_and_out(
    node: tuple[str | Path, ...], gateway: Gateway, owner: Any
) -> None:
    token, workspace = await owner.generate_token(), owner.config.workspace
    async with running(*node, NODE / "login.mjs", gateway.url, token, workspace) as program:
        result = await program.value()
        assert await program.end() == 0
    assert result["token"] == token
    assert set(result["profile"]) == PROFILE
    assert result["profile"]["workspace"] == workspace
    assert result["profile"]["expires_in"] == pytest.approx(90, abs=20)
    assert result["asked"].endswith(f"&workspace={workspace}&expires_in=90")
    assert "Login timeout, waited for 0.2 seconds" in result["timeout"]
    assert result["shown"] == [result["out"]]
    assert result["out"]["logout_url"].startswith(f"{gateway.url}/public/apps/hypha-login/")
