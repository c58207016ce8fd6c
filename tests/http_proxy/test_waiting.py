"""How long a call is waited for: until its client leaves, or as long as it says."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from gateway.testing import FakeGateway
from http_proxy import waiting
from tests.http_proxy.asgi import Exchange
from tests.patience import PATIENCE_SECONDS

URL = "/ws-lab/services/slow/wait"


class Slow:
    """A function that waits until it is let go, and tells when it is given up."""

    def __init__(self) -> None:
        self.begun, self.let_go, self.given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(self, n: int = 0) -> int:
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        return n


@pytest.fixture
def slow(gateway: FakeGateway) -> Slow:
    slow = Slow()
    gateway.add_service("ws-lab/worker:slow", {"wait": slow.wait}, visibility="public")
    return slow


@pytest.mark.parametrize(("method", "parts"), [("GET", (b"",)), ("POST", (b'{"n":', b"1}"))])
async def test_a_call_whose_client_has_left_is_given_up(
    app: Starlette,
    slow: Slow,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    parts: tuple[bytes, ...],
) -> None:
    monkeypatch.setattr(waiting, "WATCH_AFTER_SECONDS", 0.0)
    async with Exchange(app, URL, method=method, parts=parts) as request:
        await slow.begun.wait()
        request.disconnect()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await slow.given_up.wait()
        await request.finished()
        assert request.unread == 0


async def test_a_call_that_is_watched_is_answered_like_any_other(
    app: Starlette, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WATCH_AFTER_SECONDS", 0.0)
    async with Exchange(app, f"{URL}?n=3") as request:
        await slow.begun.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        slow.let_go.set()
        assert (await request.start())[0] == 200
        assert await request.rest() == b"3"


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?_timeout=0.1", {}),
        ("", {"prefer": "respond-async, wait=0.1"}),
        ("?_timeout=0.1", {"prefer": "wait=100"}),
    ],
)
async def test_a_caller_says_how_long_it_waits(
    client: httpx.AsyncClient, slow: Slow, query: str, headers: dict[str, str]
) -> None:
    for answer in (
        await client.get(URL + query, headers=headers),
        await client.post(URL + query, headers=headers, json={"n": 1}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
    assert slow.given_up.is_set()
    slow.let_go.set()
    answer = await client.get(f"{URL}?n=2&_timeout=30")
    assert answer.json() == 2


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", "1e9", ""])
async def test_a_time_to_wait_is_a_number_of_seconds(
    client: httpx.AsyncClient, slow: Slow, text: str
) -> None:
    answer = await client.get(f"{URL}?_timeout={text}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert not slow.begun.is_set()


async def test_preferences_that_cannot_be_met_are_ignored(client: httpx.AsyncClient) -> None:
    for prefer in ("wait=x", "return=minimal; foo", "wait"):
        url = "/ws-lab/services/calc/add?a=1&b=2"
        assert (await client.get(url, headers={"prefer": prefer})).json() == 3
