"""The requests that users paste into a shell, sent by curl as they are written in guides."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgpack
import pytest
import pytest_asyncio
from hypha_rpc import connect_to_server
from hypha_rpc.utils.schema import schema_function
from pydantic import Field

from tests.clients.gateways import SERVE, Gateway, started
from tests.patience import PATIENCE_SECONDS

ROOT_TOKEN = "root-" * 8
CURL = shutil.which("curl")
WRITTEN = ("https://ai.imjoy.io", "https://my-hypha-server.org", "http://localhost:9527")
"""The servers of the guides; each stands for the one that is tested."""
DATA = """-H "Content-Type: application/json" -d '{"name": "World"}'"""
LOGIN = "https://ai.imjoy.io/public/services/hypha-login"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CURL is None, reason="There is no curl"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with directories mounted as the guide does it."""
    directory = tmp_path_factory.mktemp("gateway")
    mounts = []
    for name, source in (("tools", "webtools"), ("images", "images")):
        (directory / source).mkdir()
        (directory / source / "page.html").write_text(f"<p>{name}</p>")
        mounts.append(f"/{name}:{directory / source}/")
    options = ("--host=127.0.0.1", "--root-token", ROOT_TOKEN, "--static-mounts", *mounts)
    with started(directory, {}, (*SERVE, *options)) as gateway:
        yield gateway
        assert gateway.end() == 0, gateway.written()
        assert "Traceback" not in gateway.written()


