"""What clients are told of an endpoint, and which URLs mean it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.app import build
from gateway.auth.oauth.resources import Resource, Resources
from gateway.extensions import ExtensionContext, load_routes
from gateway.settings import Settings
from schema.identity import Permission, Scope, User
from tests.gateway.auth.oauth.conftest import BASE, MCP, Flow
from tests.gateway.peer import Peer

WELL_KNOWN = "/.well-known/oauth-protected-resource"


async def test_whoever_comes_without_a_token_is_told_where_to_log_in(flow: Flow) -> None:
    refused = await flow.call(None)
    assert refused.status_code == 401
    header = refused.headers["www-authenticate"]
    document = f"{BASE}{WELL_KNOWN}/ws-user-alice/mcp/diary/mcp"
    assert header == f'Bearer realm="polyport", resource_metadata="{document}", scope="read"'
    found = (await flow.http.get(document)).json()
    assert found["resource"] == MCP
    assert found["authorization_servers"] == [BASE]
    assert found["scopes_supported"] == ["read", "read_write"]
    # Whether there is such an endpoint is nobody's business.
    missing = await flow.call(None, MCP.replace("diary", "nothing"))
    assert missing.status_code == 401


async def test_a_bad_token_is_told_so(flow: Flow) -> None:
    refused = await flow.call("rubbish")
    assert refused.status_code == 401
    assert 'error="invalid_token", resource_metadata="http' in refused.headers["www-authenticate"]


async def test_a_client_is_told_which_scopes_a_call_needs(flow: Flow) -> None:
    endpoint = MCP.replace("diary", "ws")

    async def call(token: str, tool: str, **arguments: Any) -> httpx.Response:
        return await flow.call(token, endpoint, "tools/call", tool, **arguments)

    token = (await flow.tokens(resource=endpoint))["access_token"]
    assert (await call(token, "check_status")).status_code == 200
    refused = await call(token, "set_env", key="COLOUR", value="green")
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"] == (
        'Bearer realm="polyport", error="insufficient_scope", '
        f'resource_metadata="{BASE}{WELL_KNOWN}/ws-user-alice/mcp/ws/mcp", scope="read read_write"'
    )
    # Nobody is sent for what no client is ever granted.
    assert (await call(token, "generate_token")).json()["result"]["isError"]
    more = (await flow.tokens(resource=endpoint, scope="read read_write"))["access_token"]
    assert "isError" not in (await call(more, "set_env", key="COLOUR", value="green")).json()
    assert (await call(more, "generate_token")).json()["result"]["isError"]
    own = flow.parts.tokens.issue(User("alice"), expires_in_seconds=3600)
    read = flow.parts.tokens.issue(
        User("alice-s", scope=Scope({"ws-user-alice": Permission.READ}), parent="alice"),
        expires_in_seconds=60,
    )
    assert "isError" not in (await call(own, "set_env", key="A", value="b")).json()
    # A token that no client has got by logging in: there is nobody to ask for more.
    assert (await call(read, "set_env", key="A", value="b")).json()["result"]["isError"]


async def test_the_manager_is_for_those_who_may_be_in_its_workspace(flow: Flow) -> None:
    endpoint = MCP.replace("diary", "ws")
    stranger = flow.parts.tokens.issue(User("bob"), expires_in_seconds=3600)
    assert (await flow.call(stranger, endpoint)).status_code == 404
    assert (await flow.call(None, endpoint)).status_code == 401
    assert (await flow.call(stranger, f"{BASE}/public/mcp/ws/mcp")).status_code == 404
    owner = await Peer.join(
        flow.parts, token=flow.parts.tokens.issue(User("alice"), expires_in_seconds=3600)
    )
    limited = await owner.manager("generate_api_key", "ci", functions=["diary/read"])
    assert (await flow.call(limited["key"], endpoint)).status_code == 404


async def test_a_public_service_needs_no_login(flow: Flow) -> None:
    assert (await flow.call(None, f"{BASE}/public/mcp/hypha-login/mcp")).status_code == 200


async def test_an_ordinary_token_is_good_as_ever(flow: Flow) -> None:
    token = flow.parts.tokens.issue(User("alice"), expires_in_seconds=3600)
    assert (await flow.call(token)).status_code == 200


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("", BASE),
        ("/ws-user-alice/mcp", f"{BASE}/ws-user-alice/mcp"),
        ("/ws-user-alice/mcp/a:b/mcp", f"{BASE}/ws-user-alice/mcp/a:b/mcp"),
        ("/ws-user-alice/mcp/diary/mcp/", MCP),
        ("/ws-user-alice/services/diary", None),
        ("/ws-user-alice/mcp/diary", None),
    ],
)
async def test_each_endpoint_has_a_document(flow: Flow, path: str, resource: str | None) -> None:
    answer = await flow.http.get(WELL_KNOWN + path)
    assert answer.status_code == (404 if resource is None else 200)
    assert answer.json().get("resource") == resource


async def test_the_document_has_the_loopback_name_that_its_client_uses(flow: Flow) -> None:
    for host, origin in (
        ("localhost:9527", "http://localhost:9527"),
        ("[::1]:9527", "http://[::1]:9527"),
        ("evil.example:9527", BASE),
        ("localhost:1", BASE),
        ("localhost:x", BASE),
    ):
        answer = await flow.http.get(f"{WELL_KNOWN}/ws-a/mcp", headers={"host": host})
        assert answer.json()["resource"] == f"{origin}/ws-a/mcp"


async def test_without_oauth_there_is_nothing_to_discover() -> None:
    from starlette.applications import Starlette  # noqa: PLC0415

    settings = Settings(ephemeral=True, port=9527)
    parts, routes = build(settings)
    context = ExtensionContext(parts.gateway, settings, parts.authentication, None)
    app = Starlette(routes=[*routes, *load_routes(["mcp_bridge", "http_proxy"], context)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        for path in (WELL_KNOWN, "/.well-known/oauth-authorization-server", "/oauth/authorize"):
            answer = await http.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"].startswith("application/json") or (
                path == "/oauth/authorize"
            )
        flow = Flow(parts, http)
        refused = await flow.call("rubbish")
        assert "resource_metadata" not in refused.headers["www-authenticate"]


def test_an_endpoint_has_one_name_for_tokens() -> None:
    resources = Resources("http://127.0.0.1:9527/base", ["https://issuer.example"])
    expected = Resource("http://127.0.0.1:9527/base/ws-a/mcp/b/mcp", "ws-a", "b")
    for url in (
        "http://127.0.0.1:9527/base/ws-a/mcp/b/mcp",
        "http://localhost:9527/base/ws-a/mcp/b/mcp/",
        "http://[::1]:9527/base/ws-a/mcp/%62/mcp",
    ):
        assert resources.parse(url) == expected
    for url in (
        "https://127.0.0.1:9527/base/ws-a/mcp",
        "http://127.0.0.1:9528/base/ws-a/mcp",
        "http://127.0.0.1:9527/ws-a/mcp",
        "http://127.0.0.1:9527/base/ws-a/mcp?x",
        "http://127.0.0.1:9527/base/ws-a/mcp#x",
        "http://example.org:9527/base/ws-a/mcp",
        "http://[",
        "",
    ):
        assert resources.parse(url) is None
