"""The login page in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypha_rpc import login

from tests.clients.chromium import Browser, Page
from tests.clients.conftest import TEST_SECONDS, Connect
from tests.clients.gateways import Gateway
from tests.clients.site import Site

DONE = "You are logged in. You can close this window."


class Started:
    """A program that waits for its user to log in at ``url``."""

    def __init__(self, gateway: Gateway, **options: Any) -> None:
        self._url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def show(context: Any) -> None:
            self._url.set_result(context["login_url"])

        config = {"server_url": gateway.url, "login_callback": show, "login_timeout": TEST_SECONDS}
        self.token = asyncio.ensure_future(login({**config, **options}))

    async def url(self) -> str:
        return await self._url


@pytest.fixture
async def program(gateway: Gateway) -> AsyncIterator[Started]:
    started = Started(gateway)
    yield started
    started.token.cancel()
    await asyncio.gather(started.token, return_exceptions=True)


async def paste(page: Page, token: str) -> None:
    script = "document.getElementById('token-token').value = args[0];"
    await page.run(script + "document.querySelector('#way-token button').click()", token)


async def text(page: Page, id: str) -> str:
    shown: str = await page.until(f"document.getElementById('{id}').innerText.trim()")
    return shown


async def test_a_pasted_token_reaches_the_program(
    browser: Browser, program: Started, connect: Connect
) -> None:
    token = await (await connect()).generate_token()
    page = await browser.page(await program.url())
    await paste(page, "not a token")
    assert await text(page, "problem") == "The token is not valid"
    await paste(page, token)
    assert await text(page, "done") == DONE
    assert await program.token == token
    # Neither the address bar nor the history keeps the key.
    assert await page.run("return location.search") == ""
    assert page.log == []


async def test_a_guest_gets_a_workspace(
    browser: Browser, program: Started, connect: Connect
) -> None:
    page = await browser.page(await program.url())
    await page.run("document.querySelector('#way-guest button').click()")
    assert await text(page, "done") == DONE
    guest = await connect(token=await program.token)
    assert guest.config.user["is_anonymous"]
    assert guest.config.workspace == f"ws-user-{guest.config.user['id']}"
    assert await guest.generate_token()


async def test_the_page_says_for_which_workspace_it_is(
    browser: Browser, gateway: Gateway, connect: Connect
) -> None:
    owner = await connect()
    workspace = owner.config.workspace
    started = Started(gateway, workspace=workspace, expires_in=60)
    page = await browser.page(await started.url())
    assert workspace in await text(page, "asked")
    # A guest has no such workspace.
    assert await page.run("return document.querySelector('#way-guest')") is None
    await paste(page, await owner.generate_token())
    assert await text(page, "done") == DONE
    member = await connect(token=await started.token)
    assert member.config.workspace == workspace


async def test_s38_whoever_opened_the_page_is_told_the_key_and_never_the_token(
    browser: Browser, site: Site, program: Started, connect: Connect
) -> None:
    token = await (await connect()).generate_token()
    url = await program.url()
    opener = await browser.page(site.page("/opener.html", f"<iframe src='{url}'></iframe>"))
    await opener.run(
        """
        window.told = [];
        window.addEventListener("message", (event) => told.push(event.data));
        """
    )
    # Another origin: the frame is reached through the browser, and not through the page.
    tree = await opener.send("Page.getFrameTree")
    frame = tree["frameTree"]["childFrames"][0]["frame"]["id"]
    world = await opener.send("Page.createIsolatedWorld", frameId=frame)
    await opener.send(
        "Runtime.evaluate",
        contextId=world["executionContextId"],
        expression=f"""
        document.getElementById("token-token").value = "{token}";
        document.querySelector("#way-token button").click();
        """,
    )
    assert await program.token == token
    assert await opener.until("told.length && told") == [
        {"type": "hypha-login-complete", "key": url.partition("key=")[2]}
    ]


async def test_without_a_key_the_page_says_where_a_login_begins(
    browser: Browser, gateway: Gateway
) -> None:
    page = await browser.page(f"{gateway.url}/login")
    assert await page.run("return location.pathname") == "/public/apps/hypha-login/"
    assert "begins in a program" in await text(page, "done")
    await page.open(f"{gateway.url}/public/apps/hypha-login/?logout=true")
    assert "logged out" in await text(page, "done")
    assert page.log == []