class Curl:
    """Runs a line of a guide with the names of this gateway in it."""

    def __init__(self, gateway: Gateway, server: Any) -> None:
        self.names = {
            "ws-user-amazing-butterfly-12345": server.config.workspace,
            "ABC123": server.config.client_id,
            "/workspace/": f"/{server.config.workspace}/",
            **dict.fromkeys(WRITTEN, gateway.url),
        }

    async def __call__(self, line: str, **more: str) -> bytes:
        """What curl prints. With -f, an answer that is an error fails the test."""
        return (await self.run(line, **more))[1]

    async def run(self, line: str, **more: str) -> tuple[int, bytes]:
        for written, meant in {**self.names, **more}.items():
            line = line.replace(written, meant)
        program, *arguments = shlex.split(line)
        assert program == "curl"
        process = await asyncio.create_subprocess_exec(
            str(CURL),
            "-s",
            "-m",
            f"{PATIENCE_SECONDS:g}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output


async def minted(gateway: Gateway, **config: str) -> str:
    """A token for the workspace ``public``."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        answer = await http.post(
            f"{gateway.url}/public/services/ws/generate_token",
            json={"config": {"workspace": "public", **config}},
            headers={"authorization": f"Bearer {ROOT_TOKEN}"},
        )
    assert answer.status_code == 200, answer.text
    return str(answer.json())


@schema_function
async def greet(
    name: str = Field(..., description="Whom to greet"), greeting: str = "Hello"
) -> str:
    """Greet somebody by name."""
    return f"{greeting} {name}!"


async def serve(args: Any, context: Any = None) -> None:
    headers = [[b"content-type", b"application/json"]]
    await args["send"]({"type": "http.response.start", "status": 200, "headers": headers})
    await args["send"]({"type": "http.response.body", "body": b'{"message": "Hello World"}'})


def hello(name: str, context: Any = None) -> str:
    return "Hello " + name


def count(n: int = 3) -> Iterator[dict[str, int]]:
    for index in range(n):
        yield {"index": index}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def curl(gateway: Gateway) -> AsyncIterator[Curl]:
    """curl, with the services of the guides registered."""
    public = {"token": await minted(gateway, permission="admin")}
    async with (
        connect_to_server({"server_url": gateway.url}) as server,
        connect_to_server({"server_url": gateway.url, **public}) as operator,
    ):
        await server.register_service(
            {
                "name": "Hello World Service",
                "id": "hello-world",
                "config": {"visibility": "public", "require_context": True},
                "hello": hello,
            }
        )
        await server.register_service(
            {
                "id": "enhanced-hello-world",
                "config": {"visibility": "public"},
                "hello": greet,
                "count": count,
            }
        )
        web = {"visibility": "public", "require_context": True}
        await server.register_service(
            {"id": "hello-fastapi", "type": "asgi", "config": web, "serve": serve}
        )
        functions = {
            "hello-world": lambda event: {
                "status": 200,
                "headers": {"Content-Type": "text/plain"},
                "body": "Hello World",
            },
            "index": lambda event: {"status": 200, "body": "Home page"},
        }
        await server.register_service(
            {
                "id": "hello-functions",
                "type": "functions",
                "config": {"visibility": "public"},
                **functions,
            }
        )
        await server.register_probes(
            {"readiness": lambda: {"status": "ok"}, "liveness": lambda: {"status": "ok"}}
        )
        await operator.register_service(
            {
                "id": "hello-world",
                "config": {"require_context": True},
                "hello": lambda name, context: [name, context["user"]["is_anonymous"]],
            }
        )
        yield Curl(gateway, server)


SERVICES = "http://localhost:9527/ws-user-amazing-butterfly-12345/services"


@pytest.mark.parametrize(
    "line",
    [
        f'curl "{SERVICES}/ABC123:hello-world/hello?name=World"',
        f"curl -X POST {SERVICES}/ABC123:hello-world/hello \\\n  {DATA}",
        f'curl "{SERVICES}/hello-world/hello?name=World"',
    ],
)
async def test_a_function_is_called(curl: Curl, line: str) -> None:
    assert json.loads(await curl(line)) == "Hello World"


async def test_messagepack_goes_in_and_comes_out(curl: Curl, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(msgpack.packb({"name": "World"}))
    answer = await curl(
        f'curl -X POST {SERVICES}/hello-world/hello -H "Content-Type: application/msgpack"'
        f" --data-binary @{body}"
    )
    assert msgpack.unpackb(answer) == "Hello World"


async def test_services_are_listed(curl: Curl) -> None:
    listed = {s["id"].partition(":")[2]: s for s in json.loads(await curl(f"curl {SERVICES}"))}
    assert listed["hello-world"]["name"] == "Hello World Service"
    assert {"enhanced-hello-world", "hello-fastapi", "hello-functions"} <= set(listed)


async def test_a_generator_is_a_stream_of_events(curl: Curl) -> None:
    events = await curl(f'curl -N "{SERVICES}/enhanced-hello-world/count?n=2"')
    assert events == b'data: {"index":0}\n\ndata: {"index":1}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("probe", ["liveness", "readiness"])
async def test_probes_suit_a_cluster(curl: Curl, probe: str) -> None:
    url = "https://my-hypha-server.org/workspace/services/probes"
    code, answer = await curl.run(f"curl -sf {url}/{probe}")
    assert (code, json.loads(answer)) == (0, {"status": "ok"})
    code, _ = await curl.run(f"curl -sf {url}/missing")
    assert code == 22  # An answer of 400 or more, for curl -f


async def test_a_login_without_a_client_library(curl: Curl, gateway: Gateway) -> None:
    start = f"""curl -X POST "{LOGIN}/start" -H "Content-Type: application/json" -d '{{}}'"""
    begun = json.loads(await curl(start))
    key = begun["key"]
    assert begun["login_url"] == f"{gateway.url}/public/apps/hypha-login/?key={key}"
    assert begun["report_url"] == f"{gateway.url}/public/services/hypha-login/report"

    check = f"""curl -X POST "{LOGIN}/check" -H "Content-Type: application/json" \
        -d '{{"key":"mihDumpHGYxkPdSEKB7GgM", "timeout": 10}}'"""
    waiting = asyncio.create_task(curl(check, mihDumpHGYxkPdSEKB7GgM=key))
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as page:
        token = await minted(gateway)
        reported = await page.post(begun["report_url"], json={"key": key, "token": token})
        assert reported.status_code == 200, reported.text
    assert json.loads(await waiting) == token

    call = """curl -X POST "https://ai.imjoy.io/public/services/hello-world/hello" \
        -H "Content-Type: application/json" -H "Authorization: Bearer <token>" \
        -d '{"name": "John"}'"""
    assert json.loads(await curl(call, **{"<token>": token})) == ["John", False]
    stranger = await curl(call.replace('-H "Authorization: Bearer <token>"', ""))
    assert json.loads(stranger)["code"] == "permission_denied"


async def test_nobody_logs_in_within_the_time(curl: Curl) -> None:
    begun = json.loads(await curl(f"""curl -X POST "{LOGIN}/start" -d '{{}}' {JSON}"""))
    check = f"""curl -X POST "{LOGIN}/check" {JSON} -d '{{"key":"KEY", "timeout": 0.05}}'"""
    assert json.loads(await curl(check, KEY=begun["key"]))["success"] is False


JSON = '-H "Content-Type: application/json"'


async def test_a_header_with_a_blank_before_its_colon_is_refused(curl: Curl) -> None:
    """RFC 9112, 5.1. A token that nobody reads would make the caller anonymous without a word."""
    head = '-H "Authorization : Bearer <token>" -o /dev/null -w "%{http_code}"'
    assert await curl(f'curl {head} "{SERVICES}/hello-world/hello?name=World"') == b"400"


@pytest.mark.parametrize("name", ["tools", "images"])
async def test_mounted_directories_are_served(curl: Curl, name: str) -> None:
    page = await curl(f"curl -f http://localhost:9527/{name}/page.html")
    assert page == f"<p>{name}</p>".encode()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("hello-fastapi/", b'{"message": "Hello World"}'),
        ("hello-functions/hello-world", b"Hello World"),
        ("hello-functions/", b"Home page"),
    ],
)
async def test_web_services_answer(curl: Curl, path: str, answer: bytes) -> None:
    apps = "http://localhost:9527/ws-user-amazing-butterfly-12345/apps"
    assert await curl(f"curl -f {apps}/{path}") == answer


async def test_tools_are_listed_and_called(curl: Curl) -> None:
    url = "http://localhost:9527/ws-user-amazing-butterfly-12345/mcp/enhanced-hello-world/mcp"

    async def ask(method: str, **params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await curl(
            f"curl -X POST {url} {JSON} -d {shlex.quote(json.dumps(body))}"
            ' -H "Accept: application/json, text/event-stream"'
        )
        return json.loads(answer)["result"]

    listed = {tool["name"]: tool for tool in (await ask("tools/list"))["tools"]}
    assert listed["hello"]["inputSchema"]["required"] == ["name"]
    called = await ask("tools/call", name="hello", arguments={"name": "Alice"})
    assert called["content"][0]["text"] == "Hello Alice!"


async def test_the_front_page_and_the_documentation_are_there(curl: Curl) -> None:
    assert b"<html" in await curl("curl -f http://localhost:9527")
    assert b"swagger" in (await curl("curl -f https://ai.imjoy.io/api-docs")).lower()
