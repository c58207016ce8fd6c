from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest

from gateway.app import Parts
from gateway.core import GatewayCore
from gateway.rpc.endpoint import Endpoint
from schema.errors import CallTimeout, ProviderGone, ServiceError
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS


def endpoint_of(parts: Parts) -> Endpoint:
    assert isinstance(parts.gateway, GatewayCore)
    return parts.gateway._endpoint


async def call(parts: Parts, peer: Peer, method: str, *args: Any, **options: Any) -> Any:
    endpoint = endpoint_of(parts)
    identity = endpoint.manager_identity(peer.workspace)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await endpoint.call(identity, peer.address, method, args, **options)


async def test_a_provider_is_called_and_its_value_comes_back(parts: Parts) -> None:
    peer = await Peer.join(parts)
    peer.functions["services.s.add"] = lambda a, b: a + b
    assert await call(parts, peer, "services.s.add", 1, 2) == 3
    assert endpoint_of(parts).calls_in_flight == 0


async def test_what_the_provider_raises_is_a_service_error(parts: Parts) -> None:
    peer = await Peer.join(parts)

    def fail() -> None:
        raise ValueError("bad thing")

    peer.functions["services.s.fail"] = fail
    with pytest.raises(ServiceError) as caught:
        await call(parts, peer, "services.s.fail")
    assert caught.value.remote_type == "ValueError"
    assert caught.value.message == "bad thing"


async def test_an_answer_that_cannot_be_read_fails_its_call_and_nothing_else(parts: Parts) -> None:
    peer = await Peer.join(parts)
    peer.functions["services.s.odd"] = lambda: {(1, 2): 3}  # the key arrives as a list
    peer.functions["services.s.good"] = lambda: 1
    with pytest.raises(ServiceError, match="The answer cannot be read"):
        await call(parts, peer, "services.s.odd")
    assert await call(parts, peer, "services.s.good") == 1


async def test_a_provider_that_leaves_fails_the_call_at_once(parts: Parts) -> None:
    peer = await Peer.join(parts)
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    peer.functions["services.s.hang"] = hang
    calling = asyncio.create_task(call(parts, peer, "services.s.hang"))
    await started.wait()
    peer.leave()
    with pytest.raises(ProviderGone):
        await calling


async def test_a_provider_that_is_not_there_fails_the_call_at_once(parts: Parts) -> None:
    peer = await Peer.join(parts)
    peer.leave()
    with pytest.raises(ProviderGone):
        await call(parts, peer, "services.s.f")


async def test_a_silent_provider_times_out_and_heartbeats_keep_a_call_alive(parts: Parts) -> None:
    peer = await Peer.join(parts)
    peer.mute = True
    calling = asyncio.create_task(call(parts, peer, "services.s.f", silence_seconds=1.0))
    await asyncio.sleep(0)
    (header, _body) = msgpack_values(peer.frames[-1])
    beats = 4
    for _ in range(beats):
        peer.send(
            {"type": "method", "to": header["from"], "method": f"{header['session']}.heartbeat"}
        )
        await asyncio.wait([calling], timeout=0.3)
        assert not calling.done()
    with pytest.raises(CallTimeout):
        await calling


async def test_only_the_called_client_can_settle_a_call(parts: Parts) -> None:
    peer, stranger = await Peer.join(parts), await Peer.join(parts)
    peer.mute = True
    calling = asyncio.create_task(call(parts, peer, "services.s.f"))
    await asyncio.sleep(0)
    (header, _body) = msgpack_values(peer.frames[-1])
    answer = {"type": "method", "to": header["from"], "method": f"{header['session']}.resolve"}
    stranger.send(answer, {"args": ["forged"]})
    await asyncio.sleep(0)
    assert not calling.done()
    peer.send(answer, {"args": ["real"]})
    assert await calling == "real"


