"""Cross-origin rules: any origin without cookies by default, listed ones with them."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from gateway.extensions import ExtensionContext
from gateway.settings import Settings
from gateway.testing import FakeGateway
from http_proxy import create
from http_proxy.cors import Origins

LISTED = "https://lab.example"
OTHER = "https://evil.example"


def client_of(gateway: FakeGateway, *origins: str) -> httpx.AsyncClient:
    settings = Settings(allow_origins=origins)
    app = Starlette(routes=create(ExtensionContext(gateway, settings)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("path", ["/ws-lab/services/calc/add?a=1&b=2", "/ws-lab/services/calc/no"])
async def test_only_listed_origins_read_answers_and_may_use_cookies(
    gateway: FakeGateway, path: str
) -> None:
    async with client_of(gateway, LISTED) as client:
        answer = await client.get(path, headers={"origin": LISTED})
        assert answer.headers.get_list("access-control-allow-origin") == [LISTED]
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
        for headers in ({"origin": OTHER}, {}):
            answer = await client.get(path, headers=headers)
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-credentials" not in answer.headers


async def test_preflights_and_functions_services_follow_the_same_rule(gateway: FakeGateway) -> None:
    gateway.add_service(
        "ws-lab/worker:fns", {"index": lambda event: "x"}, type="functions", visibility="public"
    )
    async with client_of(gateway, LISTED) as client:
        for path in ("/ws-lab/services/calc/add", "/ws-lab/apps/fns/"):
            for origin, allowed in ((LISTED, LISTED), (OTHER, None)):
                asked = {"origin": origin, "access-control-request-method": "POST"}
                answer = await client.options(path, headers=asked)
                assert answer.headers.get("access-control-allow-origin") == allowed


async def test_any_and_listed_origins_together(gateway: FakeGateway) -> None:
    async with client_of(gateway, "*", LISTED) as client:
        path = "/ws-lab/services/calc/add?a=1&b=2"
        answer = await client.get(path, headers={"origin": LISTED})
        assert answer.headers["access-control-allow-credentials"] == "true"
        answer = await client.get(path, headers={"origin": OTHER})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_cookies_are_for_the_own_origin_listed_ones_and_programs() -> None:
    origins = Origins((LISTED,))
    assert origins.may_use_cookies({})
    assert origins.may_use_cookies({b"origin": LISTED.encode()})
    assert origins.may_use_cookies({b"origin": b"http://a:1", b"host": b"a:1"})
    assert not origins.may_use_cookies({b"origin": OTHER.encode(), b"host": b"a:1"})
    assert not origins.may_use_cookies({b"origin": b"null", b"host": b"a:1"})
    image = {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"no-cors"}
    assert not origins.may_use_cookies(image)
    assert not origins.may_use_cookies(image | {b"sec-fetch-site": b"same-site"})
    link = image | {b"sec-fetch-mode": b"navigate"}
    assert not origins.may_use_cookies(link), "a link to a function would call it"
    assert origins.may_use_cookies(link, is_page=True)
    assert origins.may_use_cookies(link | {b"sec-fetch-site": b"none"}), "the user typed it"


async def test_whoever_asks_for_the_options_is_told_the_methods(gateway: FakeGateway) -> None:
    async with client_of(gateway) as client:
        for path in ("/ws-lab/services/calc/add", "/ws-lab/services", "/openapi.json"):
            answer = await client.options(path)
            refused = await client.delete(path)
            assert answer.headers["allow"] == refused.headers["allow"]
