"""``subscriptions/listen``: what a client hears of changes, and what it does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.testing import FakeGateway
from mcp_bridge.exchange import Timing
from tests.mcp_bridge.conftest import INTEGERS, add, described
from tests.mcp_bridge.wire import CALC, META, MODERN, Door, Live
from tests.patience import PATIENCE_SECONDS

ALL = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
TAG = f"{META}subscriptionId"


def listen(door: Door, wanted: Any, *, path: str = CALC, token: str | None = None) -> Live:
    headers = {"authorization": f"Bearer {token}"} if token else None
    params = {"notifications": wanted}
    return door.begin(MODERN, "subscriptions/listen", params, path=path, headers=headers)


def renew(gateway: FakeGateway, functions: dict[str, Any], **info: Any) -> None:
    usual = {"name": "Calculator", "description": "Adds.", "visibility": "public"}
    gateway.add_service("ws-lab/worker:calc", functions, **(usual | info))


async def test_the_first_event_says_what_is_honoured_and_all_carry_the_id(
    door: Door, gateway: FakeGateway
) -> None:
    live = listen(door, {"toolsListChanged": True, "promptsListChanged": False, "other": True})
    await live.until_body_has("acknowledged")
    renew(gateway, {"sub": described(add, INTEGERS)})
    await live.until_body_has("tools/list_changed")
    live.leave()
    acknowledged, changed = (await live.finished()).events
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}
    assert acknowledged["params"]["_meta"] == changed["params"]["_meta"] == {TAG: 1}
    assert changed["method"] == "notifications/tools/list_changed"


async def test_a_service_that_goes_and_comes_back_is_a_change_each_time(
    door: Door, gateway: FakeGateway
) -> None:
    live = listen(door, ALL)
    await live.until_body_has("acknowledged")
    gateway.remove_service("ws-lab/worker:calc")
    await live.until_body_has("tools/list_changed")
    renew(gateway, {"sub": described(add, INTEGERS)})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while live.response.body.count(b"tools/list_changed") < 2:
            await live.until_more()
    live.leave()
    await live.finished()


async def test_what_looks_the_same_afterwards_is_no_change(
    door: Door, gateway: FakeGateway
) -> None:
    gateway.add_service(
        "ws-lab/worker:same", {"add": described(add, INTEGERS)}, visibility="public"
    )
    same, other = (
        listen(door, {"toolsListChanged": True}, path=f"/ws-lab/mcp/{name}/mcp")
        for name in ("same", "calc")
    )
    for live in (same, other):
        await live.until_body_has("acknowledged")
    gateway.add_service(
        "ws-lab/worker:same", {"add": described(add, INTEGERS)}, visibility="public"
    )
    renew(gateway, {})
    await other.until_body_has("tools/list_changed")
    for live in (same, other):
        live.leave()
    assert len((await same.finished()).events) == 1
    assert len((await other.finished()).events) == 2


async def test_a_watched_resource_is_told_when_it_has_changed(
    door: Door, gateway: FakeGateway
) -> None:
    renew(gateway, {"about": "old", "kept": "same"})
    about, kept = "polyport://calc/about", "polyport://calc/kept"
    live = listen(door, {"resourceSubscriptions": [about, kept, "polyport://calc/no"]})
    await live.until_body_has("acknowledged")
    renew(gateway, {"about": "new", "kept": "same"})
    await live.until_body_has("resources/updated")
    live.leave()
    acknowledged, *updates = (await live.finished()).events
    honoured = acknowledged["params"]["notifications"]
    assert honoured == {"resourceSubscriptions": [about, kept]}
    assert about in [update["params"]["uri"] for update in updates]


async def test_a_client_whose_credential_is_taken_back_hears_the_end(
    door: Door, gateway: FakeGateway
) -> None:
    live = listen(door, ALL, path="/ws-lab/mcp/private/mcp", token="good")
    await live.until_body_has("acknowledged")
    del gateway.tokens["good"]
    gateway.add_service("ws-lab/worker:private", {})
    response = await live.finished()
    assert response.events[-1]["result"]["resultType"] == "complete"
    assert "list_changed" not in response.body.decode()


async def test_a_stopping_server_ends_every_stream_with_a_result(door: Door) -> None:
    live = listen(door, ALL)
    await live.until_body_has("acknowledged")
    for stop in door.context.on_stop:
        stop()
    last = (await live.finished()).events[-1]
    assert last["id"] == 1
    assert last["result"]["resultType"] == "complete"
    assert last["result"]["_meta"][TAG] == 1


async def test_an_idle_stream_is_kept_alive(gateway: FakeGateway) -> None:
    live = listen(Door(gateway, timing=Timing(keep_alive_seconds=0.01)), ALL)
    await live.until_body_has(": keep-alive")
    live.leave()
    await live.finished()


async def test_streams_are_limited_for_each_and_for_all(gateway: FakeGateway) -> None:
    for door in (Door(gateway, max_mcp_streams=1), Door(gateway, max_mcp_streams_per_user=1)):
        first = listen(door, ALL)
        await first.until_body_has("acknowledged")
        refused = await listen(door, ALL).finished()
        assert refused.status == 429
        assert refused.error["data"]["code"] == "limit_exceeded"
        first.leave()
        await first.finished()
        again = listen(door, ALL)
        await again.until_body_has("acknowledged")
        again.leave()
        await again.finished()


@pytest.mark.parametrize(
    "wanted", [None, [], {"resourceSubscriptions": "x"}, {"resourceSubscriptions": ["x"] * 101}]
)
async def test_a_filter_that_cannot_be_read_is_refused(door: Door, wanted: Any) -> None:
    response = await listen(door, wanted).finished()
    assert (response.status, response.error["code"]) == (400, -32602)


async def test_a_stream_needs_a_client_that_takes_events(door: Door) -> None:
    headers = {"accept": "application/json"}
    params = {"notifications": ALL}
    response = await door.request(MODERN, "subscriptions/listen", params, headers=headers)
    assert response.status == 406


async def test_list_changes_are_promised_where_they_are_told(door: Door) -> None:
    discovered = (await door.request(MODERN, "server/discover")).result
    assert discovered["capabilities"]["tools"] == {"listChanged": True}
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }
    opened = (await door.request(None, "initialize", params)).result
    assert opened["capabilities"]["tools"] == {}
    old = await door.request("2025-11-25", "subscriptions/listen", {"notifications": ALL})
    assert old.error["code"] == -32601
