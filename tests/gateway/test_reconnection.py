"""A provider whose connection breaks: nobody needs to notice if it comes back soon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.settings import Settings
from schema.errors import CallTimeout, ProviderGone, ServiceNotFound, Unavailable
from schema.services import ServiceInfo
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS


def that_waits(grace: float, gap: float) -> Parts:
    """A gateway that waits for so many seconds for clients whose connection broke: before it says
    so, and in all."""
    settings = Settings(ephemeral=True, reconnect_grace_seconds=grace, reconnect_gap_seconds=gap)
    return build(settings)[0]


@pytest.fixture
def parts() -> Parts:
    """Whoever comes back is in time."""
    return that_waits(60, 60)


@pytest.fixture
def soon_over() -> Parts:
    """It is not waited for anybody for long."""
    return that_waits(0.05, 0.4)


@pytest.fixture
def in_the_gap() -> Parts:
    """Everybody is told soon that a client is away, which is in time to come back nevertheless."""
    return that_waits(0.05, 60)


async def come_back(peer: Peer) -> Peer:
    """Reconnect as client libraries do: with the token, the same id and the same functions."""
    token = peer.parts.hub.reconnection_token(peer.session)
    return await resume(peer, token)


async def resume(peer: Peer, token: str) -> Peer:
    again = await Peer.join(peer.parts, peer.session.client_id, reconnection_token=token)
    again.functions.update(peer.functions)
    return again


def gone(parts: Parts, peer: Peer) -> asyncio.Task[None]:
    """Ends when the gateway counts the client as gone."""

    async def wait() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while parts.registry.of_client(peer.address):
                await asyncio.sleep(0.005)

    return asyncio.create_task(wait())


async def find(parts: Parts, service_id: str) -> ServiceInfo:
    caller = await parts.gateway.authenticate(Credentials())
    workspace, _, rest = service_id.partition("/")
    return await parts.gateway.find_service(caller, workspace, rest)


async def call(parts: Parts, service: ServiceInfo, function: str, *args: Any) -> Any:
    caller = await parts.gateway.authenticate(Credentials())
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await parts.gateway.call(caller, service, function, args)


async def test_a_short_break_is_not_noticed_by_anybody(parts: Parts) -> None:
    provider, watcher = await Peer.join(parts), await Peer.join(parts)
    full_id = await provider.register("svc", {"f": lambda: "answer"})
    await watcher.manager("subscribe", "client_disconnected")
    token = parts.hub.reconnection_token(provider.session)
    provider.break_off()
    calling = asyncio.create_task(watcher.call(provider.address, "services.svc.f"))
    await asyncio.sleep(0)
    again = await resume(provider, token)
    assert await calling == "answer"
    assert (await find(parts, full_id)).id.client_id == again.session.client_id
    assert watcher.inbox.empty()


@pytest.mark.parametrize("client_id", ["lab#1", "größe", "a,b;c=d", "x" * 128])
async def test_whoever_is_let_in_under_an_id_can_come_back_under_it(
    parts: Parts, client_id: str
) -> None:
    peer = await Peer.join(parts, client_id)
    peer.break_off()
    assert (await come_back(peer)).address == peer.address


async def test_what_was_subscribed_to_before_the_break_still_arrives_after_it(
    parts: Parts,
) -> None:
    peer = await Peer.join(parts)
    await peer.manager("subscribe", "news")
    token = parts.hub.reconnection_token(peer.session)
    peer.break_off()
    again = await resume(peer, token)
    again.send({"type": "news", "to": "*", "n": 1})
    assert (await again.event("news"))["n"] == 1


async def test_a_call_in_flight_at_the_break_fails_once_the_grace_is_over(soon_over: Parts) -> None:
    parts = soon_over
    provider, caller = await Peer.join(parts), await Peer.join(parts)
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    full_id = await provider.register("svc", {"hang": hang})
    service = await find(parts, full_id)
    over_http = asyncio.create_task(call(parts, service, "hang"))
    await started.wait()
    caller.send(
        {"type": "method", "to": provider.address, "method": "services.svc.hang", "session": "s"}
    )
    provider.break_off()
    with pytest.raises(ProviderGone):
        await over_http
    message = await caller.event("client_disconnected")
    assert message["data"]["id"] == provider.session.client_id


async def test_a_call_in_flight_at_the_break_completes_if_the_answer_comes_after_it(
    parts: Parts,
) -> None:
    provider = await Peer.join(parts)
    started, release = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        started.set()
        await release.wait()
        return "late"

    full_id = await provider.register("svc", {"slow": slow})
    calling = asyncio.create_task(call(parts, await find(parts, full_id), "slow"))
    await started.wait()
    token = parts.hub.reconnection_token(provider.session)
    provider.break_off()
    again = await resume(provider, token)
    provider.session = again.session  # what the function returns goes over the new connection
    release.set()
    assert await calling == "late"


async def test_a_call_made_in_the_gap_waits_for_the_provider(in_the_gap: Parts) -> None:
    parts = in_the_gap
    provider, caller = await Peer.join(parts), await Peer.join(parts)
    full_id = await provider.register("svc", {"f": lambda n: n + 1})
    service = await find(parts, full_id)
    token = parts.hub.reconnection_token(provider.session)
    leaving = gone(parts, provider)
    provider.break_off()
    await leaving
    waiting = [
        asyncio.create_task(call(parts, service, "f", 1)),
        asyncio.create_task(caller.call(provider.address, "services.svc.f", 2)),
        asyncio.create_task(caller.manager("get_service", full_id)),
    ]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    again = await resume(provider, token)
    await again.register("svc", {"f": lambda n: n + 1})
    assert await waiting[0] == 2
    assert await waiting[1] == 3
    assert (await waiting[2])["id"] == full_id


async def test_what_waited_for_a_provider_that_never_returns_fails_at_the_end_of_the_gap(
    soon_over: Parts,
) -> None:
    parts = soon_over
    provider, caller = await Peer.join(parts), await Peer.join(parts)
    full_id = await provider.register("svc", {"f": lambda: 1})
    service = await find(parts, full_id)
    leaving = gone(parts, provider)
    provider.break_off()
    await leaving
    waiting = [
        asyncio.create_task(call(parts, service, "f")),
        asyncio.create_task(caller.call(provider.address, "services.svc.f")),
    ]
    with pytest.raises(ServiceNotFound):
        await waiting[0]
    with pytest.raises(RemoteFailure, match="is not connected"):
        await waiting[1]
    with pytest.raises(ServiceNotFound):
        await find(parts, full_id)


async def test_an_idempotent_call_goes_to_another_instance(parts: Parts) -> None:
    first = await Peer.join(parts, "first")
    token = await first.manager("generate_token")
    second = await Peer.join(parts, "second", token=token)
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    config = {"visibility": "public", "idempotent": ["f"]}
    full_id = await first.register("svc", {"f": hang, "g": hang}, config=config)
    await second.register("svc", {"f": lambda: "second", "g": lambda: "second"}, config=config)
    service = await find(parts, full_id)
    safe = asyncio.create_task(call(parts, service, "f"))
    await started.wait()
    started.clear()
    unsafe = asyncio.create_task(call(parts, service, "g"))
    await started.wait()
    first.leave()
    assert await safe == "second"
    with pytest.raises(ProviderGone):
        await unsafe


async def test_a_goodbye_is_final_at_once(parts: Parts) -> None:
    provider = await Peer.join(parts)
    full_id = await provider.register("svc", {})
    provider.leave()
    with pytest.raises(ServiceNotFound):
        await find(parts, full_id)


async def test_an_absent_client_is_in_no_list(parts: Parts) -> None:
    owner = await Peer.join(parts)
    token = await owner.manager("generate_token")
    second = await Peer.join(parts, "second", token=token)
    second.break_off()
    assert [c["id"] for c in await owner.manager("list_clients")] == [owner.address]


async def test_a_call_that_got_lost_with_the_old_connection_ends_soon_after_the_return(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.rpc.pending.RESUMED_SILENCE_SECONDS", 0.05)
    provider = await Peer.join(parts)
    provider.mute = True  # the call reaches the socket and is lost in it
    full_id = await provider.register("svc", {"f": lambda: 1})
    calling = asyncio.create_task(call(parts, await find(parts, full_id), "f"))
    await asyncio.sleep(0)
    token = parts.hub.reconnection_token(provider.session)
    provider.break_off()
    await resume(provider, token)
    with pytest.raises(CallTimeout):
        await calling


async def test_a_stopping_server_does_not_wait_for_a_provider_to_return() -> None:
    parts = build(Settings(ephemeral=True, reconnect_grace_seconds=0, reconnect_gap_seconds=600))[0]
    provider = await Peer.join(parts)
    full_id = await provider.register("svc", {})
    leaving = gone(parts, provider)
    provider.break_off()
    await leaving
    waiting = asyncio.create_task(find(parts, full_id))
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await parts.hub.drain()
        with pytest.raises(Unavailable, match="stopping"):
            await waiting


@pytest.mark.parametrize("returns", [False, True], ids=["stays away", "returns"])
async def test_a_stopping_server_does_not_wait_for_calls_that_were_lost_with_their_provider(
    returns: bool,
) -> None:
    settings = Settings(
        ephemeral=True, reconnect_grace_seconds=0, reconnect_gap_seconds=600, drain_seconds=600
    )
    parts = build(settings)[0]
    provider, caller = await Peer.join(parts), await Peer.join(parts)
    await provider.register("svc", {"f": lambda: 1})
    provider.mute = True  # the call reaches the socket and is lost in it
    token = parts.hub.reconnection_token(provider.session)
    calling = asyncio.create_task(caller.call(provider.address, "services.svc.f"))
    while not parts.router.has_open_calls:
        await asyncio.sleep(0)
    leaving = gone(parts, provider)
    provider.break_off()
    await leaving
    if returns:
        await resume(provider, token)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await parts.hub.drain()
    calling.cancel()


async def test_waiting_for_a_provider_ends_even_if_the_timer_fires_a_moment_early(
    soon_over: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = soon_over
    provider = await Peer.join(parts)
    full_id = await provider.register("svc", {})
    loop = asyncio.get_running_loop()
    call_at = loop.call_at
    monkeypatch.setattr(
        loop, "call_at", lambda when, *rest, **kw: call_at(when - 0.002, *rest, **kw)
    )
    leaving = gone(parts, provider)
    provider.break_off()
    await leaving
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ServiceNotFound):
            await find(parts, full_id)
