from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest

from gateway.app import Parts
from gateway.routing.router import SERVER_TYPES
from schema.errors import InvalidMessage, PayloadTooLarge, PermissionDenied
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS


def decode(data: bytes) -> list[Any]:
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(data)
    return list(unpacker)


async def neighbours(parts: Parts) -> tuple[Peer, Peer]:
    """Two clients of one workspace."""
    first = await Peer.join(parts, "first")
    token = await first.manager("generate_token")
    return first, await Peer.join(parts, "second", token=token)


async def test_the_body_reaches_the_target_byte_for_byte(parts: Parts) -> None:
    first, second = await neighbours(parts)
    second.mute = True
    args = b"\xa4args\x92\xc4\x02\x00\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
    body = b"\x82" + args + b"\xa1t\xcb\x40\x2e\x00\x00\x00\x00\x00\x00"
    header = {"type": "method", "to": "second", "method": "services.x.f"}
    parts.router.route(first.session, msgpack.packb(header) + body)
    assert second.frames[-1].endswith(body)


async def test_identity_keys_are_the_servers_whatever_the_header_says(parts: Parts) -> None:
    first, second = await neighbours(parts)
    second.mute = True
    forged = {"from": "w/root", "ws": "w", "user": {"id": "root"}, "ctx": {"user": {"id": "root"}}}
    first.send({"type": "method", "to": "second", "method": "services.x.f", "extra": 1, **forged})
    (header,) = decode(second.frames[-1])
    assert header == {
        "type": "method",
        "from": first.address,
        "to": second.address,
        "ws": first.workspace,
        "user": first.session.caller.user_on_wire(),
        "method": "services.x.f",
    }


async def test_a_body_with_identity_keys_never_reaches_the_target(parts: Parts) -> None:
    first, second = await neighbours(parts)
    seen = len(second.frames)
    header = {"type": "method", "to": "second", "method": "services.x.f", "session": "s"}
    with pytest.raises(InvalidMessage):
        first.send(header, {"args": [], "from": "w/root"})
    assert len(second.frames) == seen


async def test_a_custom_message_keeps_its_own_keys(parts: Parts) -> None:
    first, second = await neighbours(parts)
    first.send({"type": "greeting", "to": "second", "data": {"n": 1}, "ctx": "forged"})
    message = await second.event("greeting")
    assert message["data"] == {"n": 1}
    assert message["from"] == first.address
    assert "ctx" not in message


@pytest.mark.parametrize("kind", sorted(SERVER_TYPES | {"workspace_deleted"}))
async def test_types_of_the_server_cannot_be_sent_by_clients(parts: Parts, kind: str) -> None:
    first, second = await neighbours(parts)
    seen = len(second.frames)
    with pytest.raises(InvalidMessage):
        first.send({"type": kind, "to": "second", "session": "s", "peer_id": first.address})
    assert len(second.frames) == seen


@pytest.mark.parametrize(
    "header",
    [
        {"to": "second"},
        {"type": 5, "to": "second"},
        {"type": "method", "to": None, "method": "m"},
        {"type": "method", "to": "second"},
        {"type": "method", "to": "second", "method": "m", "session": 5},
        {"type": "method", "to": "second", "method": "m", "parent": []},
    ],
)
async def test_a_header_of_the_wrong_form_is_refused(parts: Parts, header: Any) -> None:
    first, _ = await neighbours(parts)
    with pytest.raises(InvalidMessage):
        first.send(header)


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        b"\x81\xa4args",
        msgpack.packb([1]),
        msgpack.packb({"args": [], "ctx": {}}),
        b"\x81\xa4args" + b"\x91" * 20_000 + b"\xc0",
    ],
)
@pytest.mark.parametrize("to", ["second", "the manager"])
async def test_a_call_whose_body_is_bad_is_rejected_to_its_sender(
    parts: Parts, body: bytes, to: str
) -> None:
    first, second = await neighbours(parts)
    seen = len(second.frames)
    to = parts.router.manager_address if to == "the manager" else to
    header = {"type": "method", "to": to, "method": "services.default.echo", "session": "s"}
    with pytest.raises(InvalidMessage):
        parts.router.route(first.session, msgpack.packb(header) + body)
    answer, failure = decode(first.frames[-1])
    assert answer["method"] == "s.reject"
    assert answer["from"] == (to if "/" in to else f"{first.workspace}/{to}")
    assert failure["args"][0]["_rvalue"].startswith("ValueError: ")
    assert len(second.frames) == seen


