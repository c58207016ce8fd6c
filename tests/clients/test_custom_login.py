"""Authentication by a startup function, with the product as it is started and the real client."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypha_rpc import login

from tests.clients.conftest import Connect
from tests.clients.gateways import SERVE, Gateway, started
from tests.patience import PATIENCE_SECONDS

STARTUP = '''
import secrets

TOKENS, LOGINS = {}, {}


def custom_generate_token(user_info, expires_in):
    token = f"own-{secrets.token_urlsafe(16)}"
    TOKENS[token] = user_info
    return token


async def custom_parse_token(token):
    if not token.startswith("own-"):
        return None  # the gateway's
    if token == "own-ada":
        return {"id": "ada", "email": "ada@example.org", "roles": ["crew"]}
    return TOKENS[token]


async def start(workspace=None, expires_in=None):
    LOGINS["one"] = None
    return {"login_url": "/public/apps/hypha-login/?key=one", "key": "one"}


async def check(key, timeout=180, profile=False):
    if LOGINS.get(key) is None:
        raise TimeoutError("Login timeout")
    return LOGINS[key]


async def report(key, token, **kwargs):
    LOGINS[key] = token


async def index(event):
    headers = {"Content-Type": "text/html"}
    return {"status": 200, "headers": headers, "body": "<h1>Our own page</h1>"}


async def hypha_startup(server):
    await server["set_parse_token_function"](custom_parse_token)
    await server["set_generate_token_function"](custom_generate_token)


async def second(server):
    """Runs with the hooks of the first."""
    await server.register_auth_service(
        start_handler=start, check_handler=check, report_handler=report, index_handler=index
    )
'''


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "custom_auth.py").write_text(STARTUP)
    functions = [f"{directory}/custom_auth.py:{name}" for name in ("hypha_startup", "second")]
    with started(directory, {}, (*SERVE, "--startup-functions", *functions)) as gateway:
        yield gateway
        assert gateway.end() == 0, gateway.written()
        assert "Traceback" not in gateway.written()


async def test_a_program_logs_in_by_the_operators_service(
    gateway: Gateway, connect: Connect
) -> None:
    pages: list[str] = []

    async def user(context: dict[str, str]) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            pages.append((await http.get(context["login_url"])).text)
            given = {"key": context["key"], "token": "own-ada"}
            assert (await http.get(context["report_url"], params=given)).status_code == 200

    token = await login({"server_url": gateway.url, "login_callback": user, "login_timeout": 30})
    assert token == "own-ada"
    assert pages == ["<h1>Our own page</h1>"]
    ada = await connect(token=token)
    assert (ada.config.user["id"], ada.config.workspace) == ("ada", "ws-user-ada")
    child = await ada.generate_token({"permission": "read"})
    assert child.startswith("own-")
    member = await connect(token=child)
    assert member.config.workspace == "ws-user-ada"
    assert (await ada.parse_token(child))["parent"] == "ada"


async def test_a_client_with_such_a_token_uses_the_http_transport(
    gateway: Gateway, connect: Connect
) -> None:
    ada = await connect(token="own-ada", transport="http")
    assert await ada.echo("there") == "there"
