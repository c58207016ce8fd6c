"""A user logs in with a real OpenID Connect provider, in a real browser."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.chromium import Browser, Page, PageError
from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.test_login_page import DONE, Started, text
from tests.patience import PATIENCE_SECONDS

OIDC = Path(__file__).parent / "oidc"
AUDIENCE = "https://gateway.example.org/"
SECRET = "a-secret-of-the-client"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A running provider."""
    if not (OIDC / "node_modules" / "oidc-provider").exists():
        pytest.skip(f"There is no {OIDC.name}/node_modules: `make test-environments` installs it")
    command = ["node", str(OIDC / "provider.mjs")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith(b"{")), b"")
        assert line, "the provider has not started"
        yield json.loads(line)["issuer"]
        process.kill()


@pytest.fixture(scope="module")
def settings(issuer: str) -> dict[str, str]:
    return {
        "POLYPORT_OIDC_ISSUER": issuer,
        "POLYPORT_OIDC_CLIENT_ID": "polyport",
        "POLYPORT_OIDC_CLIENT_SECRET": SECRET,
        "POLYPORT_OIDC_NAME": "The Lab",
        "POLYPORT_OIDC_AUDIENCE": AUDIENCE,
    }


async def seen(page: Page, condition: str) -> None:
    """Wait until a page shows something, through whatever redirects lead there."""
    while True:
        with contextlib.suppress(PageError):
            await page.until(condition)
            return


async def test_a_user_logs_in_with_an_account_of_a_provider(
    gateway: Gateway, browser: Browser, connect: Connect
) -> None:
    program = Started(gateway, profile=True)
    page = await browser.page(await program.url())
    assert await page.run("return document.querySelector('#way-oidc button').innerText") == (
        "Continue with The Lab"
    )
    await page.run("document.querySelector('#way-oidc button').click()")
    await seen(page, "document.querySelector('input[name=login]')")
    await page.run(
        "document.querySelector('input[name=login]').value = 'ada';"
        "document.querySelector('input[name=password]').value = 'anything';"
        "document.querySelector('button[type=submit]').click()"
    )
    await seen(page, "document.forms.length && !document.querySelector('input[name=login]')")
    await page.run("document.querySelector('button[type=submit]').click()")
    await seen(page, "document.getElementById('done')?.innerText")
    assert await text(page, "done") == DONE
    assert await page.run("return location.search") == ""
    profile = await program.token
    assert profile["user_id"] == "oidc|ada"
    assert (profile["email"], profile["email_verified"]) == ("ada@example.org", True)
    assert profile["name"] == "Ada Lovelace"
    ada = await connect(token=profile["token"])
    user = ada.config.user
    assert (user["id"], ada.config.workspace) == ("oidc|ada", "ws-user-oidc|ada")
    assert user["roles"] == ["crew"]  # a claim makes nobody an administrator


async def test_access_tokens_of_the_provider_are_good_at_the_doors(
    gateway: Gateway, issuer: str, connect: Connect
) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        tokens = {}
        for audience in (AUDIENCE, "https://elsewhere.example.org/"):
            answer = await http.post(
                f"{issuer}/token",
                data={"grant_type": "client_credentials", "resource": audience, "scope": "use"},
                auth=("polyport", SECRET),
            )
            tokens[audience] = answer.json()["access_token"]
        for audience, status in ((AUDIENCE, 200), ("https://elsewhere.example.org/", 401)):
            headers = {"authorization": f"Bearer {tokens[audience]}"}
            url = f"{gateway.url}/public/services/"
            assert (await http.get(url, headers=headers)).status_code == status
    program = await connect(token=tokens[AUDIENCE])
    assert program.config.user["id"] == "oidc|polyport"
