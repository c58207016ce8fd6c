"""The stdio bridge logs its user in, at the authorization server of a real gateway."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypha_rpc import connect_to_server
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mcp_bridge.login import Entry, Login
from mcp_bridge.stdio.connection import Remote
from mcp_bridge.stdio.relay import Relay
from tests.clients.conftest import mcp1_python
from tests.clients.gateways import ROOT, Gateway, started
from tests.clients.oauth_user import User

ROOT_TOKEN = "root-" * 8
MCP1_CLIENT = ROOT / "tests/clients/scripts/mcp1_stdio.py"
TEST_SECONDS = 120.0
"""For a test; programs start slowly on a busy machine."""
__all__ = ["mcp1_python"]  # a fixture

LOGIN_PAGE = "/oauth/authorize?"
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "c", "version": "1"},
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {"POLYPORT_OAUTH_SERVER": "1", "POLYPORT_ROOT_TOKEN": ROOT_TOKEN}
    with started(tmp_path_factory.mktemp("gateway"), settings) as gateway:
        yield gateway
        assert gateway.end() == 0, gateway.written()


@pytest.fixture
async def owner(gateway: Gateway) -> AsyncIterator[Any]:
    """A user with a protected service."""
    async with connect_to_server({"server_url": gateway.url, "token": ROOT_TOKEN}) as server:
        await server.register_service(
            {
                "id": "diary",
                "config": {"visibility": "protected", "require_context": True},
                "read": lambda page=1, context=None: f"page {page} for {context['user']['id']}",
            }
        )
        yield server


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=TEST_SECONDS) as client:
        yield client


class Person(User):
    """A user of programs that tell them where to log in."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        super().__init__(http, token)
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.waits: asyncio.Queue[str] = asyncio.Queue()
        self.heard: list[str] = []

    def tell(self, line: str) -> None:
        """What a program writes."""
        self.heard.append(line)
        if LOGIN_PAGE in line:
            self.told.put_nowait(line.split()[-1])
        if line.endswith("waiting for it"):
            self.waits.put_nowait(line)

    async def log_in(self) -> str:
        """As the next program that wants it asks; returns the page at the end."""
        async with asyncio.timeout(TEST_SECONDS):
            url = await self.told.get()
        page = await self.http.get(await self.follow(url))
        assert page.status_code == 200, page.text
        return page.text

    @property
    def logins(self) -> int:
        """How often they were asked."""
        return sum(LOGIN_PAGE in line for line in self.heard)


