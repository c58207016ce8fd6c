"""MCP servers at URLs, of both eras, and the credentials that they are shown."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.server.mcpserver import Context, MCPServer
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.app import Parts, create_app
from gateway.edge.middleware import Edge
from gateway.settings import Settings
from gateway.upstreams.supervisor import State
from schema.errors import CallTimeout, ProviderGone, ServiceError, Unauthenticated
from schema.identity import Caller, Permission, User
from schema.identity import Scope as Rights
from tests.clients.gateways import free_port
from tests.gateway.peer import Peer
from tests.gateway.upstreams.conftest import ROOT, Older, Run, call, find, listening, status, until

STATIC = "Bearer canary-static-1"
ANN = "canary-of-ann-2"
SENT = "canary-sent-along-3"
HEADERS = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "headers", "arguments": {}},
}
ROOT_TOKEN = "canary-root-token-4-and-thirty-two-characters"


def server() -> MCPServer:
    made = MCPServer("demo", log_level="CRITICAL")

    @made.tool()
    def add(a: int, b: int) -> int:
        return a + b

    @made.tool()
    def headers(ctx: Context) -> dict[str, str]:
        return dict(ctx.headers or {})

    @made.tool()
    async def wait() -> str:
        await asyncio.sleep(60)
        return "done"

    @made.tool()
    async def renew(ctx: Context) -> str:
        made.add_tool(lambda: "new", name="newcomer")
        await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return "renewed"

    return made


@asynccontextmanager
async def serving(era: str, port: int = 0) -> AsyncIterator[int]:
    """The port of a server that has just been started."""
    app: ASGIApp = server().streamable_http_app()
    app = Older(app) if era == "older" else app
    async with listening(app, port=port, timeout_graceful_shutdown=0) as bound:
        yield bound


@pytest.fixture(params=["newer", "older"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def entry(port: int, **more: Any) -> dict[str, Any]:
    return {"type": "http", "url": f"http://127.0.0.1:{port}/mcp", **more}


async def test_a_server_of_either_era_is_called(run: Run, era: str) -> None:
    async with serving(era) as port:
        parts = await run({"demo": entry(port)})
        assert await call(parts, "add", a=1, b=2) == 3
        spoken = status(parts).status()["protocol_version"]
        assert spoken == ("2026-07-28" if era == "newer" else "2025-11-25")
        await parts.close()


async def test_a_change_of_its_tools_is_seen(run: Run, era: str) -> None:
    async with serving(era) as port:
        parts = await run({"demo": entry(port)})
        await find(parts)
        await call(parts, "renew")
        await until(lambda: "newcomer" in status(parts).status()["tools"])
        assert await call(parts, "newcomer") == "new"
        await parts.close()


async def test_a_server_that_goes_and_comes_back_needs_no_help(
    run: Run, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.upstreams.server.RECOVERY_SECONDS", 0.5)
    async with AsyncExitStack() as first:
        port = await first.enter_async_context(serving(era, free_port()))
        parts = await run({"demo": entry(port)})
        assert await call(parts, "add", a=1, b=2) == 3
        waiting = asyncio.create_task(call(parts, "wait"))
        await asyncio.sleep(0.2)
        await first.aclose()
        with pytest.raises((ProviderGone, ServiceError)):
            await waiting
    with pytest.raises(ProviderGone):
        await call(parts, "add", a=1, b=2)
    async with serving(era, port):
        await until(lambda: status(parts).supervisor.state is State.RUNNING)
        assert await call(parts, "add", a=2, b=2) == 4
        await parts.close()


async def test_a_server_that_says_nothing_is_given_up(run: Run, era: str) -> None:
    async with serving(era) as port:
        parts = await run({"demo": entry(port, timeout=1)})
        with pytest.raises(CallTimeout, match=r"sent nothing for 1 s"):
            await call(parts, "wait")
        await parts.close()


# Credentials


def caller(name: str) -> Caller:
    rights = Rights({"public": Permission.READ}, current_workspace="public")
    return Caller(User(name, scope=rights), "public")


async def seen(parts: Parts, by: Caller = ROOT) -> dict[str, str]:
    """The headers that the server sees."""
    service = await find(parts, caller=by)
    found = await parts.gateway.call(by, service, "headers")
    assert isinstance(found, dict)
    return found


async def manage(parts: Parts, by: Caller, function: str, *args: Any) -> Any:
    service = await parts.gateway.find_service(by, "public", "mcp-servers")
    return await parts.gateway.call(by, service, function, args)


async def test_each_user_may_store_a_credential_that_only_their_calls_carry(
    run: Run, era: str, tmp_path: Path
) -> None:
    ann, bob = caller("ann"), caller("bob")
    async with serving(era) as port:
        data = {"ephemeral": False, "data_dir": tmp_path / "data"}
        parts = await run({"demo": entry(port, headers={"authorization": STATIC})}, **data)
        await manage(parts, ann, "set_credential", "demo", ANN)
        assert (await seen(parts, ann))["authorization"] == f"Bearer {ANN}"
        assert (await seen(parts, bob))["authorization"] == STATIC
        assert ANN not in str(await manage(parts, ROOT, "status", "demo"))
        for file in (tmp_path / "data").iterdir():
            assert ANN.encode() not in file.read_bytes()
        assert await manage(parts, ann, "delete_credential", "demo") is True
        assert (await seen(parts, ann))["authorization"] == STATIC
        assert await manage(parts, ann, "delete_credential", "demo") is False
        await parts.close()


async def test_a_server_may_want_a_credential_of_every_user(run: Run) -> None:
    ann = caller("ann")
    async with serving("newer") as port:
        parts = await run({"demo": entry(port, auth="user")})
        with pytest.raises(Unauthenticated, match="set_credential"):
            await seen(parts, ann)
        await manage(parts, ann, "set_credential", "demo", "Basic abc")
        assert (await seen(parts, ann))["authorization"] == "Basic abc"
        await parts.close()


async def test_a_credential_does_not_move_with_the_server_to_another_host(
    run: Run, tmp_path: Path
) -> None:
    ann = caller("ann")
    data = {"ephemeral": False, "data_dir": tmp_path / "data"}
    async with serving("newer") as port, serving("newer") as other:
        parts = await run({"demo": entry(port)}, **data)
        await manage(parts, ann, "set_credential", "demo", ANN)
        await parts.close()
        parts = await run({"demo": entry(other)}, **data)
        assert "authorization" not in await seen(parts, ann)
        await parts.close()


@asynccontextmanager
async def edge(tmp_path: Path, servers: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """The whole gateway with all its doors."""
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    app = create_app(Settings(port=9527, ephemeral=True, mcp_config=file, root_token=ROOT_TOKEN))
    upstreams = app.state.parts.upstreams
    await upstreams.start()
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as http:
            yield http
    finally:
        await upstreams.close()


async def test_a_caller_may_send_a_credential_along_and_the_token_for_the_gateway_stays_there(
    tmp_path: Path, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(era) as port, edge(tmp_path, {"demo": entry(port)}) as http:
        sent = {
            "Authorization": f"Bearer {ROOT_TOKEN}",
            "X-Upstream-Demo-Authorization": f"Bearer {SENT}",
            "X-Upstream-Other-Authorization": "Bearer for-another",
        }
        by_http = await http.post("/public/services/demo/headers", headers=sent)
        assert by_http.json()["authorization"] == f"Bearer {SENT}"
        by_mcp = await http.post("/public/mcp/demo/mcp", headers=sent, json=HEADERS)
        structured = json.loads(by_mcp.json()["result"]["content"][0]["text"])
        assert structured["authorization"] == f"Bearer {SENT}"
        del sent["X-Upstream-Demo-Authorization"]
        plain = (await http.post("/public/services/demo/headers", headers=sent)).json()
        assert "authorization" not in plain
        for headers in (by_http.json(), structured, plain):
            assert ROOT_TOKEN not in str(headers)
            assert "x-upstream" not in str(headers).lower()
            assert "for-another" not in str(headers)
    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("gateway", "mcp_bridge"))]
    assert SENT not in str(ours)
    assert ROOT_TOKEN not in str(ours)


async def test_what_a_user_has_stored_goes_with_the_calls_of_that_user_from_every_door(
    tmp_path: Path, era: str
) -> None:
    async with serving(era) as port, edge(tmp_path, {"demo": entry(port)}) as http:
        transport = http._transport
        assert isinstance(transport, httpx.ASGITransport)
        parts: Parts = transport.app.state.parts  # type: ignore[attr-defined]
        tokens = {n: parts.tokens.issue(User(n), expires_in_seconds=3600) for n in ("ann", "bob")}
        stored = await http.post(
            "/public/services/mcp-servers/set_credential",
            json={"name": "demo", "credential": ANN, "workspace": "public"},
            headers={"Authorization": f"Bearer {tokens['ann']}"},
        )
        assert stored.status_code == 200, stored.text
        for name, carried in (("ann", f"Bearer {ANN}"), ("bob", None)):
            headers = {"Authorization": f"Bearer {tokens[name]}"}
            by_http = (await http.post("/public/services/demo/headers", headers=headers)).json()
            by_mcp = await http.post("/public/mcp/demo/mcp", headers=headers, json=HEADERS)
            structured = json.loads(by_mcp.json()["result"]["content"][0]["text"])
            peer = await Peer.join(parts, token=tokens[name])
            service = await peer.manager("get_service", "public/demo")
            function = service["headers"]
            by_socket = await peer.call(function["_rtarget"], function["_rmethod"])
            for seen_there in (by_http, structured, by_socket):
                assert seen_there.get("authorization") == carried
                assert tokens[name] not in str(seen_there)


async def test_nothing_behind_the_edge_sees_what_was_sent_for_an_upstream() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    outermost = create_app(Settings(port=9527, ephemeral=True)).middleware_stack
    assert isinstance(outermost, Edge)
    outermost.app = app
    transport = httpx.ASGITransport(outermost)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        sent = {"X-Upstream-Demo-Authorization": SENT, "X-UPSTREAM-b-Authorization": SENT}
        await http.get("/", headers=sent)
    assert SENT not in str(seen[0])
