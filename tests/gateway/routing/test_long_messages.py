"""A message in chunks is held to the rules of a short one."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from gateway.app import Parts
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


async def test_a_chunk_of_an_unknown_message_or_without_a_key_is_refused(parts: Parts) -> None:
    sender, target = await sending(parts)
    for args in (("nothing", 0, b"x"), (5, 0, b"x"), ()):
        with pytest.raises(InvalidMessage):
            await sender.call(target.address, f"{CACHE}.set", *args)
