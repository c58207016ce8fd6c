"""Everything that can be asked has a row in ``surface``, and refuses who may not ask it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, WebSocketRoute

from gateway.app import Parts, create_app
from gateway.auth.access import Action
from gateway.settings import Settings
from mcp_bridge.methods import METHODS
from schema.identity import ROOT_USER, Permission, Scope, User
from tests.gateway.peer import Peer
from tests.security.conftest import MCP
from tests.security.surface import CLOSED, MCP_METHODS, ROUTES, SERVICES, Anybody, Guarded

URL = "http://127.0.0.1:9527"
GUARDED = sorted(name for name, row in ROUTES.items() if isinstance(row, Guarded))
REFUSED = {401, 403, 404}


@dataclass
class World:
    """The protected service of ann, and those who ask for it from another machine."""

    app: FastAPI
    http: httpx.AsyncClient
    tokens: dict[str, str]

    async def ask(self, row: Guarded, who: str | None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[who]}"} if who else {}
        if row.method == "MCP":
            return await self.mcp(row.url, "tools/list", headers)
        body: dict[str, Any] = {"json": {}} if row.method == "POST" else {}
        return await self.http.request(row.method, row.url, headers=headers, **body)

    async def mcp(self, url: str, method: str, headers: dict[str, str]) -> httpx.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
        return await self.http.post(url, json=message, headers=headers | MCP)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    app = create_app(Settings(ephemeral=True, port=9527, mcp_sse=True))
    parts: Parts = app.state.parts
    grant = Scope({"ws-user-ann": Permission.ADMIN}, extra_scopes=("file:download",))
    users = {"ann": User("ann"), "eve": User("eve"), "root": ROOT_USER}
    users["ann's downloads"] = User("ann", scope=grant)
    tokens = {n: parts.tokens.issue(u, expires_in_seconds=3600) for n, u in users.items()}
    ann = await Peer.join(parts, "provider", token=tokens["ann"])
    closed = {"visibility": "protected"}
    await ann.register("closed", {"f": lambda: CLOSED}, config=closed, description=CLOSED)
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as http:
        yield World(app, http, tokens)
    await parts.kept.audit.close()


def name_of(route: BaseRoute) -> str:
    path: str = route.path  # type: ignore[attr-defined]
    return f"websocket {path}" if isinstance(route, WebSocketRoute) else path


def test_every_route_has_a_row_that_says_what_guards_it() -> None:
    login: dict[str, Any] = {"oauth_server": True, "enable_local_auth": True, "base_url": URL}
    login |= {"oidc_issuer": "https://id.example", "oidc_client_id": "polyport"}
    routes: set[str] = set()
    for more in ({"mcp_sse": True}, login, {"public_base_url": "https://gateway.example"}):
        app = create_app(Settings(ephemeral=True, port=9527, **more))
        routes |= {name_of(route) for route in app.router.routes}
    assert routes == set(ROUTES)
    assert all(row.because for row in ROUTES.values() if isinstance(row, Anybody))


def test_every_method_of_mcp_has_a_row() -> None:
    assert set(METHODS) == set(MCP_METHODS)


@pytest.mark.parametrize("name", [n for n in GUARDED if not n.startswith("websocket")])
async def test_a_route_gives_strangers_nothing(world: World, name: str) -> None:
    row = ROUTES[name]
    assert isinstance(row, Guarded)
    for who in ("eve", None):
        answer = await world.ask(row, who)
        assert (answer.status_code in REFUSED) is not row.is_list, answer.text
        assert CLOSED not in answer.text
        assert row.shows is None or row.shows not in answer.text
    if row.shows is not None:
        entitled = "root" if row.action is Action.ADMINISTER else "ann"
        assert row.shows in (await world.ask(row, entitled)).text


@pytest.mark.parametrize("name", [n for n in GUARDED if not n.startswith("websocket")])
async def test_S20_a_token_for_one_purpose_gets_nothing_at_any_route(
    world: World, name: str
) -> None:
    """Though it is one of ann herself, with every permission; no route declares a scope."""
    row = ROUTES[name]
    assert isinstance(row, Guarded)
    answer = await world.ask(row, "ann's downloads")
    assert answer.status_code in REFUSED or "/health" in row.url, answer.text
    assert CLOSED not in answer.text
    assert row.shows is None or row.shows not in answer.text


@pytest.mark.parametrize("name", [n for n in GUARDED if n.startswith("websocket")])
async def test_S20_a_token_for_one_purpose_opens_no_websocket(world: World, name: str) -> None:
    row = ROUTES[name]
    assert isinstance(row, Guarded)
    sent = await spoken(world, row.url, world.tokens["ann's downloads"])
    assert "connection_info" not in sent and "one purpose" in sent, sent


@pytest.mark.parametrize("name", [n for n in GUARDED if n.startswith("websocket")])
async def test_a_websocket_gives_strangers_nothing(world: World, name: str) -> None:
    row = ROUTES[name]
    assert isinstance(row, Guarded)
    sent = await spoken(world, row.url, world.tokens["eve"])
    assert "connection_info" not in sent and CLOSED not in sent
    assert "ermission denied" in sent or "403" in sent, sent
    if row.action is Action.CONNECT:
        assert "connection_info" in await spoken(world, row.url, world.tokens["ann"])


async def spoken(world: World, path: str, token: str) -> str:
    """All that the server says on a websocket to who introduces itself and goes."""
    hello = {"client_id": "c", "workspace": "ws-user-ann", "token": token}
    coming: list[dict[str, Any]] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": json.dumps(hello)},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0) if coming else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "ws", "http_version": "1.1", "subprotocols": [],
        "headers": [(b"host", b"127.0.0.1:9527"), (b"authorization", f"Bearer {token}".encode())],
        "client": ("203.0.113.9", 1), "server": ("127.0.0.1", 9527),
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    await world.app(scope, receive, send)
    return repr(sent)


@pytest.mark.parametrize("method", sorted(MCP_METHODS))
@pytest.mark.parametrize("url", ["/ws-user-ann/mcp/closed/mcp", "/ws-user-ann/mcp"])
async def test_a_method_of_mcp_gives_strangers_nothing(world: World, method: str, url: str) -> None:
    stranger = {"authorization": f"Bearer {world.tokens['eve']}"}
    for headers in (stranger, {}):
        answer = await world.mcp(url, method, headers)
        assert answer.status_code in REFUSED
        assert answer.json()["error"]["message"].startswith(("No service '", "No workspace '"))
        assert CLOSED not in answer.text


def test_every_function_that_the_gateway_offers_has_a_row() -> None:
    app = create_app(Settings(ephemeral=True, port=9527, enable_local_auth=True))
    parts: Parts = app.state.parts
    offered = {
        f"{service.id.workspace}/{service.id.service_id}": set(service.functions)
        for workspace in ("public", "ws-user-root")
        for service in parts.registry.in_workspace(workspace)
    }
    assert offered == {name: set(rows) for name, rows in SERVICES.items()}


OF_SERVICES = [
    (service, function)
    for service, rows in SERVICES.items()
    for function, row in rows.items()
    if not isinstance(row, Anybody)
]
IN_ANN = {"name": "n", "workspace": "ws-user-ann"}
FUNCTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "add": {**IN_ANN, "config": {"url": "https://x.example/mcp"}},
    "list": {"workspace": "ws-user-ann"},
    "set_credential": {**IN_ANN, "credential": "c"},
    **dict.fromkeys(("remove", "status", "restart", "log_out", "approve"), IN_ANN),
    "delete_credential": IN_ANN,
    "kickout_client": {"workspace": "ws-user-ann", "client_id": "provider"},
    "unload_workspace": {"workspace": "ws-user-ann"},
    "block_user": {"user_id": "ann"},
    "unblock_user": {"user_id": "ann"},
    "block_ip": {"ip": "203.0.113.7"},
    "unblock_ip": {"ip": "203.0.113.7"},
}


@pytest.mark.parametrize(("service", "function"), OF_SERVICES)
async def test_a_function_of_the_gateway_gives_strangers_nothing(
    world: World, service: str, function: str
) -> None:
    workspace, _, name = service.partition("/")
    url = f"/{workspace}/services/{name}/{function}"
    for who in ("eve", None):
        headers = {"authorization": f"Bearer {world.tokens[who]}"} if who else {}
        body = FUNCTION_ARGUMENTS.get(function, {})
        answer = await world.http.post(url, json=body, headers=headers)
        assert answer.status_code in {403, 404}, answer.text
        assert answer.json()["code"] in {"permission_denied", "not_found"}, answer.text
