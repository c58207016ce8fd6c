"""The official MCP client logs in by itself, at the authorization server of a real gateway."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.certificates import Authority
from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway, free_port
from tests.clients.oauth_user import ASKED_TWICE, CALLBACK, Kept, User, logged_in, mcp_client
from tests.clients.programs import running
from tests.secure_site import secure_site

ROOT_TOKEN = "root-" * 8
HERE = Path(__file__).parent
SCRIPTS, NODE = HERE / "scripts", HERE / "mcp_node"
SUITE = HERE / "conformance/node_modules/conformance/dist/index.js"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
CALL = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "read", "arguments": {"page": 3}},
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def settings(authority: Authority) -> dict[str, str]:
    return {
        "POLYPORT_OAUTH_SERVER": "1",
        "POLYPORT_OAUTH_PRIVATE_CLIENTS": "1",
        "POLYPORT_ROOT_TOKEN": ROOT_TOKEN,
        "SSL_CERT_FILE": str(authority.certificate),
    }


@pytest.fixture
async def owner(connect: Connect) -> Any:
    """A user with a protected service."""
    server = await connect(token=ROOT_TOKEN)
    await server.register_service(
        {
            "id": "diary",
            "name": "Diary",
            "config": {"visibility": "protected", "require_context": True},
            "read": lambda page=1, context=None: f"page {page} for {context['user']['id']}",
        }
    )
    return server


async def said(client: Client, **arguments: Any) -> str:
    [block] = (await client.call_tool("read", arguments)).content
    assert block.type == "text"
    return block.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_official_client_logs_in_by_itself(
    gateway: Gateway, owner: Any, http: Any, host: str
) -> None:
    base = gateway.url.replace("127.0.0.1", host)
    url = f"{base}/{owner.config.workspace}/mcp/diary/mcp"
    user = User(http, await owner.generate_token())
    kept = Kept()
    async with mcp_client(url, user.provider(url, kept)) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["read"]
        assert (await said(client, page=2)).startswith("page 2 for ")
    [page] = user.pages
    assert "Probe wants to act for you" in page
    assert f"the service diary in the workspace {owner.config.workspace}" in page
    assert kept.tokens is not None
    assert kept.tokens.scope == "read"
    # Later: the token that it has kept, or a fresh one for the refresh token.
    other = User(http, "none")
    async with mcp_client(url, other.provider(url, kept)) as client:
        assert (await said(client)).startswith("page 1")
    before = kept.tokens
    later = other.provider(url, kept)
    later.context.token_expiry_time = 1.0  # long ago
    async with mcp_client(url, later) as client:
        assert (await said(client)).startswith("page 1")
    assert kept.tokens.access_token != before.access_token
    assert kept.tokens.refresh_token != before.refresh_token
    assert other.pages == []


async def test_a_client_that_publishes_what_it_is_does_not_register(
    gateway: Gateway, owner: Any, http: Any, authority: Authority
) -> None:
    url = f"{gateway.url}/{owner.config.workspace}/mcp/diary/mcp"
    user = User(http, await owner.generate_token())
    kept = Kept()
    async with secure_site(authority.context("localhost")) as site:
        address = f"https://localhost:{site.port}/client.json"
        about = {
            "client_id": address,
            "client_name": "Published",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
        }
        site.shows(json.dumps(about).encode(), "cache-control: max-age=600")
        async with mcp_client(url, user.provider(url, kept, published=address)) as client:
            assert (await said(client)).startswith("page 1")
        assert len(site.requests) == 1  # it is remembered for as long as it says
    assert kept.client is not None
    assert kept.client.client_id == address
    [page] = user.pages
    assert "Published wants to act for you" in page
    assert f"It is published at localhost:{site.port}." in page


async def test_the_official_client_asks_for_more_when_a_tool_needs_it(
    gateway: Gateway, owner: Any, http: Any
) -> None:
    url = f"{gateway.url}/{owner.config.workspace}/mcp/ws/mcp"
    user = User(http, await owner.generate_token())
    kept = Kept()
    async with mcp_client(url, user.provider(url, kept)) as client:
        assert kept.tokens is not None
        assert kept.tokens.scope == "read"
        await client.call_tool("set_env", {"key": "COLOUR", "value": "green"})
    assert kept.tokens.scope == "read read_write"
    assert await owner.get_env("COLOUR") == "green"
    asked = [re.search(r"There it could</dt><dd>(.+?)</dd>", page) for page in user.pages]
    assert [match[1] for match in asked if match] == [
        "see its services, who is connected, and events",
        "see its services, who is connected, and events; change services; "
        "read and set environment variables",
    ]


async def test_the_client_of_the_handshake_era_logs_in_and_asks_for_more(
    gateway: Gateway, owner: Any, http: Any, mcp1_python: Path
) -> None:
    url = f"{gateway.url}/{owner.config.workspace}/mcp/ws/mcp"
    user = User(http, await owner.generate_token())
    async with running(mcp1_python, SCRIPTS / "mcp1_login.py", url) as program:
        assert await logged_in(program, user) == ASKED_TWICE
    assert len(user.pages) == 2


async def test_the_client_in_typescript_logs_in_and_asks_for_more(
    gateway: Gateway, owner: Any, http: Any, programs: Path
) -> None:
    url = f"{gateway.url}/{owner.config.workspace}/mcp/ws/mcp"
    user = User(http, await owner.generate_token())
    async with running("node", NODE / "login.mjs", url) as program:
        assert await logged_in(program, user) == ASKED_TWICE
    assert len(user.pages) == 2


async def test_mcp_remote_logs_in_for_a_client_that_starts_programs(
    gateway: Gateway, owner: Any, http: Any, programs: Path, tmp_path: Path
) -> None:
    url = f"{gateway.url}/{owner.config.workspace}/mcp/diary/mcp"
    user = User(http, await owner.generate_token())
    remote = (programs / "mcp-remote", url, "--allow-http")
    environment = {"MCP_REMOTE_CONFIG_DIR": str(tmp_path), "BROWSER": "true"}
    async with running("node", *remote, **environment) as program:
        shown = await program.line(f"{gateway.url}/oauth/authorize?")
        await program.line("Waiting for authorization")
        back = await http.get(await user.follow(shown.strip()))
        assert back.status_code == 200, back.text
        for message in (INITIALIZE, CALL):
            await program.tell(json.dumps(message))
            while "result" not in (answer := await program.value()):
                pass
    assert answer["result"]["content"][0]["text"].startswith("page 3 for ")
    assert "MCP CLI Proxy" in user.pages[0]


async def test_a_user_who_refuses_is_heard(gateway: Gateway, owner: Any, http: Any) -> None:
    url = f"{gateway.url}/{owner.config.workspace}/mcp/diary/mcp"
    user = User(http, await owner.generate_token(), decision="deny")
    with pytest.raises(BaseException):  # noqa: B017 - an exception group of the client's
        async with mcp_client(url, user.provider(url)):
            pass
    assert user.answer["error"] == "access_denied"
    assert CALLBACK not in user.answer.values()


async def test_the_conformance_suite_for_authorization_servers_passes(
    gateway: Gateway, http: Any
) -> None:
    if not SUITE.exists():
        pytest.skip("There is no conformance/node_modules: `make test-environments` installs it")
    port = free_port()
    callback = f"http://127.0.0.1:{port}/callback"
    metadata = {"redirect_uris": [callback], "token_endpoint_auth_method": "none"}
    client = (await http.post("/oauth/register", json=metadata)).json()
    options = {
        "--url": gateway.url,
        "--client-id": client["client_id"],
        "--resource": f"{gateway.url}/public/mcp/hypha-login/mcp",
        "--port": str(port),
    }
    command = [word for option in options.items() for word in option]
    async with running("node", SUITE, "authorization", *command) as suite:
        url = await suite.line(f"{gateway.url}/oauth/authorize?")
        await http.get(await User(http, ROOT_TOKEN).follow(url.strip()))
        assert await suite.line("Total: ") == "Total: 3 passed, 0 failed"
        assert await suite.end() == 0