async def test_an_abandoned_call_leaves_nothing_behind(parts: Parts) -> None:
    peer = await Peer.join(parts)
    peer.mute = True
    calling = asyncio.create_task(call(parts, peer, "services.s.f"))
    await asyncio.sleep(0)
    assert endpoint_of(parts).calls_in_flight == 1
    calling.cancel()
    await asyncio.wait([calling])
    assert endpoint_of(parts).calls_in_flight == 0


async def test_a_reply_comes_from_the_address_that_was_called(parts: Parts) -> None:
    peer = await Peer.join(parts)
    for to in (parts.router.manager_address, f"{peer.workspace}/{parts.router.manager_id}"):
        assert await peer.call(to, "services.built-in.ping", "ping") == "pong"
        assert msgpack_values(peer.frames[-1])[0]["from"] == to


async def test_the_explicit_promise_form_is_answered_where_it_says(parts: Parts) -> None:
    peer = await Peer.join(parts)
    promise = {
        "resolve": {"_rtype": "method", "_rtarget": "x", "_rmethod": "abc.resolve"},
        "reject": {"_rtype": "method", "_rtarget": "x", "_rmethod": "abc.reject"},
    }
    header = {
        "type": "method",
        "to": parts.router.manager_address,
        "method": "services.built-in.ping",
        "session": "abc",
    }
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    peer._pending["abc"] = future
    peer.send(header, {"args": ["ping"], "promise": promise})
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await future == "pong"


async def test_a_long_function_of_the_gateway_sends_heartbeats(parts: Parts) -> None:
    caller, slow = await Peer.join(parts), await Peer.join(parts)
    release = asyncio.Event()

    async def get_service(service_id: str) -> dict[str, Any]:
        await release.wait()
        return {"id": service_id}

    full_id = await slow.register("s", {})
    slow.functions["services.built-in.get_service"] = get_service
    session = "longcall"
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    caller._pending[session] = future
    caller.send(
        {
            "type": "method",
            "to": parts.router.manager_address,
            "method": "services.default.get_service",
            "session": session,
        },
        {"args": [full_id], "promise": "*", "t": 0.1},
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(b"longcall.heartbeat" in frame for frame in caller.frames):
            await asyncio.sleep(0)
        release.set()
        assert (await future)["id"] == full_id


async def test_unknown_functions_and_bad_arguments_are_told_by_name(parts: Parts) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match="nothing not found"):
        await peer.manager("nothing")
    with pytest.raises(RemoteFailure, match="Missing required argument: 'service_id'"):
        await peer.manager("get_service")
    with pytest.raises(RemoteFailure, match="unexpected keyword argument 'colour'"):
        await peer.manager("get_service", "x", colour="red")
    with pytest.raises(RemoteFailure, match="'include_unlisted'"):
        await peer.manager("list_services", include_unlisted=[])
    with pytest.raises(RemoteFailure, match="multiple values"):
        await peer.manager("echo", 1, data=2)


async def test_values_come_back_from_echo_as_they_were(parts: Parts) -> None:
    peer = await Peer.join(parts)
    array = {"_rtype": "ndarray", "_rvalue": b"\x00" * 8, "_rshape": [2], "_rdtype": "float32"}
    values: tuple[Any, ...] = (array, {"a": [1, None, b"x", 2**63]}, "text", [], None)
    for value in values:
        assert await peer.manager("echo", value) == value


