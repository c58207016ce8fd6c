"""Where the requests of a login may go, and how much comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import httpx2
import pytest

from gateway.oauth_client import sending
from gateway.oauth_client.errors import LoginFailed, LoginUnavailable
from gateway.oauth_client.sending import MAX_BYTES, Sender
from gateway.upstreams.http_client import http_transport


def sender(answer: Callable[[httpx2.Request], httpx2.Response]) -> Sender:
    return Sender(lambda: httpx2.MockTransport(answer))


def get(url: str) -> httpx2.Request:
    return httpx2.Request("GET", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example/token?secret=canary",
        "http://10.0.0.5/token",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost.evil.example/token",
        "https://user:canary@auth.example/token",
    ],
)
async def test_what_is_secret_goes_by_https_or_to_this_machine(url: str) -> None:
    with pytest.raises(LoginFailed, match="neither https nor") as raised:
        await sender(lambda _: httpx2.Response(200))(get(url))
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://auth.example/", "http://127.0.0.1:1/", "http://[::1]/"])
async def test_what_is_answered_comes_as_it_is(url: str) -> None:
    answer = await sender(lambda _: httpx2.Response(404, json={"error": "x"}))(get(url))
    assert (answer.status_code, answer.json()) == (404, {"error": "x"})


@pytest.mark.parametrize("host", ["10.0.0.5", "169.254.169.254", "[::1]", "127.0.0.1", "localhost"])
async def test_a_server_of_the_internet_does_not_send_the_gateway_to_its_neighbours(
    host: str,
) -> None:
    guarded = Sender(partial(http_transport, may_be_private=False))
    with pytest.raises(LoginUnavailable, match="private or local"):
        await guarded(get(f"https://{host}/.well-known/oauth-authorization-server"))


async def test_a_redirect_is_not_followed_and_a_large_answer_not_read() -> None:
    moved = httpx2.Response(302, headers={"location": "https://10.0.0.5/"})
    answer = await sender(lambda _: moved)(get("https://auth.example/"))
    assert answer.status_code == 302
    with pytest.raises(LoginFailed, match="more than"):
        large = httpx2.Response(200, content=b"x" * (MAX_BYTES + 1))
        await sender(lambda _: large)(get("https://auth.example/"))


async def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.05)

    async def never(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    silent = Sender(lambda: httpx2.MockTransport(never))
    with pytest.raises(LoginUnavailable, match="does not answer"):
        await silent(get("https://auth.example/"))
