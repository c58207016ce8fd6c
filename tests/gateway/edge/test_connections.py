"""Connections of strangers, counted by address: by the server for those who connect themselves, by
request for those who come through a proxy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.edge.connections import Connections
from schema.errors import Overloaded
from tests.gateway.test_rate_limits import Site
from tests.http_proxy.asgi import Exchange
from tests.patience import PATIENCE_SECONDS

PROXY = "10.0.0.1"
MCP = "/public/mcp/hypha-login/mcp"


def connections(most: int = 1) -> Connections:
    return Connections(most, lambda address: address == PROXY)


def test_each_address_has_its_own_number() -> None:
    counted = connections()
    entered = [counted.enter(address) for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1")]
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::2"):
        with pytest.raises(Overloaded, match="Too many connections"):
            counted.enter(address)
    assert (counted.open, counted.refused) == (3, 3)
    for stranger in entered:
        assert stranger is not None
        stranger.leave()
        stranger.leave()
    assert counted.open == 0
    assert counted.enter("192.0.2.1") is not None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", PROXY, "unknown", ""])
def test_this_machine_and_the_proxies_are_not_counted(address: str) -> None:
    counted = connections()
    assert [counted.enter(address) for _ in "123"] == [None, None, None]


def proxied(site: Site, client: str, **headers: str) -> Exchange:
    """A request that is not complete yet, as a proxy passes it on."""
    sent = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "x-forwarded-for": client,
        **headers,
    }
    exchange = Exchange(site.app, MCP, method="POST", headers=sent, is_complete=False)
    exchange.scope["client"] = (PROXY, 4711)
    return exchange


async def until_open(site: Site, number: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while site.app.state.parts.bounds.connections.open != number:
            await asyncio.sleep(0)


async def test_behind_a_proxy_each_request_counts_for_its_client() -> None:
    site = Site(trusted_proxies=PROXY, max_connections_per_address=2)
    async with proxied(site, "192.0.2.1") as first, proxied(site, "192.0.2.1"):
        await until_open(site, 2)
        async with proxied(site, "192.0.2.1") as third:
            status, headers = await third.start()
            assert (status, headers["retry-after"]) == (503, "5")
            assert headers["access-control-allow-origin"] == "*"
        async with proxied(site, "192.0.2.2"):
            await until_open(site, 3)
        first.disconnect()
        await first.finished()
        await until_open(site, 1)
    assert (await site.ask("/health/liveness", peer="192.0.2.1")).status_code == 200
    assert site.app.state.parts.bounds.connections.open == 0


async def test_who_is_known_is_not_counted_by_address() -> None:
    site = Site(trusted_proxies=PROXY, max_connections_per_address=1)

    def stream(name: str, **headers: str) -> Exchange:
        sent = {"x-forwarded-for": "192.0.2.1", **headers}
        exchange = Exchange(site.app, f"/rpc?client_id={name}", headers=sent, is_complete=False)
        exchange.scope["client"] = (PROXY, 4711)
        return exchange

    async with stream("first", authorization=f"Bearer {site.token('ann')}") as known:
        assert (await known.start())[0] == 200
        assert site.app.state.parts.bounds.connections.open == 0
        async with stream("second") as stranger, stream("third") as one_more:
            assert (await stranger.start())[0] == 200
            assert (await one_more.start())[0] == 503


async def test_a_websocket_too_many_is_refused_for_now() -> None:
    site = Site(trusted_proxies=PROXY, max_connections_per_address=1)
    sent: list[Any] = []
    events = asyncio.Queue[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/ws",
        "query_string": b"",
        "headers": [(b"x-forwarded-for", b"192.0.2.1")],
        "client": (PROXY, 4711),
    }
    async with proxied(site, "192.0.2.1"):
        await until_open(site, 1)
        events.put_nowait({"type": "websocket.connect"})
        await site.app({**scope, "headers": list(scope["headers"])}, events.get, send)
    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"5") in sent[0]["headers"]
    assert b"Too many connections" in sent[1]["body"]