async def test_a_call_to_nobody_fails_at_once_and_a_reply_to_nobody_is_dropped(
    parts: Parts,
) -> None:
    first, _ = await neighbours(parts)
    with pytest.raises(RemoteFailure, match=r"Peer .*/nobody is not connected"):
        await first.call("nobody", "services.x.f")
    seen = len(first.frames)
    first.send({"type": "method", "to": "nobody", "method": "s.resolve"}, {"args": [1]})
    assert len(first.frames) == seen


async def test_a_frame_that_receivers_would_lose_is_refused_and_its_call_rejected(
    parts: Parts,
) -> None:
    first, second = await neighbours(parts)
    seen = len(second.frames)
    with pytest.raises(PayloadTooLarge):
        await first.call("second", "services.x.f", b"x" * 600_000)
    assert len(second.frames) == seen
    (_, body) = decode(first.frames[-1])
    assert "over the limit" in body["args"][0]["_rvalue"]


async def test_a_broadcast_reaches_the_subscribers_of_its_workspace_alone(parts: Parts) -> None:
    first, second = await neighbours(parts)
    stranger = await Peer.join(parts)
    for peer in (first, second, stranger):
        await peer.manager("subscribe", "news")
    first.send({"type": "news", "to": "*", "data": 1})
    for peer in (first, second):
        message = await peer.event("news")
        assert message["to"] == f"{first.workspace}/*"
    assert stranger.inbox.empty()


async def test_a_broadcast_into_another_workspace_is_refused(parts: Parts) -> None:
    first, _ = await neighbours(parts)
    stranger = await Peer.join(parts)
    await stranger.manager("subscribe", "news")
    with pytest.raises(PermissionDenied):
        first.send({"type": "news", "to": f"{stranger.workspace}/*"})
    assert stranger.inbox.empty()


async def test_a_reader_of_a_workspace_cannot_broadcast(parts: Parts) -> None:
    owner = await Peer.join(parts)
    token = await owner.manager("generate_token", {"permission": "read"})
    reader = await Peer.join(parts, token=token)
    with pytest.raises(PermissionDenied, match="read-only client"):
        reader.send({"type": "news", "to": "*"})


async def test_messages_between_two_peers_keep_their_order(parts: Parts) -> None:
    first, second = await neighbours(parts)
    for number in range(50):
        first.send({"type": "count", "to": "second", "n": number})
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert [(await second.inbox.get())["n"] for _ in range(50)] == list(range(50))


async def test_departure_is_announced_with_the_bare_id_in_the_workspace(parts: Parts) -> None:
    first, second = await neighbours(parts)
    await second.manager("subscribe", ["client_disconnected"])
    first.leave()
    message = await second.event("client_disconnected")
    assert message == {
        "type": "client_disconnected",
        "to": "*",
        "data": {"id": "first", "workspace": first.workspace},
    }


async def test_a_caller_in_another_workspace_learns_of_the_departure(parts: Parts) -> None:
    provider, stranger, bystander = [await Peer.join(parts) for _ in range(3)]
    provider.mute = True
    stranger.send(
        {"type": "method", "to": provider.address, "method": "services.x.f", "session": "s"}
    )
    provider.leave()
    message = await stranger.event("client_disconnected")
    assert message["data"] == {"id": provider.session.client_id, "workspace": provider.workspace}
    assert bystander.inbox.empty()


async def test_callers_that_have_left_are_forgotten_by_those_they_called(parts: Parts) -> None:
    provider, caller = await Peer.join(parts), await Peer.join(parts)
    provider.functions["services.s.f"] = lambda: 1
    assert await caller.call(provider.address, "services.s.f") == 1
    assert provider.session.foreign_callers == {caller.address}
    parts.hub.closed(caller.session)
    assert provider.session.foreign_callers == set()
