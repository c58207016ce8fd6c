"""The operator's service looks, disconnects and keeps out, on every door, and for nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import Parts, create_app
from gateway.settings import Settings
from schema.errors import Blocked, LimitExceeded
from schema.identity import Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS

ROOT_TOKEN = "r" * 40
MCP_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-06-18",
}
PROXY = "192.0.2.80"
HERE, ELSEWHERE = "198.51.100.1", "203.0.113.9"
FUNCTIONS: dict[str, dict[str, Any]] = {
    "list_servers": {},
    "list_workspaces": {},
    "get_metrics": {},
    "get_resource_usage": {},
    "list_blocked": {},
    "kickout_client": {"workspace": "ws-user-alice", "client_id": "alice"},
    "unload_workspace": {"workspace": "ws-user-alice"},
    "block_user": {"user_id": "alice"},
    "unblock_user": {"user_id": "alice"},
    "block_ip": {"ip": ELSEWHERE},
    "unblock_ip": {"ip": ELSEWHERE},
}


@pytest.fixture
def settings() -> Settings:
    return Settings(
        ephemeral=True,
        port=9527,
        root_token=ROOT_TOKEN,
        max_connections_per_user=3,
        max_clients_per_workspace=4,
        max_services_per_client=2,
        trusted_proxies=(PROXY,),
    )


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def parts(app: FastAPI) -> Parts:
    parts: Parts = app.state.parts
    return parts


@pytest.fixture
async def root(parts: Parts) -> Peer:
    return await Peer.join(parts, "operator", token=ROOT_TOKEN)


def token_of(parts: Parts, user_id: str, **user: Any) -> str:
    return parts.tokens.issue(User(user_id, **user), expires_in_seconds=600)


async def ask(root: Peer, function: str, *args: Any, **kwargs: Any) -> Any:
    address = root.parts.router.manager_address
    return await root.call(address, f"services.admin-utils.{function}", *args, **kwargs)


def http(app: FastAPI, address: str = HERE) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:9527")


async def websocket(app: FastAPI, address: str, hello: dict[str, Any]) -> list[dict[str, Any]]:
    """What a client at an address sees after its first message, until it is closed."""
    received = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": json.dumps(hello)},
    ]
    sent: list[dict[str, Any]] = []
    closed = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if received:
            return received.pop(0)
        await closed.wait()
        return {"type": "websocket.disconnect", "code": 1008}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "websocket.close":
            closed.set()

    scope = {
        "type": "websocket", "path": "/ws", "raw_path": b"/ws", "query_string": b"",
        "headers": [], "client": (address, 40000), "root_path": "", "subprotocols": [],
    }  # fmt: skip
    async with asyncio.timeout(PATIENCE_SECONDS):
        await app(scope, receive, send)  # type: ignore[arg-type]
    return sent


async def test_the_operator_finds_the_service_and_nobody_else_does(
    parts: Parts, root: Peer
) -> None:
    service = await root.manager("get_service", "ws-user-root/admin-utils")
    assert set(FUNCTIONS) <= set(service)
    alice = await Peer.join(parts, token=token_of(parts, "alice"))
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await alice.manager("get_service", "ws-user-root/admin-utils")
    assert await alice.manager("list_services", {"workspace": "ws-user-root"}) == []


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_every_function_is_for_administrators_only(
    app: FastAPI, parts: Parts, root: Peer, function: str
) -> None:
    """Neither users, nor whoever may use the operator's workspace, nor tokens minted there."""
    await root.manager("share_workspace", "ws-user-root", user_id="bob", permission="admin")
    minted = await root.manager("generate_token", {"workspace": "ws-user-root", "permission": "a"})
    arguments = FUNCTIONS[function]
    path = f"/ws-user-root/services/admin-utils/{function}"
    async with http(app) as client:
        for token in (token_of(parts, "alice"), token_of(parts, "bob"), minted):
            answer = await client.post(
                path, json=arguments, headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.status_code == 403, token
        assert (await client.post(path, json=arguments)).status_code == 403
    for token in (token_of(parts, "alice"), minted):
        peer = await Peer.join(parts, token=token)
        with pytest.raises(RemoteFailure, match="Permission denied"):
            await ask(peer, function, **arguments)
    assert parts.kept.blocks.listed() == []


async def test_an_administrator_by_role_may(app: FastAPI, parts: Parts) -> None:
    token = token_of(parts, "ada", roles=("admin",))
    async with http(app) as client:
        answer = await client.post(
            "/ws-user-root/services/admin-utils/list_servers",
            headers={"Authorization": f"Bearer {token}"},
        )
    (server,) = answer.json()
    assert server["id"] == parts.router.manager_id


async def test_it_shows_what_the_server_holds(parts: Parts, root: Peer) -> None:
    alice = await Peer.join(parts, "a", token=token_of(parts, "alice"))
    await alice.register("svc", {})
    workspaces = {w["id"]: w for w in await ask(root, "list_workspaces")}
    assert workspaces["ws-user-alice"] == {
        "id": "ws-user-alice", "name": "ws-user-alice", "description": "", "read_only": False,
        "persistent": True, "owners": ["alice"], "clients": 1, "services": 1, "members": 0,
    }  # fmt: skip
    metrics = await ask(root, "get_metrics")
    assert (metrics["connections"], metrics["users"], metrics["blocked"]) == (2, 2, 0)
    usage = await ask(root, "get_resource_usage")
    assert usage["limits"]["connections_per_user"] == 3
    assert usage["connections_per_user"] == {"alice": 1, "root": 1}
    assert usage["services_per_client"]["ws-user-alice/a"] == 1


async def test_it_disconnects_clients_and_workspaces(parts: Parts, root: Peer) -> None:
    clients = [await Peer.join(parts, f"a{n}", token=token_of(parts, "alice")) for n in range(3)]
    await ask(root, "kickout_client", "ws-user-alice", "a0", reason="maintenance")
    assert await clients[0].closed_with == (1008, "maintenance")
    clients[0].leave()
    assert await ask(root, "unload_workspace", "ws-user-alice") == {
        "disconnected_clients": ["ws-user-alice/a1", "ws-user-alice/a2"]
    }
    assert (await clients[1].closed_with)[0] == (await clients[2].closed_with)[0] == 1008
    with pytest.raises(RemoteFailure, match="There is no client"):
        await ask(root, "kickout_client", "ws-user-alice", "nobody")
    with pytest.raises(RemoteFailure, match="Not a code"):
        await ask(root, "kickout_client", "ws-user-alice", "a1", 1006)


async def test_s24_a_blocked_user_is_out_at_every_door_with_all_tokens(
    app: FastAPI, parts: Parts, root: Peer
) -> None:
    token = token_of(parts, "mallory")
    here = await Peer.join(parts, "m", token=token)
    child_token = await here.manager("generate_token")
    child = await Peer.join(parts, "child", token=child_token)
    other = await Peer.join(parts, token=token_of(parts, "alice"))
    reconnection = parts.hub.reconnection_token(child.session)

    await ask(root, "block_user", "mallory", reason="spam")
    for kicked in (here, child):
        assert await kicked.closed_with == (1008, "Access is blocked: spam")
        kicked.leave()
    assert not other.closed_with.done()
    with pytest.raises(Blocked):
        await Peer.join(parts, "child", reconnection_token=reconnection)
    async with http(app) as client:
        for used in (token, child_token):
            headers = {"Authorization": f"Bearer {used}"}
            for answer in (
                await client.get("/public/services/", headers=headers),
                await client.post(
                    "/public/mcp/hypha-login/mcp",
                    json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
                    headers=headers | MCP_HEADERS,
                ),
                await client.get("/rpc?client_id=x", headers=headers),
            ):
                assert answer.status_code == 403, answer.url
                assert "spam" in answer.text
            sent = await websocket(app, HERE, {"token": used, "client_id": "x"})
            assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", 1008)
    await ask(root, "unblock_user", "mallory")
    assert (await Peer.join(parts, "m", token=token)).workspace == "ws-user-mallory"


async def test_s24_a_blocked_address_is_out_at_every_door(
    app: FastAPI, parts: Parts, root: Peer
) -> None:
    there = await Peer.join(parts, token=token_of(parts, "alice"), remote=ELSEWHERE)
    here = await Peer.join(parts, token=token_of(parts, "alice"), remote=HERE)
    await ask(root, "block_ip", "203.0.113.0/24", 60, "scanning")
    assert await there.closed_with == (1008, "Access is blocked: scanning")
    assert not here.closed_with.done()
    async with http(app, ELSEWHERE) as client:
        for path in (
            "/public/services/",
            "/public/mcp/hypha-login/mcp",
            "/rpc?client_id=x",
            "/login",
        ):
            answer = await client.get(path, headers={"Authorization": f"Bearer {ROOT_TOKEN}"})
            assert answer.status_code == 403, path
            assert answer.json() == {
                "success": False, "code": "blocked", "detail": "Access is blocked: scanning",
            }  # fmt: skip
    sent = await websocket(app, ELSEWHERE, {"client_id": "x"})
    assert sent[-1] == {
        "type": "websocket.close", "code": 1008, "reason": "Access is blocked: scanning",
    }  # fmt: skip
    async with http(app, HERE) as client:
        assert (await client.get("/public/services/")).status_code == 200


async def test_s24_a_blocked_address_is_that_of_the_client_behind_a_trusted_proxy(
    app: FastAPI, root: Peer
) -> None:
    await ask(root, "block_ip", ELSEWHERE)
    expected = {(PROXY, ELSEWHERE): 403, (PROXY, HERE): 200, (HERE, ELSEWHERE): 200}
    for (peer, forwarded), status in expected.items():
        async with http(app, peer) as client:
            answer = await client.get("/public/services/", headers={"X-Forwarded-For": forwarded})
        assert answer.status_code == status, (peer, forwarded)


async def test_anonymous_requests_can_be_kept_out(app: FastAPI, root: Peer) -> None:
    await ask(root, "block_user", "anonymouz-http")
    async with http(app) as client:
        assert (await client.get("/public/services/")).status_code == 403


# Quotas


async def test_s40_connections_count_for_whoever_is_accountable(
    app: FastAPI, parts: Parts, root: Peer
) -> None:
    alice = await Peer.join(parts, "a", token=token_of(parts, "alice"))
    child_token = await alice.manager("generate_token")
    await Peer.join(parts, "b", token=child_token)
    last = await Peer.join(parts, "c", token=await alice.manager("generate_token"))
    for token in (token_of(parts, "alice"), child_token):
        with pytest.raises(LimitExceeded, match="Connection quota exceeded: a user can have 3"):
            await Peer.join(parts, "d", token=token)
    sent = await websocket(app, HERE, {"token": child_token, "client_id": "d"})
    assert (sent[-1]["code"], "quota exceeded" in sent[-1]["reason"]) == (1008, True)
    await Peer.join(parts, "e", token=token_of(parts, "bob"))
    reconnection = parts.hub.reconnection_token(last.session)
    again = await Peer.join(parts, "c", reconnection_token=reconnection)  # it is no further one
    again.leave()
    await Peer.join(parts, "d", token=child_token)


async def test_a_workspace_takes_so_many_clients(parts: Parts, root: Peer) -> None:
    scope = Scope({"*": Permission.READ})
    alice = await Peer.join(parts, "a", token=token_of(parts, "alice"))
    for n in range(3):
        token = token_of(parts, f"guest-{n}", scope=scope)
        await Peer.join(parts, f"g{n}", token=token, workspace=alice.workspace)
    with pytest.raises(LimitExceeded, match="Client quota exceeded"):
        token = token_of(parts, "guest-4", scope=scope)
        await Peer.join(parts, "g4", token=token, workspace=alice.workspace)


async def test_a_client_registers_so_many_services(parts: Parts) -> None:
    peer = await Peer.join(parts)
    await peer.register("built-in", {})
    for name in ("one", "two", "one"):
        await peer.register(name, {})
    with pytest.raises(RemoteFailure, match="Service quota exceeded: a client can register 2"):
        await peer.register("three", {})


@pytest.fixture(autouse=True)
async def closed(parts: Parts) -> AsyncIterator[None]:
    yield
    await parts.close()
