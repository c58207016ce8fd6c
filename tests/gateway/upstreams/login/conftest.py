"""A gateway with an upstream that wants a login, and the administrator who logs in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import Parts
from gateway.upstreams.login.routes import LoginRoutes
from gateway.upstreams.supervisor import State
from schema.identity import Caller
from tests.gateway.upstreams.conftest import ROOT, listening, status, until
from tests.gateway.upstreams.login.guarded_server import GuardedServer

GATEWAY = "http://127.0.0.1:9527"


@dataclass
class Guarded:
    """The server, running."""

    server: GuardedServer
    port: int

    def entry(self, **oauth: Any) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/mcp"
        return {"url": url, "oauth": oauth} if oauth else {"url": url}


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    server = GuardedServer()
    async with listening(server, timeout_graceful_shutdown=0) as port:
        yield Guarded(server, port)


async def servers(parts: Parts, function: str, *args: Any, by: Caller = ROOT) -> Any:
    """Call a function of the service that manages the servers."""
    service = await parts.gateway.find_service(by, "public", "mcp-servers")
    return await parts.gateway.call(by, service, function, args, {})


async def in_state(parts: Parts, state: State) -> None:
    await until(lambda: status(parts).supervisor.state is state)


async def login_url(parts: Parts, after: str | None = None) -> str:
    """Where the administrator has to log in, once that is so; another place than the one before."""
    found: list[str] = []

    def is_new() -> bool:
        url = getattr(status(parts), "login_url", None)
        if url not in (None, after):
            found.append(url)
        return bool(found)

    await until(is_new)
    return found[0]


async def open_in_browser(url: str) -> str:
    """Where the authorization server sends the browser."""
    async with httpx.AsyncClient() as browser:
        return (await browser.get(url)).headers["location"]


async def come_back(parts: Parts, url: str, wait: float = 0.0) -> httpx.Response:
    """What the gateway shows the browser that comes back."""
    routes = LoginRoutes(parts.upstreams.logins, lambda _: wait).routes()
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport) as browser:
        return await browser.get(url)


async def log_in(parts: Parts) -> httpx.Response:
    """What an administrator does, and sees in the end."""
    return await come_back(parts, await open_in_browser(await login_url(parts)))
