"""What happens in a workspace is told to those who asked for it, in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.behaviour.joining import Join
from tests.behaviour.wire import Client, Rejected

CLIENT_EVENTS = ["client_connected", "client_updated", "client_disconnected"]


async def say_goodbye(client: Client) -> None:
    """Leave by websocket as client libraries do."""
    await client.connection.close()  # type: ignore[attr-defined]


async def test_a_client_is_heard_to_come_to_offer_and_to_go(join_websocket: Join) -> None:
    owner, stranger = await join_websocket(), await join_websocket()
    for client in (owner, stranger):
        assert await client.manager("subscribe", [*CLIENT_EVENTS, "service_added"]) is True
    member = await join_websocket.member(owner, "member")
    await member.register("built-in")
    full = await member.register("s")
    await member.register("built-in")
    await say_goodbye(member)
    events = [(await owner.message()).header for _ in range(4)]
    absolute = {"id": member.address, "workspace": owner.workspace}
    assert [(e["type"], e["data"]) for e in events if e["type"] != "service_added"] == [
        ("client_connected", absolute),
        ("client_updated", absolute),
        ("client_disconnected", {"id": "member", "workspace": owner.workspace}),
    ]
    assert (events[1]["type"], events[1]["data"]["id"]) == ("service_added", full)
    assert await owner.manager("list_services") == []
    await stranger.manager("echo", 1)
    assert stranger.unread() == []


async def test_whoever_is_told_of_a_departure_finds_no_service_of_the_departed(
    join_websocket: Join,
) -> None:
    owner = await join_websocket()
    await owner.manager("subscribe", ["client_disconnected", "service_removed"])
    member = await join_websocket.member(owner)
    await member.register("s")
    await say_goodbye(member)
    await owner.event("client_disconnected")
    assert await owner.manager("list_services") == []
    assert owner.unread() == []  # no event for each service


async def test_a_caller_of_another_workspace_is_told_that_its_peer_has_gone(
    join_websocket: Join,
) -> None:
    caller, provider = await join_websocket(), await join_websocket()
    await provider.register("s", {"f": lambda: 1})
    assert await caller.call(provider.address, "services.s.f") == 1
    await say_goodbye(provider)
    event = (await caller.event("client_disconnected")).header
    assert event == {
        "type": "client_disconnected",
        "to": "*",
        "data": {"id": provider.info["client_id"], "workspace": provider.workspace},
    }


async def test_without_a_subscription_nothing_is_delivered(join: Join) -> None:
    client = await join()
    await client.register("s")
    await client.send({"type": "gossip", "to": "*"})
    assert await client.manager("subscribe", "gossip") is True
    assert await client.manager("unsubscribe", ["gossip"]) is True
    await client.send({"type": "gossip", "to": "*"})
    await client.manager("echo", 1)
    assert client.unread() == []


@pytest.mark.parametrize("event", ["method", "error", "elsewhere-1/news", "ws-other"])
async def test_events_of_others_and_calls_cannot_be_subscribed_to(join: Join, event: str) -> None:
    client = await join()
    with pytest.raises(
        Rejected, match=f"^ValueError: Subscription to event '{event}' is forbidden"
    ):
        await client.manager("subscribe", event)


async def test_events_of_the_own_workspace_can_be_subscribed_to_by_any_name(join: Join) -> None:
    client = await join()
    names: list[Any] = ["service_updated", "workspace_changed", f"{client.workspace}/news", "x.y"]
    for name in names:
        assert await client.manager("subscribe", name) is True


async def test_an_event_reaches_every_subscriber_once_however_often_it_subscribed(
    join: Join,
) -> None:
    client = await join()
    second = await join.member(client)
    for _ in range(2):
        await client.manager("subscribe", ["gossip", "gossip"])
    await second.manager("subscribe", "gossip")
    await client.send({"type": "gossip", "to": "*", "data": 1})
    await asyncio.gather(client.event("gossip"), second.event("gossip"))
    await client.manager("echo", 1)
    assert client.unread() == []
