"""A gateway behind another one wants a login, and its administrator logs that one in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.gateways import Gateway, free_port, started
from tests.clients.oauth_user import User
from tests.patience import PATIENCE_SECONDS

TOKEN = "root-" * 8
PUBLIC_PATH = "/gate/way"
SERVERS = "public/services/mcp-servers"


def arguments(port: int, *words: str) -> tuple[str, ...]:
    return ("-m", "gateway.server", "--port", str(port), "--root-token", TOKEN, *words)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Below a path of a site."""
    port = free_port()  # its public address is part of its configuration
    public = f"http://127.0.0.1:{port}{PUBLIC_PATH}"
    words = ("--ephemeral", "--oauth-server", "--base-path", PUBLIC_PATH)
    directory = tmp_path_factory.mktemp("behind")
    with started(directory, {}, arguments(port, *words, "--public-base-url", public)) as gateway:
        gateway.url = public
        yield gateway


class Administrator:
    """Of the gateway in front."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def servers(self, function: str, **given: Any) -> Any:
        answer = await self._http.post(f"{SERVERS}/{function}", json=given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def call(self, function: str, **given: Any) -> httpx.Response:
        return await self._http.post(f"public/services/behind/{function}", json=given)

    async def log_in(self, url: str) -> str:
        """The page that the browser ends on."""
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as browser:
            back = await User(browser, TOKEN).follow(url)
            page = await browser.get(back)
        assert page.status_code == 200, page.text
        return page.text

    async def status_when(self, state: str) -> Any:
        while (status := await self.servers("status", name="behind"))["state"] != state:
            await asyncio.sleep(0.02)
        return status


def administrator(gateway: Gateway) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=PATIENCE_SECONDS)


async def test_it_is_logged_in_to_once_asked_for_more_and_found_again(
    behind: Gateway, tmp_path: Path
) -> None:
    port = free_port()  # what it is registered with
    words = arguments(port, "--data-dir", str(tmp_path / "data"))
    with started(tmp_path, {}, words) as front:
        async with administrator(front) as http:
            admin = Administrator(http)
            config = {"url": f"{behind.url}/ws-user-root/mcp/ws/mcp"}
            record = await admin.servers("add", name="behind", config=config)
            assert record["state"] == "needs login"
            assert "behind is connected" in await admin.log_in(record["login_url"])
            await admin.status_when("running")
            assert (await admin.call("check_status")).status_code == 200
            refused = await admin.call("set_env", key="COLOUR", value="green")
            assert "LoginRequired" in refused.text
            assert (await admin.call("check_status")).status_code == 200
            status = await admin.servers("status", name="behind")
            assert status["state"] == "running"
            await admin.log_in(status["login_url"])
            stored = await admin.call("set_env", key="COLOUR", value="green")
            assert stored.status_code == 200, stored.text
        assert front.end() == 0, front.written()
        assert "Traceback" not in front.written()
    with started(tmp_path, {}, words) as front:
        async with administrator(front) as http:
            admin = Administrator(http)
            await admin.status_when("running")
            assert (await admin.call("get_env", key="COLOUR")).json() == "green"
            record = await admin.servers("log_out", name="behind")
            assert record["state"] == "needs login"
            assert TOKEN not in str(record)
