"""Logging in, over RPC and HTTP, in one process."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import Parts, build
from gateway.extensions import ExtensionContext, load_routes
from gateway.settings import Settings
from schema.identity import Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS

SERVICE = "/public/services/hypha-login"
PAGE = "/public/apps/hypha-login/"


async def login(peer: Peer, function: str, *args: Any, **kwargs: Any) -> Any:
    address = peer.parts.router.manager_address
    return await peer.call(address, f"services.hypha-login.{function}", *args, **kwargs)


def token_of(parts: Parts, user: User, seconds: float = 600) -> str:
    return parts.tokens.issue(user, expires_in_seconds=seconds)


def member(user_id: str = "alice", email: str | None = None, **grants: str) -> User:
    """A registered user with permission letters per workspace (``ws_lab="rw"``)."""
    scope = {name.replace("_", "-"): Permission(p) for name, p in grants.items()}
    return User(user_id, email=email, scope=Scope(scope))


@pytest.fixture
async def program(parts: Parts) -> Peer:
    return await Peer.join(parts, "program")


@pytest.fixture
async def http(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(parts, build(parts.settings)[1]) as client:
        yield client


def client_of(parts: Parts, pages: Any) -> httpx.AsyncClient:
    context = ExtensionContext(parts.gateway, parts.settings)
    app = Starlette(routes=[*pages, *load_routes(["http_proxy"], context)])
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


# Where it is


async def test_the_service_is_found_like_any_other(parts: Parts, program: Peer) -> None:
    full = f"public/{parts.router.manager_id}:hypha-login"
    for query in ("public/hypha-login", full, "public/*:hypha-login@*"):
        service = await program.manager("get_service", query)
        assert (service["id"], service["type"]) == (full, "functions")
        assert service["config"]["visibility"] == "public"
        assert service["start"]["_rtarget"] == parts.router.manager_address
    assert service["config"]["url"].endswith(f"{parts.router.manager_id}:hypha-login")
    listed = await program.manager("list_services", {"workspace": "public"})
    assert full in [s["id"] for s in listed]
    fetched = await program.call(
        f"public/{parts.router.manager_id}", "services.built-in.get_service", "hypha-login"
    )
    assert fetched["id"] == full


async def test_the_keys_of_a_service_of_the_gateway_are_converted_on_request(program: Peer) -> None:
    options = {"case_conversion": "camel"}
    service = await program.manager("get_service", "public/hypha-login", options)
    assert "getToken" in service
    assert "get_token" not in service


async def test_a_login_is_started_with_absolute_urls(parts: Parts, program: Peer) -> None:
    started = await login(program, "start")
    base = parts.settings.base_url
    key = started["key"]
    assert started == {
        "key": key,
        "login_url": f"{base}{PAGE}?key={key}",
        "report_url": f"{base}{SERVICE}/report",
        "check_url": f"{base}{SERVICE}/check",
        "generate_url": f"{base}{SERVICE}/generate",
    }
    assert len(key) * 6 >= 128


async def test_the_login_url_says_which_token_is_asked_for(program: Peer) -> None:
    started = await login(program, "start", workspace="lab & co", expires_in=90)
    query = parse_qs(urlsplit(started["login_url"]).query)
    assert query == {"key": [started["key"]], "workspace": ["lab & co"], "expires_in": ["90"]}


# From start to check


async def test_a_waiting_check_gets_the_token_as_soon_as_it_is_reported(
    parts: Parts, program: Peer
) -> None:
    token = token_of(parts, member())
    key = (await login(program, "start"))["key"]
    checks = [asyncio.ensure_future(login(program, "check", key, timeout=60)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await login(program, "check", key, timeout=0) is None
    async with asyncio.timeout(PATIENCE_SECONDS):
        await login(program, "report", key, token)
        assert await asyncio.gather(*checks) == [token, token]


async def test_a_token_is_given_out_once(parts: Parts, program: Peer) -> None:
    key = (await login(program, "start"))["key"]
    token = token_of(parts, member())
    await login(program, "report", key, token)
    assert await login(program, "check", key) == token
    for function, arguments in [("check", {}), ("report", {"token": token})]:
        with pytest.raises(RemoteFailure, match="Invalid key, key does not exist"):
            await login(program, function, key, **arguments)


async def test_a_login_is_completed_once(parts: Parts, program: Peer) -> None:
    key = (await login(program, "start"))["key"]
    first, second = token_of(parts, member("alice")), token_of(parts, member("mallory"))
    await login(program, "report", key, first)
    with pytest.raises(RemoteFailure, match="already complete"):
        await login(program, "report", key, second)
    assert await login(program, "check", key) == first


async def test_a_check_gives_up_in_time(program: Peer) -> None:
    key = (await login(program, "start"))["key"]
    with pytest.raises(
        RemoteFailure, match=r"TimeoutError: Login timeout, waited for 0\.1 seconds"
    ):
        await login(program, "check", key, timeout=0.1)
    assert await login(program, "check", key, timeout=-1) is None


async def test_a_check_that_waits_is_told_when_the_server_stops(
    parts: Parts, program: Peer
) -> None:
    key = (await login(program, "start"))["key"]
    check = asyncio.ensure_future(login(program, "check", key, timeout=60))
    while not parts.logins.get(key).waiting:
        await asyncio.sleep(0)
    parts.logins.close()
    with pytest.raises(RemoteFailure, match="stopping"):
        await check
    with pytest.raises(RemoteFailure, match="stopping"):
        await login(program, "start")


async def test_a_program_s_login_is_checked_by_nobody_else(parts: Parts, program: Peer) -> None:
    other = await Peer.join(parts)
    key = (await login(program, "start"))["key"]
    token = token_of(parts, member())
    await login(other, "report", key, token)
    with pytest.raises(RemoteFailure, match="Invalid key"):
        await login(other, "check", key)
    assert await login(program, "check", key) == token


# What may be reported


@pytest.mark.parametrize("workspace", [None, "ws-lab"])
@pytest.mark.parametrize("kind", ["garbage", "empty", "foreign", "expired", "reconnection"])
async def test_s9_a_token_that_is_not_good_is_never_taken(
    parts: Parts, program: Peer, kind: str, workspace: str | None
) -> None:
    user = member(ws_lab="rw")
    token = {
        "garbage": "x.y.z",
        "empty": "",
        "foreign": token_of(build(parts.settings)[0], user),
        "expired": token_of(parts, user, 1e-9),
        "reconnection": parts.tokens.issue(user, expires_in_seconds=60, purpose="reconnect"),
    }[kind]
    key = (await login(program, "start"))["key"]
    with pytest.raises(RemoteFailure, match="Invalid token provided to report_login: "):
        await login(program, "report", key, token, workspace=workspace)
    assert await login(program, "check", key, timeout=0) is None


@pytest.mark.parametrize("asked_by", ["program", "page"])
async def test_a_login_to_a_workspace_gives_a_token_for_that_alone(
    parts: Parts, program: Peer, asked_by: str
) -> None:
    asked = {"workspace": "ws-lab", "expires_in": 90}
    started = await login(program, "start", **(asked if asked_by == "program" else {}))
    alice = User(
        "alice",
        roles=("admin", "curator"),
        email="alice@lab",
        scope=Scope({"ws-lab": Permission.READ_WRITE, "ws-other": Permission.ADMIN}),
    )
    reported = asked if asked_by == "page" else {}
    await login(program, "report", started["key"], token_of(parts, alice), **reported)
    user = parts.tokens.verify(await login(program, "check", started["key"]))
    assert user.scope == Scope({"ws-lab": Permission.ADMIN}, current_workspace="ws-lab")
    assert (user.id, user.email, user.roles) == ("alice", "alice@lab", ("curator",))
    assert seconds_left(parts, user) == pytest.approx(90, abs=20)


def seconds_left(parts: Parts, user: User) -> float:
    issued = parts.tokens.verify(token_of(parts, member(), 1000))
    assert user.expires_at is not None
    assert issued.expires_at is not None
    return user.expires_at - issued.expires_at + 1000


async def exchanged(program: Peer, token: str, **asked: Any) -> User:
    key = (await login(program, "start", **asked))["key"]
    await login(program, "report", key, token)
    return program.parts.tokens.verify(await login(program, "check", key))


async def test_a_workspace_that_the_user_may_not_read_is_refused(
    parts: Parts, program: Peer
) -> None:
    for user in (member(), member(ws_other="a"), member("eve", ws_lab_2="a")):
        with pytest.raises(RemoteFailure, match="Permission denied for workspace ws-lab"):
            await exchanged(program, token_of(parts, user), workspace="ws-lab")


async def test_an_owner_gets_in_unless_the_token_is_for_another_workspace(
    parts: Parts, program: Peer
) -> None:
    await parts.workspaces.create({"id": "my-lab"}, member())
    owner = await exchanged(program, token_of(parts, member()), workspace="my-lab")
    assert owner.scope.permission_on("my-lab") is Permission.ADMIN

    pinned = await exchanged(program, token_of(parts, member(ws_x="r")), workspace="ws-x")
    with pytest.raises(RemoteFailure, match="Permission denied for workspace my-lab"):
        await exchanged(program, token_of(parts, pinned), workspace="my-lab")


@pytest.mark.parametrize("current", [None, "ws-x"])
async def test_a_grant_for_an_earlier_workspace_of_the_name_is_not_exchanged(
    parts: Parts, program: Peer, current: str | None
) -> None:
    grants = {"ws-x": Permission.READ, "my-lab": Permission.READ_WRITE}
    token = token_of(parts, User("alice", scope=Scope(grants, current_workspace=current)))
    bob = await Peer.join(parts, "bob", token=token_of(parts, member("bob")))
    await bob.manager("create_workspace", {"id": "my-lab"})
    with pytest.raises(RemoteFailure, match="Permission denied for workspace my-lab"):
        await exchanged(program, token, workspace="my-lab")


async def test_a_token_of_one_purpose_cannot_be_exchanged(parts: Parts, program: Peer) -> None:
    scope = Scope({"ws-lab": Permission.ADMIN}, extra_scopes=("file:download",))
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await exchanged(program, token_of(parts, User("alice", scope=scope)), workspace="ws-lab")


@pytest.mark.parametrize(
    ("permission", "is_anonymous", "asked", "life"),
    [
        ("a", False, 5000, 600),
        ("rw", False, 5000, 600),
        ("r", False, None, 600),
        ("a", True, 5000, 600),
        ("a", False, 60, 60),
    ],
)
async def test_nobody_gets_a_longer_life_than_they_could_have(
    parts: Parts,
    program: Peer,
    permission: str,
    is_anonymous: bool,
    asked: int | None,
    life: int,
) -> None:
    scope = Scope({"ws-lab": Permission(permission)})
    token = token_of(parts, User("alice", is_anonymous=is_anonymous, scope=scope))
    user = await exchanged(program, token, workspace="ws-lab", expires_in=asked)
    assert seconds_left(parts, user) == pytest.approx(life, abs=20)
    assert user.is_anonymous is is_anonymous


async def test_a_shorter_life_alone_keeps_the_workspaces(parts: Parts, program: Peer) -> None:
    user = await exchanged(program, token_of(parts, member(ws_a="r", ws_b="a")), expires_in=60)
    assert user.scope.workspaces == {"ws-a": Permission.READ, "ws-b": Permission.ADMIN}
    assert seconds_left(parts, user) == pytest.approx(60, abs=20)


@pytest.mark.parametrize("life", [0, -1, 1e12])
async def test_a_life_that_no_token_can_have_is_refused_at_the_start(
    program: Peer, life: float
) -> None:
    with pytest.raises(RemoteFailure, match="ValueError"):
        await login(program, "start", expires_in=life)


async def test_the_profile_has_what_was_reported(parts: Parts, program: Peer) -> None:
    key = (await login(program, "start"))["key"]
    token = token_of(parts, member(email="alice@lab"))
    told = {"name": "Alice", "nickname": "al", "picture": "https://lab/al.png"}
    await login(program, "report", key, token, email_verified=True, **told)
    profile = await login(program, "check", key, profile=True)
    assert profile.pop("expires_in") == pytest.approx(600, abs=20)
    assert profile == {
        **told,
        "token": token,
        "workspace": None,
        "user_id": "alice",
        "email": "alice@lab",
        "email_verified": True,
    }


async def test_a_reporter_cannot_claim_to_be_somebody_else(parts: Parts, program: Peer) -> None:
    claims = {"user_id": "root", "email": "root@lab", "email_verified": True}
    for email, shown in [("mallory@lab", "mallory@lab"), (None, "root@lab")]:
        key = (await login(program, "start"))["key"]
        await login(program, "report", key, token_of(parts, member("mallory", email)), **claims)
        profile = await login(program, "check", key, profile=True)
        assert (profile["user_id"], profile["email"]) == ("mallory", shown)
        assert profile["email_verified"] is False


async def test_texts_that_are_kept_are_short(parts: Parts, program: Peer) -> None:
    key = (await login(program, "start"))["key"]
    with pytest.raises(RemoteFailure, match="'picture'"):
        await login(program, "report", key, token_of(parts, member()), picture="x" * 5000)
    with pytest.raises(RemoteFailure, match="'workspace'"):
        await login(program, "start", workspace="x" * 5000)


# Ways to log in


async def test_a_guest_is_a_new_user_with_an_empty_workspace(parts: Parts, program: Peer) -> None:
    users = [parts.tokens.verify(await login(program, "get_token", "guest")) for _ in range(2)]
    assert users[0].id != users[1].id
    for user in users:
        assert user.is_anonymous
        assert seconds_left(parts, user) == pytest.approx(3600, abs=20)
        guest = await Peer.join(parts, token=token_of(parts, user))
        assert guest.workspace == f"ws-user-{user.id}" == user.scope.current_workspace
        assert user.scope.workspaces == {guest.workspace: Permission.ADMIN}


async def test_a_token_that_one_has_is_a_way_to_log_in(parts: Parts, program: Peer) -> None:
    token = token_of(parts, member())
    assert await login(program, "get_token", "token", {"token": f" {token}\n"}) == token
    for answers in ({"token": "x"}, {}, None):
        with pytest.raises(RemoteFailure, match="not valid"):
            await login(program, "get_token", "token", answers)
    with pytest.raises(RemoteFailure, match="no such way to log in"):
        await login(program, "get_token", "password")


async def test_guests_can_be_kept_out() -> None:
    parts, routes = build(Settings(ephemeral=True, guest_login=False))
    program = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match="no such way to log in"):
        await login(program, "get_token", "guest")
    async with client_of(parts, routes) as http:
        assert "guest" not in (await http.get(PAGE)).text.partition('id="providers"')[2][:300]


# Over HTTP


async def test_a_script_logs_in_with_the_commands_of_the_guide(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    asked = {"workspace": "ws-lab", "expires_in": 90}
    started = (await http.post(f"{SERVICE}/start", json=asked)).json()
    assert "workspace=ws-lab" in started["login_url"]
    check = {"key": started["key"], "timeout": 10}
    waiting = asyncio.ensure_future(http.post(f"{SERVICE}/check", json=check))

    token = token_of(parts, member(ws_lab="r"))
    parameters = {"key": started["key"], "token": token, "nickname": "007"}
    reported = await http.get(urlsplit(started["report_url"]).path, params=parameters)
    assert (reported.status_code, reported.json()) == (200, None)

    answer = await waiting
    assert answer.status_code == 200
    assert parts.tokens.verify(answer.json()).scope.current_workspace == "ws-lab"


async def test_a_workspace_in_a_report_by_url_reaches_the_login(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    key = (await http.post(f"{SERVICE}/start")).json()["key"]
    parameters = {"key": key, "token": token_of(parts, member()), "workspace": "ws-lab"}
    refused = await http.get(f"{SERVICE}/report", params=parameters)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


async def test_failures_have_their_status(parts: Parts, http: httpx.AsyncClient) -> None:
    key = (await http.post(f"{SERVICE}/start", json={})).json()["key"]
    pending = await http.get(f"{SERVICE}/check?key={key}&timeout=0")
    assert (pending.status_code, pending.json()) == (200, None)
    for path, status, detail in [
        (f"check?key={key}&timeout=0.1", 504, "Login timeout, waited for 0.1 seconds"),
        ("check?key=unknown", 400, "Invalid key, key does not exist"),
        ("check", 400, "Missing required argument: 'key'"),
        (f"report?key={key}&token=x", 400,
         "Invalid token provided to report_login: The token is not valid"),
    ]:  # fmt: skip
        answer = await http.get(f"{SERVICE}/{path}")
        assert (answer.status_code, answer.json()["detail"]) == (status, detail)


async def test_neither_keys_nor_tokens_are_logged(
    parts: Parts, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    token = token_of(parts, member())
    key = (await http.post(f"{SERVICE}/start", json={})).json()["key"]
    await http.get(f"{PAGE}?key={key}")
    await http.get(f"{SERVICE}/report?key={key}&token={token}x")
    await http.get(f"{SERVICE}/report?key={key}&token={token}")
    await http.post(f"{SERVICE}/check", json={"key": key})
    assert key not in caplog.text
    assert token not in caplog.text


# The page


async def test_the_page_needs_nothing_from_elsewhere_and_may_do_nothing_else(
    http: httpx.AsyncClient,
) -> None:
    page = await http.get(f"{PAGE}?key=k")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "://" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for element in ("script", "style"):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert "onclick" not in page.text
    assert "style=" not in page.text


@pytest.mark.parametrize("path", ["/login", "/public/apps/hypha-login"])
async def test_short_addresses_lead_to_the_page(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"{path}?key=a%26b&workspace=w")
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    target = httpx.URL(f"http://test{path}").join(answer.headers["location"])
    assert str(target) == f"http://test{PAGE}?key=a%26b&workspace=w"


async def test_logging_out_forgets_the_cookie(program: Peer, http: httpx.AsyncClient) -> None:
    url = (await login(program, "logout", {}))["logout_url"]
    assert urlsplit(url).query == "logout=true&close=true"
    answer = await http.get(f"{PAGE}?{urlsplit(url).query}")
    assert answer.headers["set-cookie"].startswith('access_token=""; expires=')
    assert "set-cookie" not in (await http.get(PAGE)).headers


async def test_the_page_is_also_a_function_of_the_service(
    program: Peer, http: httpx.AsyncClient
) -> None:
    page = await login(program, "index", {"query_string": ""})
    assert page["status"] == 200
    assert page["body"] == (await http.get(PAGE)).text
    redirect = await login(program, "profile", {})
    assert (redirect["status"], redirect["headers"]["Location"][-len(PAGE) :]) == (307, PAGE)
