"""Frames that no client library sends: what they get, and that nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed

from tests.clients.gateways import Gateway
from tests.clients.raw import RawClient, admitted, call_header, rejection

TOO_BIG = 1009
IDENTITY = ("from", "to", "ws", "user", "ctx", "type", "method", "session", "parent")
OVER_RELAY_LIMIT = bytes(513 * 1024)
UNDER_RELAY_LIMIT = bytes(500 * 1024)
OVER_FRAME_LIMIT = bytes(16 * 1024 * 1024 + 1)
SERVER_TYPES = [
    "client_connected",
    "client_disconnected",
    "client_updated",
    "connected",
    "disconnected",
    "error",
    "force-exit",
    "manager_refreshed",
    "peer_not_found",
    "service_added",
    "service_removed",
    "service_updated",
    "services_registered",
    "services_registration_failed",
    "workspace_deleted",
]


@pytest.fixture
async def attacker(gateway: Gateway) -> AsyncIterator[RawClient]:
    async with admitted(gateway) as client:
        yield client


@pytest.fixture
async def victim(gateway: Gateway) -> AsyncIterator[RawClient]:
    async with admitted(gateway) as client:
        yield client


async def nothing_arrived_at(victim: RawClient, attacker: RawClient) -> None:
    """Messages between two clients stay in order, so the next one tells what came before."""
    await attacker.send({"type": "method", "to": victim.address, "method": "last"})
    assert (await victim.received()).header["method"] == "last"


@pytest.mark.parametrize(
    "frame",
    [
        b"\xc1",
        b"\x82\xa4type",
        b"garbage",
        msgpack.packb(7),
        msgpack.packb([{"type": "method"}]),
        msgpack.packb({}),
        msgpack.packb({"type": "method"}),
        msgpack.packb({"type": 1, "to": "x"}),
        msgpack.packb({"type": "method", "to": ["x"], "method": "m"}),
        msgpack.packb({"type": "method", "to": "x"}),
        msgpack.packb({"type": "method", "to": "x", "method": "m"}) + msgpack.packb([1]),
        msgpack.packb({"type": "method", "to": "x", "method": "m"}) + b"\x80" + b"\x80",
        msgpack.packb({str(i): i for i in range(100)} | {"type": "method", "to": "x"}),
        b"\x91" * 100_000,
    ],
    ids=range(14),
)
async def test_a_malformed_frame_is_answered_and_the_connection_goes_on(
    attacker: RawClient, frame: bytes
) -> None:
    await attacker.connection.send(frame)
    answer = await attacker.heard()
    assert answer["type"] == "error"
    assert answer["message"]
    assert await attacker.is_served()


async def test_an_empty_frame_is_answered_and_the_connection_goes_on(attacker: RawClient) -> None:
    await attacker.connection.send(b"")
    assert (await attacker.heard())["type"] == "error"
    assert await attacker.is_served()


async def test_a_client_that_only_sends_garbage_is_disconnected(attacker: RawClient) -> None:
    for _ in range(101):
        await attacker.connection.send(b"\xc1")
    closed = await attacker.closed()
    assert closed == (1008, "Too many malformed messages")


@pytest.mark.parametrize("key", IDENTITY)
async def test_a_body_that_claims_an_identity_is_refused_and_never_arrives(
    attacker: RawClient, victim: RawClient, key: str
) -> None:
    body = {"args": [], "promise": "*", key: victim.address}
    await attacker.send(call_header(victim.address, "services.secret.read"), body)
    assert f"must not have the key {key!r}" in rejection(await attacker.received())
    assert (await attacker.heard())["type"] == "error"
    await nothing_arrived_at(victim, attacker)


@pytest.mark.parametrize("key", IDENTITY)
async def test_a_body_that_claims_an_identity_is_refused_by_the_manager_too(
    attacker: RawClient, key: str
) -> None:
    header = call_header(attacker.manager, "services.default.get_summary")
    await attacker.send(header, {"args": [], "promise": "*", key: "root"})
    assert f"must not have the key {key!r}" in rejection(await attacker.received())
    assert (await attacker.heard())["type"] == "error"
    assert await attacker.is_served()


async def test_identity_in_a_header_is_replaced_by_the_real_one(
    attacker: RawClient, victim: RawClient
) -> None:
    forged = {"from": victim.address, "ws": victim.workspace, "user": {"id": "root"}}
    forged["ctx"] = {**forged, "user": {"id": "root"}}
    header = {**call_header(victim.address, "services.secret.read"), **forged, "extra": "dropped"}
    await attacker.send(header, {"args": [1]})
    assert await victim.received() == (
        {
            "type": "method",
            "to": victim.address,
            "method": "services.secret.read",
            "session": "s1",
            "from": attacker.address,
            "ws": attacker.workspace,
            "user": attacker.info["user"],
        },
        {"args": [1]},
    )


@pytest.mark.parametrize("to", ["victim", "manager", "everybody"])
@pytest.mark.parametrize("kind", SERVER_TYPES)
async def test_what_only_the_server_says_cannot_be_said_by_a_client(
    attacker: RawClient, victim: RawClient, kind: str, to: str
) -> None:
    address = {"victim": victim.address, "manager": attacker.manager, "everybody": "*"}[to]
    await attacker.send({"type": kind, "to": address, "peer_id": "x", "data": {"id": "x"}})
    assert (await attacker.heard())["type"] == "error"
    await nothing_arrived_at(victim, attacker)


async def test_a_frame_that_would_disconnect_its_receiver_is_not_relayed(
    attacker: RawClient, victim: RawClient
) -> None:
    header = call_header(victim.address, "services.secret.read")
    await attacker.send(header, {"args": [OVER_RELAY_LIMIT], "promise": "*"})
    reply = await attacker.received()
    assert reply.header["from"] == victim.address
    assert "over the limit" in rejection(reply)
    assert (await attacker.heard())["type"] == "error"
    await nothing_arrived_at(victim, attacker)

    await attacker.send(header, {"args": [UNDER_RELAY_LIMIT]})
    assert (await victim.received()).body == {"args": [UNDER_RELAY_LIMIT]}


async def test_a_frame_over_the_limit_ends_its_connection_and_no_other(
    attacker: RawClient, victim: RawClient
) -> None:
    with suppress(ConnectionClosed):
        await attacker.connection.send(OVER_FRAME_LIMIT)
    assert (await attacker.closed()).code == TOO_BIG
    assert await victim.is_served()


async def test_a_broadcast_stays_in_its_workspace(attacker: RawClient, victim: RawClient) -> None:
    assert await victim.ask_manager("subscribe", "gossip") is True
    await attacker.send({"type": "gossip", "to": f"{victim.workspace}/*", "data": 1})
    assert (await attacker.heard())["type"] == "error"
    await attacker.send({"type": "gossip", "to": "*", "data": 2})
    await nothing_arrived_at(victim, attacker)

    await victim.send({"type": "gossip", "to": "*", "data": 3})
    header = (await victim.received()).header
    assert (header["type"], header["from"], header["data"]) == ("gossip", victim.address, 3)


@pytest.mark.parametrize("method", [0, None, ["a"], "services.built-in.message_cache.set"])
async def test_an_event_of_a_clients_own_type_is_no_call_whatever_its_keys(
    attacker: RawClient, victim: RawClient, method: Any
) -> None:
    event = {"type": "gossip", "to": victim.address, "method": method, "session": "s1"}
    await attacker.send(event)
    header = (await victim.received()).header
    assert (header["type"], header["method"], header["from"]) == (
        "gossip",
        method,
        attacker.address,
    )
    assert "session" not in header


@pytest.mark.parametrize("event", ["method", "*", "error", "peer_not_found", "ws-other", "a-b/c"])
async def test_calls_and_foreign_events_cannot_be_subscribed_to(
    attacker: RawClient, event: str
) -> None:
    reply = await attacker.call(attacker.manager, "services.default.subscribe", event)
    assert rejection(reply).startswith(f"ValueError: Subscription to event '{event}' is forbidden")


async def test_a_call_to_nobody_fails_at_once_and_a_reply_to_nobody_is_dropped(
    attacker: RawClient,
) -> None:
    nobody = f"{attacker.workspace}/nobody"
    await attacker.send({"type": "method", "to": nobody, "method": "s9.resolve"}, {"args": [1]})
    await attacker.send(call_header("nobody", "services.x.y"), {"args": [], "promise": "*"})
    assert (await attacker.received()).header == {
        "type": "peer_not_found",
        "from": attacker.manager,
        "to": attacker.address,
        "session": "s1",
        "peer_id": nobody,
        "error": f"Peer {nobody} is not connected",
    }


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("services.default.nonsense", [], "not found"),
        ("services.nonsense.x", [], "KeyError: 'Service not found: nonsense'"),
        ("services.default.__init__", [], "not found"),
        ("services.default.get_service", [], "TypeError: Missing required argument: 'service_id'"),
        ("services.default.get_service", [[1]], "TypeError: "),
        ("services.default.get_service", ["a/b/c"], "ValueError: "),
        ("services.default.check_status", [1, 2], "TypeError: "),
        ("services.default.generate_token", [{"workspace": "ws-user-root"}], "PermissionError: "),
        ("services.built-in.message_cache.process", ["none"], "TypeError: Message with key none"),
        ("nonsense", [], "Method expired or not found: nonsense"),
        ("no.such.session", [], "Method expired or not found: no.such.session"),
    ],
)
async def test_a_call_of_the_manager_that_cannot_succeed_says_why(
    attacker: RawClient, method: str, args: list[Any], error: str
) -> None:
    assert error in rejection(await attacker.call(attacker.manager, method, *args))


@pytest.mark.parametrize(
    "body", [{"args": {"a": 1}}, {"args": [1], "with_kwargs": True}, {"promise": 7, "t": "soon"}]
)
async def test_a_call_of_the_manager_with_a_senseless_body_does_no_harm(
    attacker: RawClient, body: dict[str, Any]
) -> None:
    await attacker.send(call_header(attacker.manager, "services.default.check_status"), body)
    assert (await attacker.received()).header["method"] in ("s1.resolve", "s1.reject")
    assert await attacker.is_served()


async def test_nobody_but_the_called_client_can_answer_a_call(
    gateway: Gateway, attacker: RawClient, victim: RawClient
) -> None:
    async with admitted(gateway, token=await victim.ask_manager("generate_token")) as caller:
        call = asyncio.ensure_future(caller.ask_manager("ping", victim.address, 20))
        session = (await victim.received()).header["session"]
        answer = {"type": "method", "to": attacker.manager, "method": f"{session}.resolve"}
        await attacker.send(answer, {"args": ["forged"]})
        assert await attacker.is_served()
        await victim.send(answer, {"args": ["pong"]})
        assert await call == "pong"
