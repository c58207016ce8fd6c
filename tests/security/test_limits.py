"""How much anybody may ask for, and what a page of another site may read. The numbers are those of
the security requirements."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from gateway.app import Parts, create_app
from gateway.settings import Settings
from schema.identity import User
from tests.gateway.peer import Peer
from tests.gateway.test_rate_limits import BURST, LIMITED, RATE, Site
from tests.security.conftest import MCP

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
PAGE = {"origin": "https://evil.example"}


async def test_S25_what_a_client_names_itself_gives_no_more() -> None:
    site = Site(**LIMITED)
    found = []
    for number in range(BURST + 1):
        headers = {"x-forwarded-for": f"9.9.9.{number}", "forwarded": f"for=8.8.8.{number}"}
        headers |= {"x-real-ip": f"7.7.7.{number}", "user-agent": f"client-{number}"}
        path = f"/public/services?client_id=c{number}&workspace=w{number}"
        found.append((await site.ask(path, headers=headers)).status_code)
    assert found == [200] * BURST + [429]


async def test_S25_a_user_does_not_starve_another(parts: Parts) -> None:
    """The limits of requests go by user; those of messages by connection, so that two clients of
    one user do not starve each other either (``tests/gateway/transports/test_http_stream.py``)."""
    site = Site(**LIMITED, user_burst_requests=BURST, user_requests_per_second=RATE)
    ann, bob = ({"authorization": f"Bearer {site.token(name)}"} for name in ("ann", "bob"))
    assert await site.statuses("/public/services", headers=ann) == [200] * BURST + [429]
    assert await site.statuses("/public/services", headers=bob) == [200] * BURST + [429]


async def test_S26_a_page_can_read_every_refusal() -> None:
    limits: dict[str, Any] = {"max_body_bytes": 1024, **LIMITED}
    app = create_app(Settings(ephemeral=True, port=9527, **limits))
    parts: Parts = app.state.parts
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    await ann.register("svc", {"f": int}, config={"visibility": "protected"})
    url = f"/{ann.workspace}/services/svc/f"
    public = "/public/services/hypha-login/start"
    expected: list[tuple[int, str, dict[str, Any]]] = [
        (401, url, {"headers": PAGE | {"authorization": "Bearer x"}}),
        (403, url, {"headers": PAGE}),
        (413, public, {"headers": PAGE, "content": b"x" * 2000}),
        (429, url, {"headers": PAGE}),
    ]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as http:
        for status, path, request in expected:
            answer = await http.post(path, **request)
            assert answer.status_code == status, answer.text
            assert answer.headers["access-control-allow-origin"] == "*"
    assert int(answer.headers["retry-after"]) >= 1


async def test_N8_any_origin_never_comes_with_credentials(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    await ann.register("svc", {"f": int})
    url = f"/{ann.workspace}"
    asking = PAGE | {"access-control-request-method": "POST", "cookie": "access_token=x"}
    for path in (f"{url}/services", f"{url}/services/svc/f", f"{url}/apps/svc/", f"{url}/mcp",
                 f"{url}/info", "/health", "/rpc", "/none", "/oauth/token"):  # fmt: skip
        for method, headers in (("GET", PAGE), ("OPTIONS", asking)):
            answer = await http.request(method, path, headers=headers)
            assert "access-control-allow-credentials" not in answer.headers, path
            assert answer.headers.get("access-control-allow-origin", "*") == "*", path


async def test_N8_a_page_of_another_site_does_not_act_with_the_visitors_cookie(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    token = parts.tokens.issue(User("ann"), expires_in_seconds=3600)
    ann = await Peer.join(parts, token=token)
    ran: list[int] = []
    await ann.register("svc", {"f": lambda *_: ran.append(1)}, config={"visibility": "protected"})
    cookie = {"cookie": f"access_token={token}"}
    url = f"/{ann.workspace}/services/svc/f"
    image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    await ann.register("site", {"index": lambda *_: ran.append(1)}, type="functions")
    asked = [
        *[("POST", url, PAGE | {"content-type": kind}) for kind in (JSON, FORM, "text/plain")],
        ("POST", url, PAGE),  # a page can leave the type out, and then need not ask before
        ("GET", url, image),
        ("GET", url, image | {"sec-fetch-site": "same-site"}),
        ("GET", url, image | {"sec-fetch-mode": "navigate"}),  # a link that the visitor follows
        (
            "GET",
            f"/{ann.workspace}/services/ws/generate_token",
            image | {"sec-fetch-mode": "navigate"},
        ),
        ("GET", url, PAGE),
        ("POST", f"/{ann.workspace}/apps/site/", PAGE),
    ]
    for method, path, headers in asked:
        answer = await http.request(method, path, headers=headers | cookie)
        assert answer.status_code == 403, answer.text
    assert not ran
    opened = image | {"sec-fetch-mode": "navigate"}
    assert (await http.get(f"/{ann.workspace}/apps/site/", headers=opened | cookie)).is_success
    own = {"origin": "http://127.0.0.1:9527"} | cookie
    assert (await http.post(url, json={}, headers=own)).status_code == 200


@pytest.mark.parametrize("path", ["/health-anything", "/health/../public/services", "/Health"])
async def test_N10_a_name_that_looks_like_a_probe_is_limited(path: str) -> None:
    site = Site(**LIMITED)
    assert (await site.statuses(path))[-1] == 429


async def test_N11_bodies_have_a_bound_at_every_door_and_so_has_what_they_inflate_to() -> None:
    limits: dict[str, Any] = {"max_body_bytes": 1024, "max_mcp_body_bytes": 1024}
    app = create_app(Settings(ephemeral=True, port=9527, **limits))
    parts: Parts = app.state.parts
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    await ann.register("svc", {"f": int})
    await ann.register("site", {"index": int}, type="functions")
    url = f"/{ann.workspace}"
    long = b'{"a": "' + b"x" * 5000 + b'"}'
    json = {"content-type": "application/json"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as http:
        bomb = json | {"content-encoding": "gzip"}
        answers = [
            await http.post(f"{url}/services/svc/f", content=long, headers=json),
            await http.post(f"{url}/services/svc/f", content=gzip.compress(long), headers=bomb),
            await http.post(f"{url}/apps/site/", content=long, headers=json),
            await http.post(f"{url}/mcp/svc/mcp", content=long, headers=json | MCP),
            await http.post("/public/services/hypha-login/start", content=long, headers=json),
        ]
    assert {answer.status_code for answer in answers} == {413}, [a.status_code for a in answers]


async def test_N9_N15_details_are_cheap_and_for_the_operator(app: Any, parts: Parts) -> None:
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as http:
        health = (await http.get("/health")).json()
        assert set(health) == {"status", "timestamp"}
        assert (await http.get("/metrics")).status_code == 403
        root = {"authorization": f"Bearer {'r0' * 20}"}
        first, second = [(await http.get("/health", headers=root)).json() for _ in range(2)]
        assert first["timestamp"] == second["timestamp"]  # made once, for all who ask
        config = (await http.get("/assets/config.json")).json()
        assert config["user"]["is_anonymous"] and "secret" not in str(config)
