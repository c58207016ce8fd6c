"""Accounts of the server's own, and the consent of their users, in a real browser."""

from __future__ import annotations

import contextlib
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests.clients.chromium import Browser, Page, PageError
from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway, polled
from tests.clients.test_login_page import DONE, Started, text
from tests.patience import PATIENCE_SECONDS

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"POLYPORT_ENABLE_LOCAL_AUTH": "1", "POLYPORT_OAUTH_SERVER": "1"}


async def seen(page: Page, condition: str) -> None:
    """Wait until a page shows something, through whatever redirects lead there."""
    while True:
        with contextlib.suppress(PageError):
            await page.until(condition)
            return


async def fill(page: Page, form: str, **values: str) -> None:
    """Fill in a form and send it."""
    await page.until(f"document.querySelector('{form} input[name={next(iter(values))}]')")
    for name, value in values.items():
        await page.run(
            f"document.querySelector('{form} input[name={name}]').value = args[0]", value
        )
    await page.run(f"document.querySelector('{form} button[type=submit]').click()")


async def link(page: Page, words: str) -> None:
    script = "[...document.querySelectorAll('.links button')].find((b) => b.innerText === args[0])"
    await page.run(f"{script}.click()", words)


def code_of(gateway: Gateway, email: str, number: int = 1) -> str:
    """The code that the operator finds in the log, in the first letter to a user or a later one."""
    pattern = re.compile(rf"to={re.escape(email)} .*?code is (\d{{6}})")

    def found() -> str | None:
        codes = pattern.findall(gateway.written())
        return str(codes[number - 1]) if len(codes) >= number else None

    return polled(found, PATIENCE_SECONDS)


async def account(gateway: Gateway, email: str) -> None:
    """An account, without the page."""
    async with httpx.AsyncClient(
        base_url=f"{gateway.url}/public/services/hypha-login", timeout=PATIENCE_SECONDS
    ) as http:
        given = {"name": "Bob", "email": email, "password": PASSWORD}
        assert (await http.post("/signup", json=given)).status_code == 200
        code = code_of(gateway, email)
        assert (await http.post("/verify_email", json={"email": email, "code": code})).is_success


async def test_a_user_makes_an_account_on_the_page(
    gateway: Gateway, browser: Browser, connect: Connect
) -> None:
    program = Started(gateway)
    page = await browser.page(await program.url())
    await fill(page, "#way-local", email="ada@example.org", password="wrong password")
    assert await text(page, "problem") == "The e-mail address or the password is wrong"
    await link(page, "Create an account")
    await fill(page, "#step", name="Ada", email="ada@example.org", password=PASSWORD)
    await page.until("document.getElementById('step-code')")
    await fill(page, "#step", code=code_of(gateway, "ada@example.org"))
    assert await text(page, "done") == DONE
    ada = await connect(token=await program.token)
    assert ada.config.user["email"] == "ada@example.org"
    assert browser.log.strip() == ""


async def test_a_user_logs_in_with_the_keyboard_alone(gateway: Gateway, browser: Browser) -> None:
    await account(gateway, "kim@example.org")
    program = Started(gateway)
    page = await browser.page(await program.url())
    await page.until("document.activeElement.name === 'email'")
    unnamed = "[...document.querySelectorAll('input')].filter((i) => !i.labels.length).length"
    assert await page.run(f"return {unnamed}") == 0
    await page.send("Input.insertText", text="kim@example.org")
    await press(page, "Tab")
    await page.send("Input.insertText", text=PASSWORD)
    await press(page, "Enter")
    assert await text(page, "done") == DONE
    assert await program.token


async def press(page: Page, key: str) -> None:
    """Press a key and let it go."""
    code = {"Tab": 9, "Enter": 13}[key]
    typed = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        await page.send(
            "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **typed
        )
        typed = {}


async def test_a_user_sets_a_new_password_on_the_page(gateway: Gateway, browser: Browser) -> None:
    await account(gateway, "bob@example.org")
    program = Started(gateway)
    page = await browser.page(await program.url())
    await link(page, "Forgot the password?")
    await fill(page, "#step", email="bob@example.org")
    await page.until("document.getElementById('step-code')")
    code = code_of(gateway, "bob@example.org", 2)
    await fill(page, "#step", code=code, password="battery staple")
    assert await text(page, "done") == DONE
    assert await program.token


async def test_a_user_allows_a_client_on_the_page(gateway: Gateway, browser: Browser) -> None:
    await account(gateway, "eve@example.org")
    callback = f"{gateway.url}/health/liveness"
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as http:
        given: dict[str, Any] = {"redirect_uris": [callback], "client_name": "Probe"}
        client = (await http.post("/oauth/register", json=given)).json()
    asked = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": callback,
        "resource": f"{gateway.url}/public/mcp/hypha-login/mcp",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "state": "here",
    }
    page = await browser.page(f"{gateway.url}/oauth/authorize?{urlencode(asked)}")
    assert "A program asks for access in your name" in await text(page, "asked")
    await fill(page, "#way-local", email="eve@example.org", password=PASSWORD)
    await seen(page, "document.querySelector('button[value=allow]')")
    assert await page.run("return document.querySelector('h1').innerText") == (
        "Probe wants to act for you"
    )
    assert "eve@example.org" in await page.run("return document.body.innerText")
    await page.run("document.querySelector('button[value=allow]').click()")
    await seen(page, "location.pathname === '/health/liveness'")
    answer = dict(parse_qsl(urlsplit(await page.run("return location.href")).query))
    assert (answer["state"], answer["iss"]) == ("here", gateway.url)
    assert answer["code"]
