"""Results that are too long: cut, announced, and readable in pages by their caller."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import FakeGateway
from mcp_bridge.content import from_value
from mcp_bridge.oversize import KEPT_SECONDS, MAX_KEPT_BYTES_PER_CALLER, Oversize
from schema.identity import anonymous_http_caller
from tests.mcp_bridge.conftest import described
from tests.mcp_bridge.wire import LEGACY, MODERN, Door

PATH = "/ws-lab/mcp/long/mcp"
TEXT = "".join(f"line {number}\u00e9\n" for number in range(90_000))


def door_to(gateway: FakeGateway, function: Any, **declared: Any) -> Door:
    gateway.add_service(
        "ws-lab/worker:long", {"get": described(function, {}, **declared)}, visibility="public"
    )
    gateway.add_token("other", "bob", {"ws-lab": "r"})
    return Door(gateway)


async def got(door: Door, version: str = MODERN, token: str | None = None) -> list[Any]:
    headers = {"authorization": f"Bearer {token}"} if token else None
    response = await door.request(
        version, "tools/call", {"name": "get"}, path=PATH, headers=headers
    )
    assert "structuredContent" not in response.result
    return list(response.result["content"])


@pytest.mark.parametrize("version", [MODERN, LEGACY[-1]])
async def test_a_long_result_is_cut_announced_and_read_in_pages(
    gateway: FakeGateway, version: str
) -> None:
    assert len(TEXT) > 1_000_000
    door = door_to(gateway, lambda: TEXT)
    text, note, link = await got(door, version)
    assert text["text"] == TEXT[:100_000]
    assert f"{len(TEXT) - 100_000} of {len(TEXT)} characters are left out" in note["text"]
    assert link["type"] == "resource_link"
    read, uri = "", link["uri"]
    while uri:
        response = await door.request(version, "resources/read", {"uri": uri}, path=PATH)
        (page,) = response.result["contents"]
        assert len(page["text"]) <= 50_000
        read, uri = read + page["text"], page["_meta"].get("polyport/next")
    assert read == TEXT


async def test_another_caller_cannot_read_it(gateway: FakeGateway) -> None:
    door = door_to(gateway, lambda: TEXT)
    uri = (await got(door, token="good"))[-1]["uri"]
    for token, status in (("good", 200), ("other", 400)):
        headers = {"authorization": f"Bearer {token}"}
        response = await door.request(
            MODERN, "resources/read", {"uri": uri}, path=PATH, headers=headers
        )
        assert response.status == status


async def test_a_provider_sets_the_limit(gateway: FakeGateway) -> None:
    door = door_to(gateway, lambda: list(range(1_000)), maxResultChars=20)
    assert (await got(door))[0]["text"] == "[0,1,2,3,4,5,6,7,8,9"


async def test_large_data_becomes_a_link(gateway: FakeGateway) -> None:
    data = b"\x89PNG\r\n\x1a\n" + bytes(4 * 1024 * 1024)
    door = door_to(gateway, lambda: data)
    note, link = await got(door)
    assert "image/png" in note["text"]
    response = await door.request(MODERN, "resources/read", {"uri": link["uri"]}, path=PATH)
    (read,) = response.result["contents"]
    assert (read["mimeType"], len(read["blob"])) == ("image/png", -(-len(data) // 3) * 4)


def test_what_is_kept_is_bounded_and_expires() -> None:
    now = 0.0
    kept, caller = Oversize(lambda: now), anonymous_http_caller()
    part = "x" * (MAX_KEPT_BYTES_PER_CALLER // 2)
    links = [kept.fit(caller, from_value(part), 10).content[-1]["uri"] for _ in range(3)]
    assert [kept.read(caller, uri) is not None for uri in links] == [False, True, True]
    now = KEPT_SECONDS + 1
    assert kept.read(caller, links[-1]) is None
    too_much = kept.fit(caller, from_value("x" * (MAX_KEPT_BYTES_PER_CALLER + 1)), 10)
    assert [block["type"] for block in too_much.content] == ["text", "text"]


@pytest.mark.parametrize("page", ["0", "99", "-1", "x", "9" * 30])
async def test_a_page_that_is_not_there_is_an_error(gateway: FakeGateway, page: str) -> None:
    door = door_to(gateway, lambda: TEXT)
    uri = (await got(door))[-1]["uri"].replace("page=1", f"page={page}")
    response = await door.request(MODERN, "resources/read", {"uri": uri}, path=PATH)
    assert response.error["code"] == -32602
