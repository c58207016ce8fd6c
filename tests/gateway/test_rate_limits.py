"""Rate limits as the clients of a whole gateway meet them."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from schema.identity import Permission, Scope, User

BURST = 3
RATE = 0.01
"""A second: the burst comes to its end before there is room for one more, on every machine."""

LIMITED = {"anonymous_requests_per_second": RATE, "anonymous_burst_requests": BURST}
MCP = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


class Site:
    """A gateway, asked from an address of one's choice."""

    def __init__(self, **settings: Any) -> None:
        self.app = create_app(Settings(ephemeral=True, **settings))

    def token(self, user: str, **more: Any) -> str:
        own = f"ws-user-{user}"
        scope = Scope({own: Permission.ADMIN}, current_workspace=own)
        issuer = self.app.state.parts.tokens
        token: str = issuer.issue(User(user, scope=scope, **more), expires_in_seconds=3600)
        return token

    async def ask(
        self, path: str, *, peer: str = "1.2.3.4", method: str = "GET", **request: Any
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **request)

    async def statuses(self, path: str, **request: Any) -> list[int]:
        return [(await self.ask(path, **request)).status_code for _ in range(BURST + 1)]


ROUTES = [
    ("GET", "/public/services", 200),
    ("GET", "/", 200),
    ("GET", "/login", 307),
    ("GET", "/no/such/page", 404),
    ("GET", "/public/services/nothing/f", 404),
    ("GET", "/public/apps/nothing/", 404),
    ("POST", "/public/mcp/nothing/mcp", 404),
    ("GET", "/rpc", 400),
    ("POST", "/rpc", 400),
    ("GET", "/health-anything", 307),
    ("GET", "/health/liveness/", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), ROUTES)
async def test_every_door_has_the_limit(method: str, path: str, status: int) -> None:
    site = Site(**LIMITED)
    request: dict[str, Any] = {"method": method, "headers": MCP, "content": PING}
    assert await site.statuses(path, **request) == [status] * BURST + [429]
    refused = await site.ask(path, **request, peer="1.2.3.4")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= math.ceil(1 / RATE)
    assert (await site.ask(path, **request, peer="4.3.2.1")).status_code == status


async def test_s26_a_page_can_read_that_it_asked_too_often() -> None:
    site = Site(**LIMITED)
    await site.statuses("/public/services")
    for path in ("/", "/public/services", "/public/mcp/x/mcp", "/rpc"):
        origin = {"origin": "http://127.0.0.1"}
        method = "POST" if "mcp" in path else "GET"
        refused = await site.ask(path, method=method, headers=MCP | origin, content=PING)
        assert refused.status_code == 429, path
        assert refused.headers["access-control-allow-origin"] in ("*", origin["origin"])
        if path != "/rpc":
            assert "Retry-After" in refused.headers["access-control-expose-headers"]


async def test_the_refusal_is_in_the_form_of_the_other_errors() -> None:
    site = Site(**LIMITED)
    await site.statuses("/")
    for path in ("/", "/public/services"):
        assert (await site.ask(path)).json() == {
            "success": False,
            "code": "limit_exceeded",
            "type": "LimitExceeded",
            "detail": "Rate limit exceeded. Please slow down.",
        }


@pytest.mark.parametrize("base_path", ["/", "/gw"])
async def test_probes_are_never_refused(base_path: str) -> None:
    site = Site(**LIMITED, base_path=base_path)
    for probe in ("/health/liveness", "/health/readiness"):
        path = base_path.rstrip("/") + probe
        assert await site.statuses(path) == [200] * (BURST + 1)


async def test_a_user_has_more_than_an_address_and_shares_it_with_their_tokens() -> None:
    site = Site(
        **LIMITED,
        user_burst_requests=BURST + 2,
        user_requests_per_second=RATE,
    )
    alice = {"authorization": f"Bearer {site.token('alice')}"}
    child = {"authorization": f"Bearer {site.token('alice-child', parent='alice')}"}
    bob = {"authorization": f"Bearer {site.token('bob')}"}
    assert await site.statuses("/public/services", headers=alice) == [200] * (BURST + 1)
    for index, expected in enumerate((200, 429, 429)):
        query = f"?client_id=c{index}&workspace=w{index}"
        headers = child | {"x-forwarded-for": f"9.9.9.{index}"}
        path = f"/public/services{query}"
        answer = await site.ask(path, headers=headers, peer=f"7.7.7.{index}")
        assert answer.status_code == expected
    assert (await site.ask("/public/services", headers=bob)).status_code == 200


async def test_s25_a_token_that_is_not_good_lifts_nobody_above_their_address() -> None:
    site = Site(**LIMITED)
    forged = {"authorization": "Bearer " + site.token("alice")[:-2] + "xx"}
    assert await site.statuses("/public/services", headers=forged) == [401] * BURST + [429]
    anonymous = site.token("guest", is_anonymous=True)
    headers = {"authorization": f"Bearer {anonymous}"}
    assert (await site.ask("/public/services", headers=headers)).status_code == 429
    good = {"authorization": f"Bearer {site.token('alice')}"}
    assert (await site.ask("/public/services", headers=good)).status_code == 200


async def test_s25_forwarded_addresses_count_from_trusted_proxies_only() -> None:
    site = Site(**LIMITED, trusted_proxies=["10.0.0.0/8"])

    async def ask(client: str, peer: str) -> int:
        headers = {"x-forwarded-for": client}
        return (await site.ask("/public/services", headers=headers, peer=peer)).status_code

    assert [await ask(f"9.9.9.{i}", "1.2.3.4") for i in range(BURST + 1)][-1] == 429
    assert [await ask("8.8.8.8", "10.0.0.1") for _ in range(BURST + 1)] == [200] * BURST + [429]
    assert await ask("8.8.4.4", "10.0.0.1") == 200


def test_what_is_no_network_is_said_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0\.0/99' is not an address or a network"):
        Settings(trusted_proxies=["10.0.0.0/99"])