async def test_a_reply_too_long_for_a_frame_arrives_in_chunks(parts: Parts) -> None:
    peer = await Peer.join(parts)
    cache: dict[str, dict[int, bytes]] = {}
    peer.functions["services.built-in.message_cache.create"] = lambda key, hb: cache.update(
        {key: {}}
    )
    peer.functions["services.built-in.message_cache.set"] = lambda key, index, data, hb: cache[
        key
    ].update({index: data})
    whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    peer.functions["services.built-in.message_cache.process"] = lambda key, hb: whole.set_result(
        b"".join(cache[key][i] for i in sorted(cache[key]))
    )
    data = b"y" * 1_000_000
    manager = parts.router.manager_address
    for index in range(0, len(data) // 250_000):
        await peer.call(
            manager,
            f"services.built-in.message_cache.{'set' if index else 'create'}",
            *(["up", index - 1, b""] if index else ["up"]),
        )
    header = {
        "type": "method",
        "to": manager,
        "method": "services.default.echo",
        "session": "big",
    }
    frame = msgpack.packb(header) + msgpack.packb({"args": [data], "promise": "*"})
    for index in range(0, len(frame), 250_000):
        await peer.call(
            manager,
            "services.built-in.message_cache.set",
            "up",
            index // 250_000,
            frame[index : index + 250_000],
        )
    await peer.call(manager, "services.built-in.message_cache.process", "up")
    async with asyncio.timeout(PATIENCE_SECONDS):
        header, body = msgpack_values(await whole)
    assert header["method"] == "big.resolve"
    assert body["args"] == [data]
    assert all(len(frame) <= 512 * 1024 for frame in peer.frames)


async def test_a_long_message_is_held_to_the_same_rules_as_a_short_one(parts: Parts) -> None:
    peer = await Peer.join(parts)
    manager = parts.router.manager_address
    forged = msgpack.packb(
        {"type": "method", "to": manager, "method": "services.default.echo"}
    ) + msgpack.packb({"args": [1], "user": {"id": "root"}})
    elsewhere = msgpack.packb({"type": "method", "to": "w/other", "method": "services.x.y"})
    for name, frame in (("forged", forged), ("elsewhere", elsewhere)):
        await peer.call(manager, "services.built-in.message_cache.create", name)
        await peer.call(manager, "services.built-in.message_cache.set", name, 0, frame)
        with pytest.raises(RemoteFailure):
            await peer.call(manager, "services.built-in.message_cache.process", name)


async def test_chunks_of_one_client_are_not_seen_by_another(parts: Parts) -> None:
    first, second = await Peer.join(parts), await Peer.join(parts)
    manager = parts.router.manager_address
    await first.call(manager, "services.built-in.message_cache.create", "key")
    with pytest.raises(RemoteFailure, match="Message with key"):
        await second.call(manager, "services.built-in.message_cache.process", "key")


def msgpack_values(data: bytes) -> list[Any]:
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 26)
    unpacker.feed(data)
    return list(unpacker)


async def step(parts: Parts, peer: Peer, silence_seconds: float) -> Any:
    endpoint = endpoint_of(parts)
    endpoint._silence_seconds = silence_seconds
    identity = endpoint.manager_identity(peer.workspace)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await endpoint.steps(identity, peer.address, "stream.next").next()


async def test_an_item_that_takes_long_is_waited_for_while_its_provider_answers(
    parts: Parts,
) -> None:
    peer = await Peer.join(parts)
    pings = asyncio.Semaphore(0)

    def ping(text: str) -> str:
        pings.release()
        return "pong"

    async def item() -> str:
        for _ in range(3):  # longer than the provider may be silent
            await pings.acquire()
        return "late"

    peer.functions["services.built-in.ping"] = ping
    peer.functions["stream.next"] = item
    assert await step(parts, peer, 2.0) == "late"


async def test_an_item_of_a_provider_that_answers_nothing_is_given_up(parts: Parts) -> None:
    peer = await Peer.join(parts)
    peer.mute = True
    with pytest.raises(CallTimeout):
        await step(parts, peer, 0.2)


async def test_no_heartbeat_is_asked_for_an_item(parts: Parts) -> None:
    peer = await Peer.join(parts)
    peer.mute = True
    stepping = asyncio.create_task(step(parts, peer, 5.0))
    await asyncio.sleep(0)
    (_header, body) = msgpack_values(peer.frames[-1])
    assert set(body["promise"]) == {"resolve", "reject"}
    stepping.cancel()
    await asyncio.wait([stepping])
