"""MCP clients log in by themselves at a gateway below a path of a site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.gateways import Gateway, free_port, started
from tests.clients.oauth_user import ASKED_TWICE, User, logged_in, mcp_client
from tests.clients.programs import running

HERE = Path(__file__).parent
ROOT_TOKEN = "root-" * 8
BASE_PATH = "/gate/way"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    port = free_port()  # its public address is part of its configuration
    public = f"http://127.0.0.1:{port}{BASE_PATH}"
    options = {
        "--port": str(port),
        "--root-token": ROOT_TOKEN,
        "--base-path": BASE_PATH,
        "--public-base-url": public,
    }
    words = [word for option in options.items() for word in option]
    arguments = ("-m", "gateway.server", "--ephemeral", "--oauth-server", *words)
    with started(tmp_path_factory.mktemp("gateway"), {}, arguments) as gateway:
        gateway.url = public
        yield gateway
        assert gateway.end() == 0, gateway.written()


@pytest.fixture
def url(gateway: Gateway) -> str:
    return f"{gateway.url}/ws-user-root/mcp/ws/mcp"


async def test_the_official_client(url: str, http: httpx.AsyncClient) -> None:
    async with mcp_client(url, User(http, ROOT_TOKEN).provider(url)) as client:
        assert not (await client.call_tool("check_status", {})).is_error


async def test_the_client_of_the_handshake_era(
    url: str, http: httpx.AsyncClient, mcp1_python: Path
) -> None:
    async with running(mcp1_python, HERE / "scripts" / "mcp1_login.py", url) as program:
        assert await logged_in(program, User(http, ROOT_TOKEN)) == ASKED_TWICE


async def test_the_client_in_typescript(url: str, http: httpx.AsyncClient, programs: Path) -> None:
    async with running("node", HERE / "mcp_node" / "login.mjs", url) as program:
        assert await logged_in(program, User(http, ROOT_TOKEN)) == ASKED_TWICE


async def test_nothing_is_signed_that_clients_could_read(
    gateway: Gateway, http: httpx.AsyncClient
) -> None:
    found = (await http.get(f"{gateway.url}/.well-known/openid-configuration")).json()
    assert found["issuer"] == gateway.url
    assert "openid" not in found["scopes_supported"]
    assert (await http.get(found["jwks_uri"])).json() == {"keys": []}
