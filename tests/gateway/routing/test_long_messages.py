"""A message in chunks is held to the rules of a short one."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from gateway.app import Parts
from gateway.routing.long_messages import MAX_MESSAGES_PER_SENDER, LongMessages
from schema.errors import InvalidMessage, LimitExceeded
from tests.gateway.peer import Peer

CACHE = "services.built-in.message_cache"


def whole(body: dict[str, Any], **header: Any) -> bytes:
    first = {"type": "method", "to": "x", "method": "services.s.f"} | header
    return msgpack.packb(first) + msgpack.packb(body)


async def sending(parts: Parts) -> tuple[Peer, Peer]:
    sender, target = await Peer.join(parts), await Peer.join(parts)
    for action in ("create", "set", "append", "process", "remove"):
        target.functions[f"{CACHE}.{action}"] = lambda *args, **kwargs: None
    return sender, target


async def send_whole(sender: Peer, target: Peer, data: bytes, *, key: str = "k") -> None:
    await sender.call(target.address, f"{CACHE}.create", key, False)
    half = len(data) // 2
    await sender.call(target.address, f"{CACHE}.set", key, 1, data[half:], False)
    await sender.call(target.address, f"{CACHE}.set", key, index=0, data=data[:half])
    await sender.call(target.address, f"{CACHE}.process", key, False)


async def test_an_honest_long_message_passes(parts: Parts) -> None:
    sender, target = await sending(parts)
    await send_whole(sender, target, whole({"args": [b"x" * 1000], "promise": "*"}))
    assert target.contexts[-1]["method"] == f"{CACHE}.process"


async def test_a_message_may_be_longer_than_a_frame_ever_is(parts: Parts) -> None:
    sender, target = await sending(parts)
    data = whole({"args": [b"x" * (64 * 1024 * 1024)]})
    await sender.call(target.address, f"{CACHE}.create", "k")
    for start in range(0, len(data), 256 * 1024):
        part = data[start : start + 256 * 1024]
        await sender.call(target.address, f"{CACHE}.append", "k", part)
    await sender.call(target.address, f"{CACHE}.process", "k")
    assert target.contexts[-1]["method"] == f"{CACHE}.process"


@pytest.mark.parametrize("key", ["from", "ctx", "user", "ws", "to", "method"])
async def test_a_long_message_cannot_carry_a_forged_identity(parts: Parts, key: str) -> None:
    sender, target = await sending(parts)
    data = whole({"args": [b"x" * 1000], key: "forged"})
    with pytest.raises(InvalidMessage):
        await send_whole(sender, target, data)
    assert target.contexts[-1]["method"] != f"{CACHE}.process"


async def test_appended_chunks_are_looked_at_too(parts: Parts) -> None:
    sender, target = await sending(parts)
    data = whole({"args": [], "from": "w/root"})
    await sender.call(target.address, f"{CACHE}.create", "k")
    await sender.call(target.address, f"{CACHE}.append", "k", data[:10])
    await sender.call(target.address, f"{CACHE}.append", "k", data[10:])
    with pytest.raises(InvalidMessage):
        await sender.call(target.address, f"{CACHE}.process", "k")


async def test_a_long_message_of_a_servers_type_is_refused(parts: Parts) -> None:
    sender, target = await sending(parts)
    with pytest.raises(InvalidMessage):
        await send_whole(sender, target, whole({"args": []}, type="peer_not_found"))


async def test_unfinished_messages_are_bounded(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.routing.long_messages.MAX_BYTES_PER_SENDER", 1000)
    sender, target = await sending(parts)
    await sender.call(target.address, f"{CACHE}.create", "k")
    await sender.call(target.address, f"{CACHE}.set", "k", 0, b"x" * 900)
    await sender.call(target.address, f"{CACHE}.set", "k", 0, b"x" * 950)
    with pytest.raises(LimitExceeded):
        await sender.call(target.address, f"{CACHE}.set", "k", 1, b"x" * 100)
    await sender.call(target.address, f"{CACHE}.remove", "k")
    await sender.call(target.address, f"{CACHE}.create", "k2")
    await sender.call(target.address, f"{CACHE}.set", "k2", 0, b"x" * 900)


async def test_unfinished_messages_of_all_senders_together_are_bounded(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.routing.long_messages.MAX_BYTES_ALTOGETHER", 1500)
    monkeypatch.setattr("gateway.routing.long_messages.SMALL_SHARE_BYTES", 100)
    first, target = await sending(parts)
    second, third = await Peer.join(parts), await Peer.join(parts)
    for number, sender in enumerate((first, second, third)):
        await sender.call(target.address, f"{CACHE}.create", f"k{number}")
    await first.call(target.address, f"{CACHE}.set", "k0", 0, b"x" * 1400)
    with pytest.raises(LimitExceeded):
        await second.call(target.address, f"{CACHE}.set", "k1", 0, b"x" * 200)
    await third.call(target.address, f"{CACHE}.set", "k2", 0, b"x" * 100)
    first.leave()
    await second.call(target.address, f"{CACHE}.set", "k1", 0, b"x" * 1000)


async def test_a_chunk_of_an_unknown_message_or_without_a_key_is_refused(parts: Parts) -> None:
    sender, target = await sending(parts)
    for args in (("nothing", 0, b"x"), (5, 0, b"x"), ()):
        with pytest.raises(InvalidMessage):
            await sender.call(target.address, f"{CACHE}.set", *args)


async def test_the_chunks_of_two_senders_are_never_mixed(parts: Parts) -> None:
    sender, target = await sending(parts)
    other = await Peer.join(parts)
    await sender.call(target.address, f"{CACHE}.create", "k", False)
    for action, args in (("create", ["k"]), ("set", ["k", 0, b"x"]), ("remove", ["k"])):
        with pytest.raises(InvalidMessage):
            await other.call(target.address, f"{CACHE}.{action}", *args)
    with pytest.raises(InvalidMessage):
        await other.call(target.address, f"{CACHE}.process", "k")
    assert target.contexts[-1]["method"] == f"{CACHE}.create"


async def test_what_a_sender_left_behind_is_no_part_of_the_next_message(parts: Parts) -> None:
    sender, target = await sending(parts)
    begun: list[tuple[Any, ...]] = []
    target.functions[f"{CACHE}.create"] = lambda *args: begun.append(args)
    await sender.call(target.address, f"{CACHE}.create", "k", False)
    await sender.call(target.address, f"{CACHE}.set", "k", 0, b"forged", False)
    parts.hub.closed(sender.session)
    other = await Peer.join(parts)
    with pytest.raises(InvalidMessage):
        await other.call(target.address, f"{CACHE}.process", "k", False)
    await other.call(target.address, f"{CACHE}.create", key="k")
    assert begun == [("k", False, True), ("k", False, True)]  # with overwrite


@pytest.mark.parametrize(
    ("action", "args"),
    [
        ("set", ["k", 0.0, b"x"]),
        ("set", ["k", True, b"x"]),
        ("set", ["k", -1, b"x"]),
        ("set", ["k", 0, "x"]),
        ("set", ["k", 0, b"x", False, 1]),
        ("set", ["k", 0, b"x", 0]),
        ("set", ["k", 0, b"x", True]),
        ("append", ["k", b"x"]),
        ("process", ["k", True]),
    ],
)
async def test_what_receivers_could_read_otherwise_is_refused(
    parts: Parts, action: str, args: list[Any]
) -> None:
    sender, target = await sending(parts)
    await sender.call(target.address, f"{CACHE}.create", "k", False)
    await sender.call(target.address, f"{CACHE}.set", "k", 1, b"x", False)
    with pytest.raises(InvalidMessage):
        await sender.call(target.address, f"{CACHE}.{action}", *args)


async def test_a_message_with_a_gap_is_refused(parts: Parts) -> None:
    sender, target = await sending(parts)
    await sender.call(target.address, f"{CACHE}.create", "k", False)
    await sender.call(target.address, f"{CACHE}.set", "k", 1, whole({"args": []}), False)
    with pytest.raises(InvalidMessage, match="lacks chunks"):
        await sender.call(target.address, f"{CACHE}.process", "k", False)


def test_what_was_given_up_makes_room() -> None:
    now = 0.0
    messages = LongMessages(clock=lambda: now)
    body = msgpack.packb({"args": ["k"]})
    for number in range(MAX_MESSAGES_PER_SENDER):
        messages.pass_on("w/a", f"w/{number}", f"{CACHE}.create", body)
    with pytest.raises(LimitExceeded):
        messages.pass_on("w/a", "w/x", f"{CACHE}.create", body)
    now = 61.0
    messages.pass_on("w/a", "w/x", f"{CACHE}.create", body)