@pytest.fixture
async def person(owner: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("BROWSER", "none")
    return Person(http, await owner.generate_token())


class Line:
    """One MCP client's pipes to a bridge in this process."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answers: dict[Any, asyncio.Future[Any]] = {}

    def __aiter__(self) -> Line:
        return self

    async def __anext__(self) -> bytes:
        line = await self.sent.get()
        if line is None:
            raise StopAsyncIteration
        return line

    def written(self, line: bytes) -> None:
        message = orjson.loads(line)
        if "method" not in message:
            self._answers.pop(message["id"]).set_result(message)

    def ask(self, method: str, params: Any = None, id: int = 1) -> asyncio.Future[Any]:
        answer = self._answers[id] = asyncio.get_running_loop().create_future()
        self.tell(method, params, id=id)
        return answer

    def tell(self, method: str, params: Any, **more: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}, **more}
        self.sent.put_nowait(orjson.dumps(message))

    def call(self, tool: str = "read", id: int = 1, **arguments: Any) -> asyncio.Future[Any]:
        return self.ask("tools/call", {"name": tool, "arguments": arguments, "_meta": META}, id)


class Bridges:
    """Bridges of one user to one endpoint."""

    def __init__(self, url: str, place: Path, person: Person) -> None:
        self.url = url
        self.place = place
        self.person = person

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Line]:
        """A bridge in this process, as if it were alone in one of its own."""
        line = Line()
        login = Login(self.url, Entry(self.url, self.place), self.person.tell)
        async with httpx.AsyncClient(timeout=TEST_SECONDS) as http:

            async def there() -> Remote:
                return Remote(self.url, login=login)

            running = asyncio.create_task(Relay(there, http, line.written).run(line))
            yield line
            line.sent.put_nowait(None)
            await running

    @property
    def file(self) -> Path:
        [file] = self.place.glob("*.json")
        return file

    @property
    def tokens(self) -> Any:
        return json.loads(self.file.read_text())["record"]["current_tokens"]

    def spoil(self, **tokens: str) -> None:
        """Change what is kept, as if it were of long ago."""
        kept = json.loads(self.file.read_text())
        kept["record"]["current_tokens"].update(tokens)
        self.file.write_text(json.dumps(kept))

    @asynccontextmanager
    async def program(self, *words: str) -> AsyncIterator[tuple[str, list[str], dict[str, str]]]:
        """The words and the environment of a bridge that is a program."""
        given = ["-m", "gateway", "stdio", "--url", self.url, *words]
        environment = {**os.environ, "POLYPORT_LOGIN_DIR": str(self.place), "BROWSER": "none"}
        yield sys.executable, given, environment


@pytest.fixture
def bridges(gateway: Gateway, owner: Any, tmp_path: Path, person: Person) -> Bridges:
    url = f"{gateway.url}/{owner.config.workspace}/mcp/diary/mcp"
    return Bridges(url, tmp_path / "logins", person)


def text_of(answer: Any) -> str:
    return str(answer["result"]["content"][0]["text"])


async def test_a_request_waits_until_its_user_has_logged_in(
    bridges: Bridges, person: Person
) -> None:
    async with bridges.one() as line:
        answers = [line.call(id=1), line.call(id=2, page=2)]
        assert "You can close this page" in await person.log_in()
        assert [text_of(await a).split(" for ")[0] for a in answers] == ["page 1", "page 2"]
    assert person.logins == 1
    assert "Polyport wants to act for you" in person.pages[0]


async def test_what_is_kept_is_for_the_user_alone(bridges: Bridges, person: Person) -> None:
    async with bridges.one() as line:
        answer = line.call()
        await person.log_in()
        await answer
    assert stat.S_IMODE(bridges.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(bridges.place.stat().st_mode) == 0o700
    secrets = [bridges.tokens["access_token"], bridges.tokens["refresh_token"]]
    assert not any(secret in line for secret in secrets for line in person.heard)


async def test_another_time_nobody_is_asked(bridges: Bridges, person: Person) -> None:
    async with bridges.one() as line:
        answer = line.call()
        await person.log_in()
        await answer
    async with bridges.one() as line:
        assert text_of(await line.call(page=5)).startswith("page 5")
    assert person.logins == 1


async def test_a_token_that_has_expired_is_refreshed(bridges: Bridges, person: Person) -> None:
    async with bridges.one() as line:
        answer = line.call()
        await person.log_in()
        await answer
        before = bridges.tokens
    bridges.spoil(access_token="expired")
    async with bridges.one() as line, bridges.one() as other:
        answers = [line.call(), line.call(id=2), other.call(), other.call(id=2)]
        assert all([text_of(await answer).startswith("page 1") for answer in answers])
    assert person.logins == 1
    after = bridges.tokens
    assert "expired" != after["access_token"] != before["access_token"]
    assert after["refresh_token"] != before["refresh_token"]


async def test_when_the_refresh_token_is_no_good_the_user_logs_in_again(
    bridges: Bridges, person: Person
) -> None:
    async with bridges.one() as line:
        answer = line.call()
        await person.log_in()
        await answer
    bridges.spoil(access_token="expired", refresh_token="expired")
    async with bridges.one() as line:
        answer = line.call()
        await person.log_in()
        assert text_of(await answer).startswith("page 1")
    assert person.logins == 2


async def test_a_refusal_is_one_line_and_nobody_is_asked_over_and_over(
    bridges: Bridges, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    person.decision = "deny"
    async with bridges.one() as line:
        answer = line.call()
        assert "You are not logged in" in await person.log_in()
        said = (await answer)["error"]["message"]
        assert (await line.call(id=2))["error"]["message"] == said
    assert said.endswith("has failed: it was refused in the browser (access_denied)")
    assert bridges.url in said
    assert "\n" not in said
    assert person.logins == 1
    assert caplog.records == []


async def test_two_programs_ask_once(bridges: Bridges, person: Person) -> None:
    async with bridges.one() as line, bridges.one() as other:
        answers = [line.call(), other.call()]
        await person.waits.get()
        await person.log_in()
        assert all([text_of(await answer).startswith("page 1") for answer in answers])
    assert person.logins == 1


async def test_when_it_is_refused_the_other_program_does_not_ask_again(
    bridges: Bridges, person: Person
) -> None:
    person.decision = "deny"
    async with bridges.one() as line, bridges.one() as other, bridges.one() as third:
        answers = [line.call(), other.call(), third.call()]
        url = await person.told.get()
        for _ in range(2):
            await person.waits.get()
        await person.http.get(await person.follow(url))
        said = {(await answer)["error"]["message"] for answer in answers}
    assert len(said) == 1
    assert person.logins == 1


async def test_when_the_program_that_asks_ends_the_other_one_asks(
    bridges: Bridges, person: Person
) -> None:
    async with bridges.one() as other:
        async with bridges.one() as line:
            line.call()
            await person.told.get()
            answer = other.call()
        await person.log_in()
        assert text_of(await answer).startswith("page 1")
    assert person.logins == 2


async def test_meanwhile_other_messages_are_heeded(bridges: Bridges, person: Person) -> None:
    async with bridges.one() as line:
        assert "serverInfo" in (await line.ask("initialize", INITIALIZE))["result"]
        cancelled, waiting = line.ask("tools/list", id=2), line.ask("tools/list", id=3)
        url = await person.told.get()
        line.tell("notifications/cancelled", {"requestId": 2})
        assert (await line.ask("ping", id=4))["result"] == {}
        await person.http.get(await person.follow(url))
        assert [tool["name"] for tool in (await waiting)["result"]["tools"]] == ["read"]
        assert not cancelled.done()


async def test_a_tool_that_needs_more_asks_for_more(
    bridges: Bridges, person: Person, owner: Any, gateway: Gateway
) -> None:
    bridges.url = f"{gateway.url}/{owner.config.workspace}/mcp/ws/mcp"
    async with bridges.one() as line:
        answer = line.call("check_status")
        await person.log_in()
        assert "result" in await answer
        assert bridges.tokens["scope"] == "read"
        answer = line.call("set_env", id=2, key="COLOUR", value="green")
        await person.log_in()
        assert "result" in await answer
        assert bridges.tokens["scope"] == "read read_write"
    assert await owner.get_env("COLOUR") == "green"
    assert person.logins == 2


# Programs


@asynccontextmanager
async def heard_by(person: Person) -> AsyncIterator[Any]:
    """A file that is the standard error of programs."""
    source, target = os.pipe()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source)
    )

    async def listen() -> None:
        while line := await reader.readline():
            person.tell(line.decode().rstrip())

    listening = asyncio.create_task(listen())
    with os.fdopen(target, "w") as file:
        yield file
    await listening


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_waits_for_its_user(
    bridges: Bridges, person: Person, mode: str
) -> None:
    async with (
        bridges.program() as (command, words, environment),
        heard_by(person) as errors,
        asyncio.TaskGroup() as tasks,
    ):
        server = StdioServerParameters(command=command, args=words, cwd=ROOT, env=environment)
        tasks.create_task(person.log_in())
        async with Client(stdio_client(server, errlog=errors), mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["read"]
            result = await client.call_tool("read", {"page": 2})
            assert str(result.content[0].model_dump()["text"]).startswith("page 2 for ")
    assert person.logins == 1
    assert len(person.heard) == 1, person.heard


async def test_the_client_of_the_handshake_era_waits_for_its_user(
    bridges: Bridges, person: Person, mcp1_python: Path
) -> None:
    async with (
        bridges.program() as (command, words, environment),
        heard_by(person) as errors,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(person.log_in())
        process = await asyncio.create_subprocess_exec(
            mcp1_python,
            MCP1_CLIENT,
            command,
            *words,
            cwd=ROOT,
            env=environment,
            stdout=PIPE,
            stderr=errors,
        )
        written, _ = await process.communicate()
    assert written.decode().startswith("page 2 for ")
    assert process.returncode == 0
    assert len(person.heard) == 1, person.heard


async def test_it_ends_with_its_input_although_nobody_has_logged_in(
    bridges: Bridges, person: Person, tmp_path: Path
) -> None:
    browser, shown, heard = (tmp_path / name for name in ("browser", "shown", "heard"))
    browser.write_text(f'#!/bin/sh\ncat > {heard}\necho "$1" > {shown}\n')
    browser.chmod(0o700)
    os.mkfifo(shown)
    async with (
        bridges.program() as (command, words, environment),
        heard_by(person) as errors,
    ):
        environment["BROWSER"] = str(browser)
        process = await asyncio.create_subprocess_exec(
            command, *words, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, stderr=errors
        )
        assert process.stdin is not None
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read"}}
        process.stdin.write(orjson.dumps(call) + b"\n")
        url = await person.told.get()
        assert await asyncio.to_thread(shown.read_text) == f"{url}\n"
        process.stdin.close()
        written, _ = await process.communicate()
    assert process.returncode == 0
    assert written == b""
    assert heard.read_bytes() == b""  # what the client says is not for the browser
    assert len(person.heard) == 1, person.heard
