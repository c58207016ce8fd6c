"""Headers, bodies, addresses and replies, as they are on the wire."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest

from tests.behaviour.joining import Join
from tests.behaviour.wire import Message, Rejected, encoded

USER_KEYS = {
    "id", "roles", "is_anonymous", "scope", "email", "parent", "expires_at", "current_workspace",
}  # fmt: skip


async def test_a_call_shows_who_calls_and_nothing_else(join: Join) -> None:
    caller, provider = await join(), await join()
    header = {"type": "method", "to": provider.address, "method": "services.s.f"}
    await caller.send(header | {"session": "s1", "parent": "p1"}, {"args": []})
    received = (await provider.message()).header
    assert received == {
        **header,
        "session": "s1",
        "parent": "p1",
        "from": caller.address,
        "ws": caller.workspace,
        "user": received["user"],
    }
    assert received["user"].keys() == USER_KEYS
    assert received["user"]["id"] == caller.workspace.removeprefix("ws-user-")
    assert received["user"]["scope"].keys() == {
        "current_workspace", "workspaces", "client_id", "extra_scopes",
    }  # fmt: skip


async def test_who_a_header_says_it_comes_from_does_not_matter(join: Join) -> None:
    attacker, victim = await join(), await join()
    claimed = {"from": victim.address, "ws": victim.workspace, "user": {"id": "root"}}
    header = {"type": "method", "to": victim.address, "method": "services.s.f"}
    await attacker.send({**header, **claimed, "ctx": {"user": {"id": "root"}}}, {"args": []})
    received = (await victim.message()).header
    assert received == {
        **header,
        "from": attacker.address,
        "ws": attacker.workspace,
        "user": attacker.info["user"],
    }


@pytest.mark.parametrize("key", ["from", "to", "ws", "user", "ctx", "type", "method", "session"])
async def test_a_body_that_says_who_it_comes_from_does_not_arrive(join: Join, key: str) -> None:
    attacker, victim = await join(), await join()
    header = {"type": "method", "to": victim.address, "method": "services.s.f"}
    await attacker.send(header, {"args": [], key: "x"})
    assert (await attacker.control({"type": "ping"}))["type"] == "error"
    await attacker.send({**header, "method": "last"})
    assert (await victim.message()).header["method"] == "last"


async def test_a_broadcast_into_another_workspace_arrives_nowhere(join: Join) -> None:
    attacker, victim = await join(), await join()
    await victim.manager("subscribe", "news")
    await attacker.send({"type": "news", "to": f"{victim.workspace}/*"})
    assert (await attacker.control({"type": "ping"}))["type"] == "error"
    await attacker.send({"type": "method", "to": victim.address, "method": "last"})
    assert (await victim.message()).header["method"] == "last"


async def test_a_bare_client_id_means_the_own_workspace(join: Join) -> None:
    owner = await join()
    second = await join.member(owner, "second")
    await owner.send({"type": "method", "to": "second", "method": "services.s.f"})
    assert (await second.message()).header["to"] == second.address


async def test_the_managers_own_calls_come_from_the_workspace_of_the_provider(join: Join) -> None:
    provider, caller = await join(), await join()
    full = await provider.register("s")
    await caller.manager("get_service", full)
    header = next(
        c.header for c in provider.calls if c.header["method"] == "services.built-in.get_service"
    )
    assert (header["from"], header["ws"], header["to"]) == (
        provider.manager_address,
        provider.workspace,
        provider.address,
    )
    assert header["user"].keys() == USER_KEYS


async def test_a_reply_of_the_manager_has_one_argument_and_comes_from_where_the_call_went(
    join: Join,
) -> None:
    client = await join()
    reply = await client.raw_call(
        client.manager_address, "services.default.log", {"args": ["x"], "promise": "*"}, "s1"
    )
    assert reply.header == {
        "type": "method",
        "from": client.manager_address,
        "to": client.address,
        "method": "s1.resolve",
        "parent": "s1",
        "ws": client.workspace,
        "user": reply.header["user"],
    }
    assert reply.body == {"args": [None]}


async def test_a_rejection_of_the_manager_is_one_error(join: Join) -> None:
    client = await join()
    reply = await client.raw_call(
        client.manager_address,
        "services.default.get_service",
        {"args": ["no"], "promise": "*"},
        "s",
    )
    assert (reply.header["method"], reply.header["from"]) == ("s.reject", client.manager_address)
    (error,) = reply.body["args"]
    assert error.keys() == {"_rtype", "_rvalue", "_rtrace"}
    assert error["_rtype"] == "error"
    assert error["_rvalue"] == f"KeyError: 'Service not found: {client.workspace}/*:no@*'"


@pytest.mark.parametrize("heartbeat", [True, False])
async def test_an_explicit_promise_is_kept_where_it_says(join: Join, heartbeat: bool) -> None:
    client = await join()

    def reply(action: str) -> dict[str, Any]:
        return encoded(client.info["client_id"], f"outer.inner.{action}") | {"_rpromise": False}

    promise: dict[str, Any] = {"resolve": reply("resolve"), "reject": reply("reject")}
    if heartbeat:
        promise |= {"heartbeat": reply("heartbeat"), "interval": 0.1}
    silent = await join.member(client)
    del silent.functions["services.built-in.ping"]
    body = {"args": [silent.address, 0.5], "promise": promise}
    answer = await client.raw_call(
        client.manager_address, "services.default.ping", body, "outer.inner"
    )
    assert answer.header["method"] == "outer.inner.resolve"
    assert bool(client.heartbeats) is heartbeat
    assert set(client.heartbeats) <= {"outer.inner.heartbeat"}


async def test_a_long_function_of_the_manager_sends_heartbeats(join: Join) -> None:
    client = await join()
    silent = await join.member(client)
    del silent.functions["services.built-in.ping"]
    body = {"args": [silent.address, 0.6], "promise": "*", "t": 0.1}
    await client.raw_call(client.manager_address, "services.default.ping", body, "s")
    assert len(client.heartbeats) >= 3
    assert set(client.heartbeats) == {"s.heartbeat"}


async def test_a_call_without_a_session_is_not_answered(join: Join) -> None:
    client = await join()
    for method in ("services.default.log", "services.default.nonsense", "services.x.y"):
        header = {"type": "method", "to": client.manager_address, "method": method}
        await client.send(header, {"args": ["x"]})
    assert await client.manager("echo", 1) == 1
    assert client.unread() == []


async def test_arguments_by_name_are_the_last_element(join: Join) -> None:
    client = await join()
    full = await client.register("s")
    body = {"args": ["s", {"config": {"mode": "first"}}], "with_kwargs": True, "promise": "*"}
    reply = await client.raw_call(client.manager_address, "services.default.get_service", body)
    assert reply.body["args"][0]["id"] == full
    by_position = await client.manager("get_service", "s", {"mode": "first"})
    assert by_position["id"] == full
    # Without the mark a map is an argument like any other.
    assert await client.manager("echo", {"data": 1}) == {"data": 1}


async def test_a_body_of_any_content_passes_byte_for_byte(join: Join) -> None:
    caller, provider = await join(), await join()
    when = msgpack.Timestamp.from_datetime(datetime(2030, 1, 1, tzinfo=UTC))
    content = {
        "z": [2**63, -(2**63), 1.5, None, True, when],
        "args": [b"\xff\x00", "text", {"_rtype": "of-somebody", "x": 1}, msgpack.ExtType(5, b"x")],
        "a": {"": 1},
    }
    # As no encoder of ours would write it: an integer in more bytes than it needs.
    body = msgpack.packb(content)[:-1] + b"\xd3" + (1).to_bytes(8, "big")
    header = {"type": "method", "to": provider.address, "method": "m"}
    await caller.send_bytes(msgpack.packb(header) + body)
    assert (await provider.message()).body_bytes == body


async def test_an_encrypted_body_passes_byte_for_byte(join: Join) -> None:
    caller, provider = await join(), await join()
    header = {"type": "method", "to": provider.address, "method": "services.s.f", "session": "s"}
    secret = {"v": 2, "pub": secrets.token_bytes(32), "nonce": secrets.token_bytes(24)}
    body = {"_enc": secret, "data": secrets.token_bytes(100)}
    await caller.send(header, body)
    received = await provider.message()
    assert received.body_bytes == msgpack.packb(body)
    assert received.header["session"] == "s"


async def test_a_public_key_in_a_function_is_handed_on_as_bytes(join: Join) -> None:
    client = await join()
    function = encoded(client.address, "services.s.f") | {"_renc_pub": bytes(range(32))}
    assert await client.manager("echo", function) == function


async def test_messages_arrive_in_the_order_in_which_they_were_sent(join: Join) -> None:
    caller, provider = await join(), await join()
    for number in range(100):
        header = {"type": "method", "to": provider.address, "method": f"m{number}"}
        await caller.send(header, {"args": [bytes(1000 * (number % 7))]})
    arrived = [(await provider.message()).header["method"] for _ in range(100)]
    assert arrived == [f"m{number}" for number in range(100)]


async def test_a_broadcast_keeps_its_address_and_an_event_has_a_star(join: Join) -> None:
    client = await join()
    await client.manager("subscribe", ["gossip", "service_added"])
    await client.send({"type": "gossip", "to": "*", "data": 1})
    gossip = (await client.event("gossip")).header
    assert (gossip["to"], gossip["from"]) == (f"{client.workspace}/*", client.address)
    await client.register("s")
    event = await client.event("service_added")
    assert event.header == {"type": "service_added", "to": "*", "data": event.header["data"]}
    assert event.body_bytes == b""


async def test_readers_cannot_broadcast(join: Join) -> None:
    owner = await join()
    reader = await join.member(owner, permission="read")
    await owner.manager("subscribe", "gossip")
    await reader.send({"type": "gossip", "to": "*", "data": "from the reader"})
    await reader.settled()
    await owner.send({"type": "gossip", "to": "*", "data": "from the owner"})
    assert (await owner.event("gossip")).header["data"] == "from the owner"


async def test_what_goes_to_nobody_fails_at_once_if_somebody_waits_for_it(join: Join) -> None:
    client = await join()
    stranger = await join()
    for to in ("nobody", f"{stranger.workspace}/nobody", "*/nobody"):
        absolute = to if "/" in to else f"{client.workspace}/{to}"
        reply = await client.raw_call(to, "services.s.f", {"args": [], "promise": "*"}, "s")
        assert reply.header == {
            "type": "peer_not_found",
            "from": client.manager_address,
            "to": client.address,
            "session": "s",
            "peer_id": absolute,
            "error": f"Peer {absolute} is not connected",
        }
        for action in ("resolve", "reject", "heartbeat"):
            await client.send({"type": "method", "to": to, "method": f"s.{action}"}, {"args": [1]})
    assert await client.manager("echo", 1) == 1
    assert client.unread() == []


@pytest.mark.parametrize("kind", ["connection_info", "reconnection_token"])
async def test_nobody_can_send_control_messages_to_others(join: Join, kind: str) -> None:
    attacker, victim = await join(), await join()
    forged = {"type": kind, "to": victim.address, "manager_id": "x", "reconnection_token": "x"}
    await attacker.send(forged)
    await attacker.settled()
    await attacker.send({"type": "method", "to": victim.address, "method": "last"})
    assert (await victim.message()).header["method"] == "last"


@pytest.mark.parametrize(
    "value",
    [
        {"_rtype": "ndarray", "_rvalue": bytes(8), "_rshape": [2], "_rdtype": "float32"},
        {"_rtype": "typedarray", "_rvalue": bytes(8), "_rdtype": "uint32"},
        {"_rtype": "memoryview", "_rvalue": b"x"},
        {"_rtype": "set", "_rvalue": [1, 2]},
        {"_rtype": "orderedmap", "_rvalue": [["a", 1]]},
        {"_rtype": "error", "_rvalue": "text", "_rtrace": ""},
        {"_rtype": "pydantic_model", "_rvalue": {}, "_rschema": {}},
        {"_rtype": "of-somebody", "x": [1, {"_rtype": "other"}]},
        [1, 2**64 - 1, -(2**63), 0.5, True, None, "x", b"x", {"": []}],
    ],
    ids=lambda value: value["_rtype"] if isinstance(value, dict) else "plain",
)
async def test_every_kind_of_value_comes_back_from_echo(join: Join, value: Any) -> None:
    client = await join()
    assert await client.manager("echo", value) == value


@pytest.mark.parametrize("kind", ["method", "generator"])
async def test_functions_among_values_are_found_from_wherever_they_are_passed_on(
    join: Join, kind: str
) -> None:
    client, caller = await join(), await join()
    inner = encoded(client.info["client_id"], "services.s.f") | {"_rtype": kind}
    echoed = await client.manager("echo", {"deep": [{"er": inner}]})
    assert echoed["deep"][0]["er"] == inner | {"_rtarget": client.address}

    await client.register("s")
    client.functions["services.built-in.get_service"] = lambda wanted: {
        "id": wanted, "deep": [{"er": inner}], "manager": encoded(client.manager_address, "x"),
    }  # fmt: skip
    service = await caller.manager("get_service", f"{client.address}:s")
    assert service["deep"][0]["er"]["_rtarget"] == client.address
    assert service["manager"]["_rtarget"] == client.manager_address


async def test_an_error_of_a_provider_reaches_the_caller_untouched(join: Join) -> None:
    provider, caller = await join(), await join()

    def fail() -> None:
        raise RuntimeError("out of order")

    await provider.register("s", {"fail": fail})
    with pytest.raises(Rejected, match=r"^RuntimeError: out of order$"):
        await caller.call(provider.address, "services.s.fail")
    reply: Message = await caller.raw_call(provider.address, "services.s.fail", {"args": []})
    assert reply.header["from"] == provider.address
