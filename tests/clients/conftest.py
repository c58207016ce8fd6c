"""Real clients over real sockets, against a gateway as the product starts it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from hypha_rpc import connect_to_server

from tests.clients import chromium
from tests.clients.chromium import Browser
from tests.clients.gateways import ROOT, Gateway, started
from tests.clients.site import Site, served
from tests.patience import PATIENCE_SECONDS

TEST_SECONDS = 300.0
NODE = Path(__file__).parent / "node"
MCP_NODE = Path(__file__).parent / "mcp_node"


class Connect(Protocol):
    """Connect one more hypha-rpc client, until the end of the test."""

    async def __call__(self, **config: Any) -> Any: ...


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """The gateway's environment; a module that needs another one overrides this."""
    return {}


@pytest.fixture(scope="module")
def gateway(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """One gateway for a module's tests. It has to survive them and to stop well."""
    with started(tmp_path_factory.mktemp("gateway"), settings) as gateway:
        yield gateway
        assert gateway.process.poll() is None, f"the gateway has died:\n{gateway.written()}"
        assert gateway.end() == 0, gateway.written()
        assert "Traceback" not in gateway.written()


@pytest.fixture
async def connect(gateway: Gateway) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as clients:

        async def connect(**config: Any) -> Any:
            client = connect_to_server({"server_url": gateway.url, **config})
            return await clients.enter_async_context(client)

        yield connect


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture(scope="session")
def node() -> tuple[str | Path, ...]:
    """The command that runs a script as a page runs it that has loaded the JavaScript client."""
    if not (NODE / "node_modules" / "hypha-rpc").exists():
        pytest.skip(f"There is no {NODE.name}/node_modules: `make test-environments` installs it")
    return "node", "--import", NODE / "setup.mjs"


@pytest.fixture(scope="session")
def mcp1_python() -> Path:
    """The Python of the environment with clients of the handshake era, which ``make test`` makes,
    or the one that is named."""
    for python in (ROOT / ".venv-mcp1/bin/python", os.environ.get("POLYPORT_MCP1_PYTHON")):
        if python and Path(python).exists():
            return Path(python)
    pytest.skip("There is no .venv-mcp1 with mcp 1.30: make it with `make .venv-mcp1/.installed`")


@pytest.fixture(scope="session")
def programs() -> Path:
    """The directory of the MCP clients on Node.js."""
    found = MCP_NODE / "node_modules" / ".bin"
    if not found.exists():
        pytest.skip("There is no mcp_node/node_modules: `make test-environments` installs it")
    return found


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser that nobody has used before."""
    program = chromium.executable()
    if program is None:
        pytest.skip(f"Pages need a browser: there is none of {', '.join(chromium.PROGRAMS)}")
    async with chromium.started(program, tmp_path / "profile") as browser:
        yield browser


@pytest.fixture(scope="session")
def site(node: tuple[str | Path, ...]) -> Iterator[Site]:
    """A web site that offers the JavaScript client as ``/hypha-rpc.js``."""
    with served() as site:
        dist = NODE / "node_modules" / "hypha-rpc" / "dist"
        site.script("/hypha-rpc.js", dist / "hypha-rpc-websocket.min.js")
        yield site


def pytest_itemcollected(item: pytest.Item) -> None:
    """No test waits for ever, whatever it waits for."""
    test = getattr(item, "obj", None)
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(test):
        item.obj = _bounded(test)


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def bounded(**arguments: Any) -> None:
        async with asyncio.timeout(TEST_SECONDS):
            await test(**arguments)

    return bounded


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is shown with what the gateway wrote."""
    report = yield
    gateway = getattr(item, "funcargs", {}).get("gateway")
    if report.failed and isinstance(gateway, Gateway):
        report.sections.append(("output of the gateway", gateway.written()))
    browser = getattr(item, "funcargs", {}).get("browser")
    if report.failed and isinstance(browser, Browser):
        report.sections.append(("output of the pages", browser.log))
    return report
