"""What the gateway shows to browsers and to authorization servers, as they reach it."""

from __future__ import annotations

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings

PUBLIC = "https://gateway.example/polyport"


async def get(path: str, **settings: object) -> httpx.Response:
    app = create_app(Settings(ephemeral=True, port=9527, **settings))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as client:
        answer = await client.get(path)
    await app.state.parts.kept.audit.close()
    return answer


async def test_who_reads_what_the_gateway_is_finds_it_at_its_public_address() -> None:
    path = "/polyport/oauth/upstreams/client.json"
    read = (await get(path, public_base_url=PUBLIC, base_path="/polyport")).json()
    assert read["client_id"] == f"{PUBLIC}/oauth/upstreams/client.json"
    assert read["redirect_uris"] == [f"{PUBLIC}/oauth/upstreams/callback"]
    assert read["token_endpoint_auth_method"] == "none"


async def test_a_gateway_without_https_publishes_nothing() -> None:
    assert (await get("/oauth/upstreams/client.json")).status_code == 404


@pytest.mark.parametrize("query", ["", "?state=guessed&code=x", "?state=%00&error=access_denied"])
async def test_an_answer_that_nobody_waits_for_is_a_page_that_runs_nothing(query: str) -> None:
    page = await get(f"/oauth/upstreams/callback{query}")
    assert (page.status_code, page.headers["cache-control"]) == (404, "no-store")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "guessed" not in page.text
