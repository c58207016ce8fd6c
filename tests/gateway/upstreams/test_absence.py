"""What people hear of a server that does not start, at each door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.app import Parts, create_app
from gateway.settings import Settings
from schema.errors import ServiceNotFound, Unavailable
from schema.identity import Caller, Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure
from tests.gateway.upstreams.conftest import Run, find, status, until

CANARY = "canary-of-absence"
ABSENT: dict[str, Any] = {
    "command": "/no/such/program",
    "args": [CANARY],
    "env": {"TOKEN": CANARY},
}
DISCOVER = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "server/discover",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
HEADERS = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "server/discover"}


def user(name: str, *workspaces: str) -> Caller:
    """A user who may read these workspaces."""
    rights = dict.fromkeys(workspaces, Permission.READ)
    return Caller(User(name, scope=Scope(rights)), workspaces[0])


async def failed(parts: Parts) -> None:
    """Until the server was tried. Who asks then does not wait much longer."""
    await until(lambda: status(parts).supervisor.failures > 0)


async def test_http_and_mcp_answer_503_and_say_what_is_the_matter(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"demo": {**ABSENT, "visibility": "public"}}}))
    app = create_app(Settings(port=9527, ephemeral=True, mcp_config=file))
    parts: Parts = app.state.parts
    await parts.upstreams.start()
    try:
        await failed(parts)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as web:
            http = await web.post("/public/services/demo/add", json={"a": 1})
            mcp = await web.post("/public/mcp/demo/mcp", json=DISCOVER, headers=HEADERS)
            missing = await web.post("/public/services/other/add", json={})
    finally:
        await parts.upstreams.close()
    assert (http.status_code, mcp.status_code, missing.status_code) == (503, 503, 404)
    assert http.headers["retry-after"] == mcp.headers["retry-after"] == "1"
    assert http.json()["code"] == mcp.json()["error"]["data"]["code"] == "unavailable"
    for text in (http.json()["detail"], mcp.json()["error"]["message"]):
        assert text.startswith("public/demo is not there now: the server behind it does not start")
        assert CANARY not in text


async def test_over_rpc_it_is_an_error_that_says_the_same(run: Run) -> None:
    parts = await run({"demo": ABSENT}, mcp_visibility="public")
    await failed(parts)
    ann = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match="public/demo is not there now"):
        await ann.manager("get_service", "public/demo")


async def test_the_reason_is_for_those_who_see_how_the_servers_are(run: Run) -> None:
    parts = await run({"demo": ABSENT}, mcp_visibility="public")
    await failed(parts)
    reason = status(parts).supervisor.reason
    assert reason is not None
    with pytest.raises(Unavailable) as inside:
        await find(parts, caller=user("ann", "public"))
    assert inside.value.message.endswith(f"({reason})")
    with pytest.raises(Unavailable) as outside:
        await find(parts, caller=user("bob", "elsewhere"))
    assert reason not in outside.value.message


async def test_a_server_of_which_somebody_may_know_nothing_does_not_exist(run: Run) -> None:
    parts = await run({"demo": ABSENT}, mcp_visibility="protected")
    await failed(parts)
    with pytest.raises(Unavailable):
        await find(parts, caller=user("ann", "public"))
    with pytest.raises(ServiceNotFound, match="Service not found"):
        await find(parts, caller=user("bob", "elsewhere"))


async def test_one_that_is_switched_off_does_not_exist(run: Run) -> None:
    parts = await run({"demo": {**ABSENT, "disabled": True}}, mcp_visibility="public")
    with pytest.raises(ServiceNotFound):
        await find(parts)
