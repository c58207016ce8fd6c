"""Where the browser comes back to, with visitors that are not it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from mcp_bridge.login.loopback import listening


async def test_the_answer_to_the_login_is_heard_and_nothing_else() -> None:
    async with listening() as loopback, httpx.AsyncClient() as http:
        answer = asyncio.ensure_future(loopback.answer())
        before = await http.get(loopback.redirect_uri, params={"state": "s", "code": "early"})
        loopback.expect("s")
        wrong = [
            await http.get(loopback.redirect_uri, params={"state": "other", "code": "x"}),
            await http.get(loopback.redirect_uri, params={"code": "x"}),
            await http.get(loopback.redirect_uri, params={"error": "access_denied"}),
        ]
        elsewhere = await http.get(loopback.redirect_uri.replace("callback", "favicon.ico"))
        posted = await http.post(loopback.redirect_uri, params={"state": "s", "code": "x"})
        assert [page.status_code for page in (before, *wrong)] == [400] * 4
        assert [page.status_code for page in (elsewhere, posted)] == [404] * 2
        assert not answer.done()
        right = await http.get(
            loopback.redirect_uri, params={"state": "s", "code": "c", "iss": "https://x.example"}
        )
        assert right.status_code == 200
        assert await answer == {"state": "s", "code": "c", "iss": "https://x.example"}


async def test_its_page_says_nothing_of_what_it_was_given_and_loads_nothing() -> None:
    async with listening() as loopback, httpx.AsyncClient() as http:
        loopback.expect("s")
        page = await http.get(
            loopback.redirect_uri,
            params={"state": "s", "error": "x", "error_description": "<script>secret</script>"},
        )
        assert "secret" not in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none';")
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("head", [b"", b"\r\n\r\n", b"GET //[ HTTP/1.1\r\n\r\n", b"x" * 20_000])
async def test_visitors_that_say_nothing_of_sense_disturb_nobody(head: bytes) -> None:
    async with listening() as loopback, httpx.AsyncClient() as http:
        loopback.expect("s")
        _, writer = await asyncio.open_connection("127.0.0.1", loopback.port)
        writer.write(head)
        page = await http.get(loopback.redirect_uri, params={"state": "s", "code": "c"})
        assert page.status_code == 200
        writer.close()


async def test_it_is_reached_on_this_machine_only_and_not_afterwards() -> None:
    async with listening() as loopback:
        assert loopback.redirect_uri == f"http://127.0.0.1:{loopback.port}/callback"
        _, writer = await asyncio.open_connection("127.0.0.1", loopback.port)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", loopback.port)
    writer.close()
