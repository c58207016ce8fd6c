"""What one connection may do to the gateway, and how long it may say nothing."""

from __future__ import annotations

import asyncio

from gateway.settings import Settings
from tests.behaviour.in_process import in_process
from tests.behaviour.joining import Join, over_websocket
from tests.behaviour.wire import Client
from tests.clients.raw import opened
from tests.patience import PATIENCE_SECONDS


async def test_who_sends_too_much_is_told_and_disconnected() -> None:
    few = Settings(ephemeral=True, max_burst_messages=5, max_messages_per_second=0.01)
    with in_process(few) as gateway:
        async with opened(gateway) as client:  # type: ignore[arg-type]
            await client.say({"client_id": "me"})
            client.info = await client.heard()
            for _ in range(6):
                await client.send({"type": "method", "to": "me", "method": "x"})
            closed = await client.closed()
            assert closed == (1008, "Rate limit exceeded: 0.01 messages per second")


async def test_uploads_of_the_libraries_are_far_below_the_limit(join_websocket: Join) -> None:
    client = await join_websocket()
    client.functions["take"] = lambda: None
    for _ in range(3000):
        await client.send({"type": "method", "to": client.address, "method": "take"})
    assert await client.control({"type": "ping"}) == {"type": "pong"}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(client.calls) < 3000:
            await asyncio.sleep(0.01)


async def test_who_says_nothing_is_disconnected_and_a_ping_is_enough() -> None:
    # Below what the setting admits, so as not to wait for a minute.
    brief = Settings(ephemeral=True).model_copy(update={"idle_timeout_seconds": 1.5})
    with in_process(brief) as gateway:
        async with opened(gateway) as silent, opened(gateway) as alive:  # type: ignore[arg-type]
            for client in (silent, alive):
                await client.say({"client_id": "me"})
                client.info = await client.heard()
            ending = asyncio.ensure_future(silent.closed())
            while not ending.done():
                assert await alive.is_served()
                await asyncio.wait([ending], timeout=0.05)
            assert await ending == (1001, "Idle timeout (1.5s)")
            assert await alive.is_served()


async def test_a_client_that_has_gone_is_forgotten_entirely() -> None:
    with in_process(Settings(ephemeral=True)) as gateway:
        before = gateway.sizes()
        for _ in range(20):
            async with over_websocket(gateway, "me", {}) as client:
                await use_everything(client)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while gateway.sizes() != before:
                await asyncio.sleep(0.01)


async def use_everything(client: Client) -> None:
    await client.register("built-in")
    await client.register("s", {"f": lambda: 1})
    await client.manager("subscribe", ["gossip", "client_disconnected"])
    await client.call(client.address, "services.s.f")
    await client.call(client.manager_address, "services.built-in.message_cache.create", "k")
    for to in (client.address, client.manager_address):
        header = {"type": "method", "to": to, "method": "services.built-in.message_cache.create"}
        await client.send(header, {"args": ["half"]})
    await client.manager("get_service", "s")
