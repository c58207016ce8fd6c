"""The room that the bodies of all requests share, whichever door they come by."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping

import pytest

from gateway.bodies import UNCOUNTED_BYTES, BodyBudget
from schema.errors import Overloaded
from tests.gateway.test_rate_limits import Site
from tests.http_proxy.asgi import Exchange
from tests.patience import PATIENCE_SECONDS

MIB = 1024 * 1024
CALL = "/public/services/hypha-login/start"
MCP = "/public/mcp/hypha-login/mcp"
HEADERS = {
    "host": "127.0.0.1",
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}
LARGE, SMALL = b" " * (700 * 1024), b" " * UNCOUNTED_BYTES


def test_one_body_alone_may_be_as_large_as_it_is() -> None:
    budget = BodyBudget(10)
    budget.take(5, has_already=0)
    budget.take(95, has_already=5)
    with pytest.raises(Overloaded):
        budget.take(1, has_already=0)
    with pytest.raises(Overloaded):
        budget.check(1)
    budget.give_back(100)
    budget.take(10, has_already=0)
    assert (budget.held_bytes, budget.refused) == (10, 2)


@pytest.fixture
def site() -> Site:
    return Site(max_buffered_body_bytes=MIB, max_body_bytes=2 * MIB)


def sending(
    site: Site,
    path: str,
    *parts: bytes,
    is_complete: bool = True,
    more: Mapping[str, str] | None = None,
) -> Exchange:
    return Exchange(
        site.app,
        path,
        method="POST",
        headers={**HEADERS, **(more or {})},
        parts=parts,
        is_complete=is_complete,
    )


async def until_held(site: Site, size: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while site.app.state.parts.bounds.bodies.held_bytes != size:
            await asyncio.sleep(0)


async def status_of(exchange: Exchange) -> int:
    async with exchange:
        status, headers = await exchange.start()
        assert ("retry-after" in headers) is (status == 503)
        await exchange.finished()
        return status


@pytest.mark.parametrize("path", [CALL, MCP])
async def test_a_large_body_waits_until_there_is_room_for_it(site: Site, path: str) -> None:
    async with sending(site, CALL, LARGE, is_complete=False) as first:
        await until_held(site, len(LARGE))
        assert await status_of(sending(site, path, LARGE)) == 503
        assert await status_of(sending(site, path, LARGE[:400_000], LARGE[:300_000])) == 503
        assert await status_of(sending(site, path, SMALL)) in (200, 400)
        first.disconnect()
        await first.finished()
    await until_held(site, 0)
    assert await status_of(sending(site, path, LARGE)) in (200, 400)
    await until_held(site, 0)


async def test_what_counts_is_what_a_body_inflates_to(site: Site) -> None:
    packed = gzip.compress(LARGE)
    async with sending(site, CALL, LARGE, is_complete=False):
        await until_held(site, len(LARGE))
        body = sending(site, CALL, packed, more={"content-encoding": "gzip"})
        assert await status_of(body) == 503
    await until_held(site, 0)


async def test_what_is_announced_is_refused_before_it_is_sent(site: Site) -> None:
    async with sending(site, CALL, LARGE, is_complete=False):
        await until_held(site, len(LARGE))
        length = {"content-length": str(len(LARGE))}
        announced = sending(site, CALL, b"", is_complete=False, more=length)
        async with announced:
            status, _ = await announced.start()
            body = await announced.rest()
        assert status == 503
        assert b'"code":"overloaded"' in body


async def test_a_request_that_is_refused_or_cancelled_gives_its_room_back(site: Site) -> None:
    async with sending(site, CALL, LARGE, is_complete=False):
        await until_held(site, len(LARGE))
    await until_held(site, 0)
    assert await status_of(sending(site, CALL, LARGE, b" " * (2 * MIB))) == 413
    await until_held(site, 0)
