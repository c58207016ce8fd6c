"""The programs of users who log in, run as they are pasted."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypha_rpc import connect_to_server

from tests.clients.conftest import Connect
from tests.clients.gateways import SERVE, Gateway, started
from tests.clients.programs import Program, running

GUIDE = Path(__file__).parent / "guide" / "logging_in.md"
BLOCKS = {
    title: (language, code)
    for title, language, code in re.findall(
        r"^## (.+?)\n[^`]*```(\w+)\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
}
WAYS = ["Log in, with asyncio", "Log in, without asyncio", "Log in, in JavaScript"]
ROOT_TOKEN = "root-" * 8
STARTUP = "Know who calls"
OPENS_WINDOWS = (
    "data:text/javascript,"
    "globalThis.window=Object.assign(new EventTarget(),{open:(url)=>console.log(url)})"
)
"""What a page has and Node.js has not."""

Pasted = Callable[..., AbstractAsyncContextManager[Program]]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the startup function of the guide, and the administrator that it has."""
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "startup.py").write_text(BLOCKS[STARTUP][1])
    function = f"{directory}/startup.py:start_service"
    options = ("--root-token", ROOT_TOKEN, "--startup-functions", function)
    with started(directory, {}, (*SERVE, *options)) as gateway:
        yield gateway
        assert gateway.end() == 0, gateway.written()


@pytest.fixture
def pasted(request: pytest.FixtureRequest, gateway: Gateway, tmp_path: Path) -> Pasted:
    """Run a program of the guide, by the title it has there, with more put in."""

    def run(title: str, **filled_in: str) -> AbstractAsyncContextManager[Program]:
        language, code = BLOCKS[title]
        for placeholder, value in {"http://localhost:9527": gateway.url, **filled_in}.items():
            code = code.replace(placeholder, value)
        if language == "python":
            file = tmp_path / "program.py"
            file.write_text(code, encoding="utf-8")
            return running(sys.executable, file)
        file = tmp_path / "program.js"
        file.write_text(code, encoding="utf-8")
        window = ("--import", OPENS_WINDOWS) if "window." in code else ()
        return running(*request.getfixturevalue("node"), *window, file)

    return run


async def log_in(program: Program, http: httpx.AsyncClient, token: str) -> str:
    """Open the address that the program shows, and log in there; returns the address."""
    line = await program.line("/public/apps/hypha-login/?key=")
    match = re.search(r"http\S+", line)
    assert match is not None
    page = await http.get(match[0])
    assert page.status_code == 200
    given = {"key": httpx.URL(match[0]).params["key"], "token": token}
    reported = await http.post("/public/services/hypha-login/report", json=given)
    assert reported.status_code == 200, reported.text
    return match[0]


async def printed(program: Program, label: str) -> str:
    return (await program.line(label)).partition(label)[2]


async def token_of(http: httpx.AsyncClient, workspace: str, **config: Any) -> str:
    """A token of the administrator's for a workspace, which is made if it is not there."""
    headers = {"authorization": f"Bearer {ROOT_TOKEN}"}
    made = {"config": {"id": workspace, "persistent": True}, "overwrite": True}
    answer = await http.post("/public/services/ws/create_workspace", json=made, headers=headers)
    assert answer.status_code == 200, answer.text
    config = {"workspace": workspace, "permission": "admin", **config}
    minted = await http.post(
        "/public/services/ws/generate_token", json={"config": config}, headers=headers
    )
    return str(minted.json())


def test_every_program_of_the_guide_is_run() -> None:
    others = ["in Python", "in JavaScript"]
    rest = ["Log in and offer, in JavaScript", "Log in for a workspace", STARTUP, "Use by URL"]
    kept = [f"Keep environment variables, {language}" for language in others]
    assert sorted(BLOCKS) == sorted([*WAYS, *rest, *kept])


@pytest.mark.parametrize("way", WAYS)
async def test_a_program_logs_in_and_connects(
    pasted: Pasted, http: httpx.AsyncClient, way: str
) -> None:
    token = await token_of(http, "my-lab")
    async with pasted(way) as program:
        await log_in(program, http, token)
        assert await program.line("Connected as authenticated user!")
        assert await printed(program, "Workspace: ") == "my-lab"


async def test_a_page_logs_in_and_offers_a_service(pasted: Pasted, http: httpx.AsyncClient) -> None:
    token = await token_of(http, "my-lab")
    async with pasted("Log in and offer, in JavaScript") as program:
        await log_in(program, http, token)
        assert (await printed(program, "registered at workspace: ")).startswith(
            "my-lab, id: my-lab/"
        )
        url = await printed(program, "via the HTTP proxy: ")
        assert (await http.get(url)).json() == "Hello John"
        await program.line("Hello John")


async def test_a_program_logs_in_for_the_workspace_that_it_names(
    pasted: Pasted, http: httpx.AsyncClient
) -> None:
    await token_of(http, "my-workspace")
    async with pasted("Log in for a workspace") as program:
        url = await log_in(program, http, ROOT_TOKEN)
        assert url.endswith("&workspace=my-workspace&expires_in=3600")
        assert await printed(program, "Workspace: ") == "my-workspace"
        assert await program.end() == 0


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        (
            "Keep environment variables, in Python",
            "{'DATABASE_URL': 'postgres://localhost:5432/mydb'}",
        ),
        (
            "Keep environment variables, in JavaScript",
            "{ DATABASE_URL: 'postgres://localhost:5432/mydb' }",
        ),
    ],
)
async def test_a_workspace_keeps_environment_variables(
    pasted: Pasted, http: httpx.AsyncClient, title: str, shown: str
) -> None:
    workspace = f"env-{title[-6:].lower()}"
    token = await token_of(http, workspace, permission="read_write")
    async with pasted(title, **{"your-token-here": token}) as program:
        assert await printed(program, "Database URL: ") == "postgres://localhost:5432/mydb"
        assert await printed(program, "All variables: ") == shown
    reader = await token_of(http, workspace, permission="read")
    refused = await http.get(
        f"/{workspace}/services/ws/get_env", headers={"authorization": f"Bearer {reader}"}
    )
    assert refused.status_code == 403


async def test_a_service_of_a_startup_function_knows_who_calls(
    gateway: Gateway, http: httpx.AsyncClient
) -> None:
    path = "/public/services/test-service/test"
    refused = await http.get(f"{path}?x=1")
    assert "User None is not authorized to access this service." in refused.json()["detail"]
    ada = await token_of(http, "ada-lab", email="ada@example.org")
    async with connect_to_server({"server_url": gateway.url, "token": ada}) as server:
        await (await server.get_service("public/test-service")).test("x")
    bob = await token_of(http, "bob-lab", email="bob@example.org")
    async with connect_to_server({"server_url": gateway.url, "token": bob}) as server:
        service = await server.get_service("public/test-service")
        with pytest.raises(Exception, match=r"User bob@example\.org is not authorized"):
            await service.test("x")


async def test_a_service_is_used_by_its_url(pasted: Pasted, connect: Connect) -> None:
    server = await connect()
    await server.register_service(
        {
            "id": "hello-world",
            "config": {"visibility": "public"},
            "hello": lambda name: f"Hello {name}!",
        }
    )
    names = {"WORKSPACE": server.config.workspace, "CLIENTID": server.config.client_id}
    async with pasted("Use by URL", **names) as program:
        assert await program.line("Hello World!")
