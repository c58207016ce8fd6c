"""Authentication that an operator's startup function puts in place, on every door."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette

from gateway.app import Parts, build
from gateway.auth.authentication import Authentication
from gateway.auth.hooks import AuthHooks, user_of
from gateway.auth.tokens import TokenIssuer
from gateway.extensions import ExtensionContext, load_routes
from gateway.settings import Settings
from schema.errors import InvalidRequest, Unauthenticated, Unavailable
from schema.identity import Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure

LOGIN = "/public/services/hypha-login"
KEYS = {"sk-ada": {"id": "ada", "email": "ada@example.org", "roles": ["crew"]}}


async def by_key(token: str) -> Any:
    """A hook as users write them: its own keys, and an error for one that looks like it."""
    if token == "sk-slow":
        raise TimeoutError
    if token == "sk-broken":
        raise ZeroDivisionError
    if token.startswith("sk-"):
        return KEYS[token]
    return None


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    parts, routes = build(settings)
    context = ExtensionContext(parts.gateway, settings, parts.authentication)
    doors = load_routes(["mcp_bridge", "http_proxy"], context)
    app = Starlette(routes=[*routes, *doors])
    app.state.parts = parts
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        client.parts = parts  # type: ignore[attr-defined]
        yield client


@pytest.fixture
def parts(http: httpx.AsyncClient) -> Parts:
    found: Parts = http.parts  # type: ignore[attr-defined]
    return found


@pytest.fixture
def server(parts: Parts) -> SimpleNamespace:
    """What a startup function sees of authentication."""
    return SimpleNamespace(**parts.login.startup_functions())


async def whoami(context: Mapping[str, Any]) -> Any:
    return context["user"]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def mcp_call() -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})


MCP_HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}


async def on_every_door(parts: Parts, http: httpx.AsyncClient, token: str) -> list[int | str]:
    """What a token gets at the HTTP door, the MCP door, the HTTP transport and the websocket."""
    seen: list[int | str] = []
    seen.append((await http.get("/public/services/", headers=bearer(token))).status_code)
    answer = await http.post(
        "/public/mcp/hypha-login/mcp", headers=bearer(token) | MCP_HEADERS, content=mcp_call()
    )
    seen.append(answer.status_code)
    try:
        peer = await Peer.join(parts, "someone", token=token)
    except (Unauthenticated, Unavailable) as error:
        seen.append(type(error).__name__)
    else:
        seen.append(peer.session.user.id)
    return seen


async def test_a_token_of_the_operators_own_kind_is_good_on_every_door(
    parts: Parts, http: httpx.AsyncClient, server: SimpleNamespace
) -> None:
    assert await on_every_door(parts, http, "sk-ada") == [401, 401, "Unauthenticated"]
    await server.set_parse_token_function(by_key)
    assert await on_every_door(parts, http, "sk-ada") == [200, 200, "ada"]
    assert await on_every_door(parts, http, "sk-nobody") == [401, 401, "Unauthenticated"]


async def test_a_token_that_the_hook_does_not_know_is_read_as_without_it(
    parts: Parts, http: httpx.AsyncClient, server: SimpleNamespace
) -> None:
    await server.register_auth_service(parse_token=by_key)
    own = parts.tokens.issue(User("bob"), expires_in_seconds=3600)
    assert await on_every_door(parts, http, own) == [200, 200, "bob"]
    assert await on_every_door(parts, http, "rubbish") == [401, 401, "Unauthenticated"]


async def test_a_hook_that_fails_is_no_error_of_the_gateway_and_lets_nobody_in(
    parts: Parts,
    http: httpx.AsyncClient,
    server: SimpleNamespace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await server.set_parse_token_function(by_key)
    with caplog.at_level(logging.WARNING):
        assert await on_every_door(parts, http, "sk-broken") == [401, 401, "Unauthenticated"]
        assert await on_every_door(parts, http, "sk-slow") == [503, 503, "Unavailable"]
    assert "sk-broken" not in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_broken_hook_does_not_keep_out_the_operator(
    parts: Parts, server: SimpleNamespace
) -> None:
    await server.set_parse_token_function(lambda token: 1 / 0)
    root = parts.tokens.issue(User("root", roles=("admin",)), expires_in_seconds=3600)
    assert (await parts.authentication.user(root)).id == "root"


async def test_tokens_are_made_by_the_operators_hook_and_read_by_it(
    parts: Parts, server: SimpleNamespace
) -> None:
    made: dict[str, User] = {}

    def generate(user: User, expires_in: int) -> str:
        assert (type(expires_in), expires_in) == (int, 90)
        made[f"own-{user.id}"] = user
        return f"own-{user.id}"

    await server.set_generate_token_function(generate)
    await server.set_parse_token_function(made.get)
    owner = await Peer.join(parts, "owner")
    token = await owner.manager("generate_token", {"expires_in": 90})
    assert token in made
    child = await Peer.join(parts, "child", token=token)
    assert child.session.workspace == owner.session.workspace
    assert (await owner.manager("parse_token", token))["id"] == made[token].id


@pytest.mark.parametrize("returned", [None, 7, ""])
async def test_a_hook_that_makes_no_token_is_passed_over_or_reported(
    parts: Parts, server: SimpleNamespace, returned: Any
) -> None:
    await server.set_generate_token_function(lambda user, expires_in: returned)
    owner = await Peer.join(parts, "owner")
    if returned is None:
        token = await owner.manager("generate_token")
        assert parts.tokens.verify(token).parent == owner.session.user.id
    else:
        with pytest.raises(RemoteFailure, match="No token can be made now"):
            await owner.manager("generate_token")


async def test_requests_may_carry_their_token_where_the_hook_looks_for_it(
    http: httpx.AsyncClient, server: SimpleNamespace
) -> None:
    async def get_token(scope: Mapping[str, Any]) -> str | None:
        found = dict(scope["headers"]).get(b"x-key")
        return found.decode() if found else None

    await server.register_auth_service(parse_token=by_key, get_token=get_token)
    protected = "/ws-user-ada/services/"
    mcp = "/public/mcp/hypha-login/mcp"
    for headers, status in (
        ({"x-key": "sk-ada"}, 200),
        (bearer("sk-ada"), 200),  # nothing found: the usual places
        ({"x-key": "sk-nobody"} | bearer("sk-ada"), 401),
    ):
        assert (await http.get("/public/services/", headers=headers)).status_code == status
        answer = await http.post(mcp, headers=MCP_HEADERS | headers, content=mcp_call())
        assert answer.status_code == status
    assert (await http.get(protected, headers={"x-key": "sk-ada"})).status_code in (200, 404)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("Invalid key"), 400),
        (TimeoutError("Login timeout after 1 seconds"), 504),
        (PermissionError("Not you"), 401),
        (ConnectionError("secret-host:5432"), 503),
    ],
)
async def test_a_handler_that_fails_is_answered_by_what_it_means(
    http: httpx.AsyncClient, server: SimpleNamespace, error: Exception, status: int
) -> None:
    def check(key: str, timeout: float = 180, profile: bool = False) -> str:
        raise error

    await server.register_auth_service(check_handler=check)
    answer = await http.post(f"{LOGIN}/check", json={"key": "k"})
    assert answer.status_code == status
    assert "secret-host" not in answer.text


async def test_handlers_replace_functions_of_the_login_service_and_add_to_it(
    parts: Parts, http: httpx.AsyncClient, server: SimpleNamespace
) -> None:
    reported: dict[str, Any] = {}

    async def index(event: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "text/html"}
        return {"status": 200, "headers": headers, "body": f"<h1>{event['user']['id']}</h1>"}

    async def start(workspace: str | None = None, expires_in: int | None = None) -> Any:
        return {"login_url": "/public/apps/hypha-login/?key=one", "key": "one"}

    async def report(key: str, token: str, **kwargs: Any) -> None:
        reported.update(key=key, token=token, **kwargs)

    def greet(name: str, context: Any = None) -> str:
        return f"{name} by {context['user']['id']}"

    def door(event: dict[str, Any]) -> dict[str, Any]:
        return {"status": 200, "body": event["method"]}

    await server.register_auth_service(
        parse_token=by_key,
        login_service={"id": "hypha-login", "type": "functions", "start": start},
        index_handler=index,
        report_handler=report,
        greet=greet,
        door=door,
    )
    base = parts.settings.base_url
    started = (await http.post(f"{LOGIN}/start", json={})).json()
    assert started["login_url"] == f"{base}/public/apps/hypha-login/?key=one"
    assert started["report_url"] == f"{base}{LOGIN}/report"
    page = await http.get("/public/apps/hypha-login/", headers=bearer("sk-ada"))
    assert page.text == "<h1>ada</h1>"
    await http.post(f"{LOGIN}/report", json={"key": "one", "token": "t", "name": "Ada"})
    assert reported == {"key": "one", "token": "t", "name": "Ada"}
    program = await Peer.join(parts, "program", token="sk-ada")
    service = await program.manager("get_service", "public/hypha-login")
    assert {"start", "check", "report", "logout", "greet"} <= set(service)
    address = parts.router.manager_address
    assert await program.call(address, "services.hypha-login.greet", "Hi") == "Hi by ada"
    assert (await http.put("/public/apps/hypha-login/door")).text == "PUT"


async def test_only_functions_are_taken(server: SimpleNamespace) -> None:
    with pytest.raises(InvalidRequest, match="parse_token is not a function"):
        await server.set_parse_token_function("sk-")


async def test_s9_a_report_of_a_token_that_no_hook_knows_is_refused(
    http: httpx.AsyncClient, server: SimpleNamespace
) -> None:
    await server.register_auth_service(parse_token=by_key)
    key = (await http.post(f"{LOGIN}/start", json={})).json()["key"]
    for token, status in (("sk-nobody", 400), ("rubbish", 400), ("sk-ada", 200)):
        answer = await http.post(f"{LOGIN}/report", json={"key": key, "token": token})
        assert answer.status_code == status
    answer = await http.post(f"{LOGIN}/check", json={"key": key, "profile": True})
    assert answer.json()["user_id"] == "ada"
    assert answer.json()["token"] == "sk-ada"


def test_a_user_is_a_map_an_object_or_a_user() -> None:
    scope = {"workspaces": {"lab-1": "rw"}, "current_workspace": "lab-1"}
    as_map = user_of({"id": "ada", "roles": ["crew"], "scope": scope})
    grants = SimpleNamespace(workspaces={"lab-1": Permission.READ_WRITE}, current_workspace="lab-1")
    assert user_of(SimpleNamespace(id="ada", roles=["crew"], scope=grants)) == as_map
    assert as_map.scope == Scope({"lab-1": Permission.READ_WRITE}, current_workspace="lab-1")
    assert user_of(as_map) is as_map
    for nobody in ({}, {"id": ""}, {"id": 7}, "ada", {"id": "a", "scope": {"workspaces": 1}}):
        with pytest.raises(InvalidRequest):
            user_of(nobody)


def test_the_role_of_an_administrator_means_every_workspace() -> None:
    assert user_of({"id": "boss", "roles": ["admin"]}).scope.permission_on("any-where")
    child = user_of({"id": "child", "roles": ["admin"], "parent": "boss"})
    assert child.scope.permission_on("any-where") is None


async def test_s41_the_log_names_who_may_come_in_how(parts: Parts, server: SimpleNamespace) -> None:
    assert parts.login.summary() == "ways=token,guest hooks=none"
    await server.register_auth_service(parse_token=by_key, start_handler=dict)
    assert parts.login.summary() == "ways=token,guest hooks=parse_token,login.start"


def test_hooks_that_are_set_have_names() -> None:
    assert AuthHooks().names == []
    hooks = AuthHooks(get_token=dict, login={"start": dict})
    assert hooks.names == ["get_token", "login.start"]


async def test_a_token_that_no_text_can_be_is_not_valid() -> None:
    tokens = TokenIssuer("key of the test, long enough for it")
    for hooks in (AuthHooks(), AuthHooks(parse_token=by_key)):
        authentication = Authentication(tokens, hooks)
        for ask in (authentication.user, authentication.bearer):
            with pytest.raises(Unauthenticated):
                await ask("half a surrogate pair: \ud800")
