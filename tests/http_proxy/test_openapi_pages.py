"""The pages that show the documents, and what they may load."""

from __future__ import annotations

import re

import httpx
import pytest

PAGES = ["/api-docs", "/ws-lab/api-docs", "/ws-lab/services/calc/docs"]


@pytest.mark.parametrize("path", [*PAGES, "/ws-lab/services/calc/docs/"])
async def test_a_page_loads_from_its_own_host_alone(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert set(re.findall(r"-src ([^;]+)", policy)) == {"'none'", "'self'", "'self' data:"}
    assert "unsafe" not in policy
    assert "://" not in page.text
    loaded = re.findall(r'(?:src|href)="([^"]+/assets/[^"]+)"', page.text)
    assert len(loaded) == 4
    for reference in loaded:
        asset = await client.get(str(httpx.URL(f"http://test{path}").join(reference)))
        assert (asset.status_code, bool(asset.headers["etag"])) == (200, True)


async def test_a_title_is_text(client: httpx.AsyncClient) -> None:
    page = await client.get("/%3Cscript%3Ealert(1)/api-docs")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


async def test_only_the_page_of_the_gateway_asks_for_a_workspace(client: httpx.AsyncClient) -> None:
    asked = ['id="choose"' in (await client.get(path)).text for path in PAGES]
    assert asked == [True, False, False]


@pytest.mark.parametrize("name", ["", "nope.js", "../pages.py", "%2e%2e/pages.py"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/api-docs/assets/{name}")).status_code == 404


async def test_a_page_of_a_service_follows_the_rules_of_the_service(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/ws-lab/services/private/docs")).status_code == 403
    token = {"Authorization": "Bearer good"}
    assert (await client.get("/ws-lab/services/private/docs", headers=token)).status_code == 200
