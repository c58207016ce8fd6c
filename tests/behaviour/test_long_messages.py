"""Messages over the size of a frame: in chunks, to the manager, from it, and between clients."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgpack
import pytest

from tests.behaviour.joining import Join
from tests.behaviour.wire import Client, Rejected
from tests.patience import PATIENCE_SECONDS

CACHE = "services.built-in.message_cache"
CHUNK = 262144
LIMIT = 512 * 1024


async def send_in_chunks(client: Client, to: str, frame: bytes, key: str, **how: bool) -> None:
    """As clients do it with a peer of API version 3: 30 chunks at a time, in any order."""
    await client.call(to, f"{CACHE}.create", key, False, **how)
    chunks = [frame[start : start + CHUNK] for start in range(0, len(frame), CHUNK)]
    order = list(enumerate(chunks))[::-1]
    for start in range(0, len(order), 30):
        batch = order[start : start + 30]
        await asyncio.gather(*(client.call(to, f"{CACHE}.set", key, i, c, False) for i, c in batch))
    await client.call(to, f"{CACHE}.process", key, False)


class Cache:
    """The ``message_cache`` of a client, as client libraries have it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.created: list[list[Any]] = []
        self.whole: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._chunks: dict[str, dict[int, bytes]] = {}
        for name in ("create", "set", "append", "process"):
            client.functions[f"{CACHE}.{name}"] = getattr(self, name)

    def create(self, *args: Any) -> None:
        self.created.append([*args])
        self._chunks[args[0]] = {}

    def set(self, key: str, index: int, data: bytes, heartbeat: bool = False) -> None:
        self._chunks[key][index] = data

    def append(self, key: str, data: bytes, heartbeat: bool = False) -> None:
        self._chunks[key][len(self._chunks[key])] = data

    def process(self, key: str, heartbeat: bool = False) -> None:
        chunks = self._chunks.pop(key)
        self.whole.put_nowait((key, b"".join(chunks[i] for i in sorted(chunks))))

    async def message(self) -> tuple[dict[str, Any], dict[str, Any]]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, frame = await self.whole.get()
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 26)
        unpacker.feed(frame)
        return unpacker.unpack(), unpacker.unpack()


def call_of_echo(client: Client, data: bytes, session: str) -> bytes:
    method = "services.default.echo"
    header = {"type": "method", "to": client.manager_address, "method": method, "session": session}
    frame: bytes = msgpack.packb(header) + msgpack.packb({"args": [data], "promise": "*"})
    return frame


async def test_the_manager_takes_and_returns_what_needs_many_chunks(join: Join) -> None:
    client = await join()
    cache = Cache(client)
    data = secrets.token_bytes(3_000_000)
    frame = call_of_echo(client, data, "s")
    await send_in_chunks(client, client.manager_address, frame, "upload")
    header, body = await cache.message()
    assert (header["method"], header["from"]) == ("s.resolve", client.manager_address)
    assert body == {"args": [data]}
    # It belongs to the session that waits for it, whose timer every chunk starts again.
    assert cache.created == [["s", True]]
    assert all(len(call.body_bytes) < LIMIT for call in client.calls)


async def test_chunks_can_be_appended_one_by_one(join: Join) -> None:
    client = await join()
    to = client.manager_address
    frame = call_of_echo(client, b"short", "s")
    await client.call(to, f"{CACHE}.create", "key")
    for start in range(0, len(frame), 20):
        await client.call(to, f"{CACHE}.append", "key", frame[start : start + 20])
    await client.call(to, f"{CACHE}.process", "key")
    reply = await client.message(lambda m: m.header.get("method") == "s.resolve")
    assert reply.body == {"args": [b"short"]}


async def test_chunks_without_a_message_are_refused(join: Join) -> None:
    client = await join()
    to = client.manager_address
    missing = r"Message with key none does not exists\."
    for name, args in (("set", [0, b"x"]), ("append", [b"x"]), ("process", []), ("remove", [])):
        with pytest.raises(Rejected, match=missing):
            await client.call(to, f"{CACHE}.{name}", "none", *args)
    assert await client.call(to, f"{CACHE}.create", "key", heartbeat=False) is None
    with pytest.raises(Rejected, match="already exists"):
        await client.call(to, f"{CACHE}.create", "key")
    assert await client.call(to, f"{CACHE}.create", "key", False, True) is None
    assert await client.call(to, f"{CACHE}.remove", "key") is None


async def test_chunks_of_a_reply_that_nobody_waits_for_are_refused(join: Join) -> None:
    client = await join()
    to = client.manager_address
    gone = "session does not exist anymore: gone"
    for name, args in (("create", [True]), ("set", [0, b"x", True]), ("process", [True])):
        with pytest.raises(Rejected, match=gone):
            await client.call(to, f"{CACHE}.{name}", "gone", *args)


@pytest.mark.parametrize("key", ["ctx", "from", "to", "ws", "user", "type", "method", "session"])
@pytest.mark.parametrize("receiver", ["manager", "client"])
async def test_a_message_in_chunks_cannot_carry_another_identity(
    join: Join, key: str, receiver: str
) -> None:
    client, victim = await join(), await join()
    cache = Cache(victim)
    to = client.manager_address if receiver == "manager" else victim.address
    header = {"type": "method", "to": to, "method": "services.default.echo", "session": "s"}
    frame = msgpack.packb(header) + msgpack.packb({"args": [1], key: client.manager_address})
    with pytest.raises(Rejected, match=f"must not have the key '{key}'"):
        await send_in_chunks(client, to, frame, "key")
    assert cache.whole.empty()
    assert client.unread() == []


async def test_chunks_between_clients_pass_side_by_side(join: Join) -> None:
    client, receiver = await join(), await join()
    cache = Cache(receiver)
    header = {"type": "method", "to": receiver.address, "method": "services.s.f"}
    body = {"args": [secrets.token_bytes(10_000_000)]}
    frame = msgpack.packb(header) + msgpack.packb(body)
    await send_in_chunks(client, receiver.address, frame, "key")
    assert await cache.message() == (header, body)


async def test_a_frame_that_clients_would_lose_is_refused_to_its_sender(join: Join) -> None:
    client, receiver = await join(), await join()
    for size, passes in ((500 * 1024, True), (LIMIT, False), (1100 * 1024, False)):
        header = {"type": "method", "to": receiver.address, "method": "services.s.f"}
        await client.send(header | {"session": "s"}, {"args": [bytes(size)], "promise": "*"})
        if passes:
            assert len((await receiver.message()).body["args"][0]) == size
        else:
            reply = await client.message()
            assert (reply.header["method"], reply.header["from"]) == ("s.reject", receiver.address)
            assert "over the limit" in reply.body["args"][0]["_rvalue"]
    await client.send({"type": "method", "to": receiver.address, "method": "last"})
    assert (await receiver.message()).header["method"] == "last"
