"""The first programs of a newcomer, run as they are pasted, and reached through all three doors."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from mcp import Client
from mcp_types import TextContent

from tests.clients.gateways import Gateway
from tests.clients.programs import Program, running

pytestmark = pytest.mark.long

GUIDE = Path(__file__).parent / "guide" / "first_service.md"
BLOCKS = {
    title: (language, code)
    for title, language, code in re.findall(
        r"^## (.+?)\n[^`]*```(\w+)\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
}
OFFERS = ["Offer, with asyncio", "Offer, without asyncio", "Offer, in JavaScript"]
USES = ["Use, with asyncio", "Use, without asyncio", "Use, in JavaScript"]
MCP_MODES = ["auto", "legacy", "2026-07-28"]
GREETING = "Hello World!"

Pasted = Callable[..., AbstractAsyncContextManager[Program]]


@pytest.fixture
def pasted(request: pytest.FixtureRequest, gateway: Gateway, tmp_path: Path) -> Pasted:
    """Run a program of the guide, by the title it has there."""

    def run(title: str, service: str = "") -> AbstractAsyncContextManager[Program]:
        language, code = BLOCKS[title]
        for placeholder, value in {
            "http://localhost:9527": gateway.url,
            "REPLACE_WITH_YOUR_SERVICE_ID": service,
        }.items():
            code = code.replace(placeholder, value)
        file = tmp_path / f"{title.replace(' ', '-')}.{language}"
        file.write_text(code, encoding="utf-8")
        if language == "python":
            return running(sys.executable, file)
        return running(*request.getfixturevalue("node"), file.rename(file.with_suffix(".js")))

    return run


async def printed(program: Program, label: str) -> str:
    return (await program.line(label)).removeprefix(label)


@pytest.fixture
async def enhanced(pasted: Pasted, gateway: Gateway) -> AsyncIterator[str]:
    """The MCP endpoint of the service that offers a tool."""
    async with pasted("Offer as a tool") as program:
        yield gateway.url + await printed(program, "MCP endpoint: ")


def test_every_program_of_the_guide_is_run() -> None:
    others = ["Offer as a tool", "Replace a running service"]
    assert sorted(BLOCKS) == sorted([*OFFERS, *USES, *others])


@pytest.mark.parametrize("offer", OFFERS)
async def test_hello_world_is_used_from_every_language_and_over_the_web(
    pasted: Pasted, http: httpx.AsyncClient, offer: str
) -> None:
    async with pasted(offer) as provider:
        id = await printed(provider, "Service ID: ")
        workspace, _, service = id.partition("/")
        assert await printed(provider, "Workspace: ") == workspace

        async def use(title: str) -> str:
            async with pasted(title, id) as program:
                return await printed(program, "Service returned: ")

        assert await asyncio.gather(*map(use, USES)) == [GREETING] * len(USES)
        for _ in USES:
            assert (await provider.line(GREETING)).endswith(GREETING)

        got = await http.get(f"/{workspace}/services/{service}/hello?name=World")
        assert (got.status_code, got.json()) == (200, GREETING)
        posted = await http.post(f"/{workspace}/services/{service}/hello", json={"name": "World"})
        assert (posted.status_code, posted.json()) == (200, GREETING)
        short = await http.get(f"/{workspace}/services/hello-world/hello?name=World")
        assert short.json() == GREETING
        listed = await http.get(f"/{workspace}/services")
        assert listed.status_code == 200
        assert [(s["id"], s["name"]) for s in listed.json()] == [(service, "Hello World Service")]


async def test_the_program_without_asyncio_ends_when_it_is_told_to(
    pasted: Pasted, http: httpx.AsyncClient
) -> None:
    async with pasted("Offer, without asyncio") as provider:
        workspace, _, service = (await printed(provider, "Service ID: ")).partition("/")
        await provider.press_enter()
        assert await provider.end() == 0
        gone = await http.get(f"/{workspace}/services/{service}/hello?name=World")
        assert gone.status_code == 404


async def test_a_replaced_service_has_the_new_functions_only(
    pasted: Pasted, http: httpx.AsyncClient
) -> None:
    async with pasted("Replace a running service") as provider:
        workspace, _, service = (await printed(provider, "Service ID: ")).partition("/")
        url = f"/{workspace}/services/{service}"
        assert (await http.get(f"{url}/hello2?name=World")).json() == "Hello again World!"
        assert (await http.get(f"{url}/hello?name=World")).status_code == 404


@pytest.mark.parametrize("mode", MCP_MODES)
async def test_a_function_with_a_schema_is_a_tool(enhanced: str, mode: str) -> None:
    async with Client(enhanced, mode=mode) as client:
        (tool,) = (await client.list_tools()).tools
        assert tool.name == "hello"
        assert tool.description is not None
        assert tool.description.startswith("Greet somebody by name.")
        properties = tool.input_schema["properties"]
        assert properties["name"]["description"] == "The name of the person to greet"
        assert properties["greeting"]["default"] == "Hello"
        assert tool.input_schema["required"] == ["name"]

        for arguments, greeting in [
            ({"name": "Alice", "greeting": "Hi there"}, "Hi there Alice!"),
            ({"name": "Alice"}, "Hello Alice!"),
        ]:
            result = await client.call_tool("hello", arguments)
            assert not result.is_error
            assert texts(result.content) == [greeting]


@pytest.mark.parametrize("mode", MCP_MODES)
async def test_a_bad_argument_is_explained_to_the_model(enhanced: str, mode: str) -> None:
    async with Client(enhanced, mode=mode) as client:
        result = await client.call_tool("hello", {"greeting": "Hi"})
        assert result.is_error
        (text,) = texts(result.content)
        assert "name" in text


def texts(content: object) -> list[str]:
    assert isinstance(content, list)
    return [block.text for block in content if isinstance(block, TextContent)]
