"""The page of a workspace, and its services in pages."""

from __future__ import annotations

import re

import httpx
import pytest

from gateway.testing import FakeGateway

TOKEN = {"Authorization": "Bearer good"}


async def test_a_workspace_has_a_page_that_shows_how_to_use_its_services(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/ws-lab/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for line in ("/ws-lab/mcp/calc/mcp", "curl &#x27;http", "get_service(&quot;ws-lab/worker:calc"):
        assert line in answer.text
    assert "private" not in re.sub("<style>.*?</style>", "", answer.text)
    assert "worker:private" in (await client.get("/ws-lab/", headers=TOKEN)).text


async def test_the_page_of_a_workspace_that_is_not_there_says_so_little_as_an_empty_one(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/ws-none/")
    assert answer.status_code == 200
    assert "0 services for you here" in answer.text
    assert "Protected services are shown to those who may use them" in answer.text


async def test_what_providers_write_is_text_on_the_page(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.add_service(
        "ws-lab/w:evil", {}, name="<script>x</script>", description="<b>&", visibility="public"
    )
    text = (await client.get("/ws-lab/")).text
    assert "&lt;script&gt;" in text
    assert "<script" not in text and "<b>" not in text


async def test_a_name_with_a_hyphen_leads_to_the_page_and_another_to_no_file(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/ws-lab?a=b")
    assert (answer.status_code, answer.headers["location"]) == (307, "./ws-lab/?a=b")
    missing = await client.get("/favicon.ico")
    assert (missing.status_code, missing.json()["detail"]) == (404, "File not found: favicon.ico")


@pytest.mark.parametrize("name", ["health", "metrics", "login", "api-docs"])
async def test_a_path_of_the_server_with_a_slash_is_no_page_of_a_workspace(
    client: httpx.AsyncClient, name: str
) -> None:
    assert (await client.get(f"/{name}/")).status_code == 404
    assert (await client.get("/public/")).status_code == 200


async def test_services_come_in_pages_that_lead_to_each_other(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    for name in "edcba":
        gateway.add_service(f"ws-lab/w:{name}", {}, visibility="public", type="letter")
    path, seen = "/ws-lab/services?type=letter&limit=2", []
    for _ in range(3):
        answer = await client.get(path)
        seen.append([entry["id"] for entry in answer.json()])
        link = answer.headers.get("link")
        path = "/ws-lab/services" + link[1 : link.index(">")] if link else ""
    assert seen == [["w:a", "w:b"], ["w:c", "w:d"], ["w:e"]]
    assert path == ""


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "limit=²", "visibility=odd"])
async def test_a_choice_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, query: str
) -> None:
    assert (await client.get(f"/ws-lab/services?{query}")).status_code == 400


async def test_services_are_chosen_by_visibility(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ws-lab/services?visibility=protected", headers=TOKEN)
    assert [entry["id"] for entry in answer.json()] == ["worker:private"]


async def test_a_page_that_starts_from_nothing_learns_who_and_where_it_is(
    client: httpx.AsyncClient,
) -> None:
    told = (await client.get("/assets/config.json", headers=TOKEN)).json()
    assert told["user"]["id"] == "alice"
    assert told["login_service_url"] == f"{told['public_base_url']}/public/services/hypha-login"
