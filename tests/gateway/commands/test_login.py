"""Logging in and out on the command line, at a gateway that is a program."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli import main
from gateway.logins import browser
from gateway.logins.store import Entry, Grant
from tests.clients.gateways import Gateway, started
from tests.clients.oauth_user import User

ROOT_TOKEN = "root-" * 8
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {"POLYPORT_OAUTH_SERVER": "1", "POLYPORT_ROOT_TOKEN": ROOT_TOKEN}
    with started(tmp_path_factory.mktemp("gateway"), settings) as gateway:
        yield gateway
        assert gateway.end() == 0, gateway.written()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's logins are kept."""
    monkeypatch.setenv("POLYPORT_LOGIN_DIR", str(tmp_path / "logins"))
    monkeypatch.setenv("BROWSER", "as-the-test-does")
    monkeypatch.delenv("POLYPORT_TOKEN", raising=False)
    return tmp_path / "logins"


@pytest.fixture
def run(gateway: Gateway, place: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command, at the gateway; its exit code and what it wrote."""

    def run(*words: str, server: str = gateway.url) -> tuple[int, str, str]:
        code = main([*words, "--server", server])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def browsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was opened with; the user logs in there with the root token."""
    urls: list[str] = []

    def log_in(url: str) -> None:
        urls.append(url)
        base, _, query = url.partition("/public/apps/hypha-login/")
        key = dict(httpx.QueryParams(query.partition("?")[2]))["key"]
        report = f"{base}/public/services/hypha-login/report"
        httpx.post(report, json={"key": key, "token": ROOT_TOKEN}).raise_for_status()

    monkeypatch.setattr(browser, "open_page", log_in)
    return urls


def test_who_has_logged_in_needs_to_give_no_token(
    run: Run, browsed: list[str], place: Path, gateway: Gateway
) -> None:
    code, written, told = run("login")
    assert (code, written) == (0, f"You are logged in to {gateway.url} as root\n")
    assert told == f"Log in in your browser, or open {browsed[0]}\n"
    [file] = place.glob("*.json")
    kept = json.loads(file.read_text())["record"]["current_tokens"]["access_token"]
    assert kept not in written + told
    assert run("keys", "list")[0] == 0
    # A slash at the end means the same server, and a token that is given comes first.
    assert run("keys", "list", server=f"{gateway.url}/")[0] == 0
    assert run("keys", "list", "--token", "wrong")[0] == 1


def test_who_has_logged_out_is_nobody_and_the_token_is_worth_nothing(
    run: Run, browsed: list[str], place: Path, gateway: Gateway
) -> None:
    # The root token cannot be revoked, and others can.
    made = run("token", "ws-user-root", "--permission", "admin", "--token", ROOT_TOKEN)[1].strip()
    record = {"current_tokens": {"access_token": made}}
    Entry(gateway.url, place).write(Grant(gateway.url, record))
    assert run("services", "ws-user-root")[0] == 0
    assert run("logout") == (0, f"You are logged out of {gateway.url}\n", "")
    assert list(place.glob("*.json")) == []
    assert "HTTP 401" in run("services", "--token", made)[2]
    told = f"Nobody is logged in to {gateway.url}\n"
    assert run("logout") == run("logout", f"{gateway.url}/") == (0, "", told)


def test_a_login_that_has_expired_is_told_and_not_used(
    run: Run, place: Path, gateway: Gateway
) -> None:
    record = {"current_tokens": {"access_token": "old"}, "token_expiry_time": time.time() - 1}
    Entry(gateway.url, place).write(Grant(gateway.url, record))
    code, _, told = run("services")
    assert code == 0
    assert f"Your login to {gateway.url} has expired" in told
    assert "everybody may see" in told


def test_a_server_that_is_not_there_is_one_line(run: Run, place: Path) -> None:
    code, written, told = run("login", server="http://127.0.0.1:1")
    assert (code, written) == (1, "")
    assert told.startswith("Error: http://127.0.0.1:1: ")
    assert told.count("\n") == 1


def test_an_endpoint_is_logged_in_to_and_out_of(
    run: Run, place: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def come_back(url: str) -> None:
        async with httpx.AsyncClient(timeout=60) as http:
            page = await http.get(await User(http, ROOT_TOKEN).follow(url))
            assert page.status_code == 200

    browsing: list[asyncio.Task[None]] = []

    def log_in(url: str) -> None:
        browsing.append(asyncio.ensure_future(come_back(url)))

    monkeypatch.setattr(browser, "open_page", log_in)
    where = f"{gateway.url}/ws-user-root/mcp/ws/mcp"
    code, written, told = run("login", "ws-user-root/ws")
    assert (code, written) == (0, f"You are logged in to {where}\n")
    assert f"Log in to {where} in your browser, or open {gateway.url}/oauth/authorize?" in told
    [file] = place.glob("*.json")
    kept = json.loads(file.read_text())["record"]
    assert run("login", "ws-user-root/ws") == (0, f"You are logged in to {where}\n", "")
    assert len(browsing) == 1
    refreshed = json.loads(file.read_text())["record"]
    assert refreshed["current_tokens"] != kept["current_tokens"]
    assert run("logout", where) == (0, f"You are logged out of {where}\n", "")
    client, tokens = refreshed["client_info"], refreshed["current_tokens"]
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    form |= {name: client[name] for name in ("client_id", "client_secret")}
    assert httpx.post(f"{gateway.url}/oauth/token", data=form).json()["error"] == "invalid_grant"


def test_an_endpoint_that_is_not_there_is_one_line(run: Run) -> None:
    code, written, told = run("login", "--url", "http://127.0.0.1:1/mcp")
    assert (code, written) == (1, "")
    assert told.startswith("Error: The login at http://127.0.0.1:1/mcp has failed: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("login", "--url", "ftp://x.example"), ("logout", "public", "--url", "http://x")]
)
def test_a_mistake_is_one_line_and_another_code(run: Run, words: Any) -> None:
    code, written, told = run(*words)
    assert (code, written) == (2, "")
    assert told.count("\n") == 1
