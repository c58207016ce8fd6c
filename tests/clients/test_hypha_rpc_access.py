"""hypha-rpc for Python: who may find and call what, and what follows when a provider goes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from hypha_rpc.rpc import RemoteException

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import running
from tests.patience import PATIENCE_SECONDS

SCRIPTS = Path(__file__).parent / "scripts"


async def offer(provider: Any, **config: Any) -> str:
    """Register a service that answers, and return its full id."""
    wait = asyncio.Event().wait
    service = {"id": "offer", "config": config, "answer": lambda: 42, "wait": wait}
    return str((await provider.register_service(service))["id"])


@pytest.fixture(params=["websocket", "http"])
def connect_over(request: pytest.FixtureRequest, connect: Connect) -> Connect:
    """Connect clients by each transport in turn."""

    async def over(**config: Any) -> Any:
        return await connect(transport=request.param, **config)

    return over


async def test_a_protected_service_is_refused_to_strangers_at_the_gateway(
    connect_over: Connect,
) -> None:
    provider, stranger = await connect_over(), await connect_over()
    full = await offer(provider)
    with pytest.raises(RemoteException, match="PermissionError: Permission denied"):
        await stranger.get_service(full)
    with pytest.raises(RemoteException, match="PermissionError: Permission denied"):
        await stranger.get_service_info(full)
    assert await stranger.list_services({"workspace": provider.config.workspace}) == []


async def test_a_protected_service_is_refused_to_strangers_who_ask_the_provider(
    connect_over: Connect,
) -> None:
    provider, stranger = await connect_over(), await connect_over()
    full = await offer(provider)
    with pytest.raises(RemoteException, match="Permission denied"):
        await stranger.rpc.get_remote_service(full)


async def test_a_protected_function_is_refused_to_strangers_who_call_it_directly(
    connect_over: Connect,
) -> None:
    provider, stranger = await connect_over(), await connect_over()
    await offer(provider)
    await provider.register_service(
        {"id": "open", "config": {"visibility": "public"}, "answer": lambda: 43}
    )
    address = f"{provider.config.workspace}/{provider.config.client_id}"
    service = await stranger.get_service(f"{address}:open")
    assert await service.answer() == 43
    # What a program can do that knows how encoded functions look.
    forged = {**service.answer.__rpc_object__, "_rmethod": "services.offer.answer"}
    call = stranger.rpc._decode({"_rtype": "method", **forged})
    with pytest.raises(RemoteException, match="Permission denied"):
        await call()


async def test_an_unlisted_service_is_for_those_who_know_its_id(connect_over: Connect) -> None:
    provider, caller = await connect_over(), await connect_over()
    full = await offer(provider, visibility="unlisted")
    assert await (await caller.get_service(full)).answer() == 42
    assert await caller.list_services({"workspace": provider.config.workspace}) == []


async def test_a_protected_service_is_open_to_the_workspaces_it_names(
    connect_over: Connect,
) -> None:
    provider, friend, stranger = await connect_over(), await connect_over(), await connect_over()
    full = await offer(provider, authorized_workspaces=[friend.config.workspace])
    service = await friend.get_service(full)
    assert await service.answer() == 42
    assert "authorized_workspaces" not in service.config
    with pytest.raises(RemoteException, match="Permission denied"):
        await stranger.get_service(full)


async def test_a_client_with_a_token_is_at_home_in_the_workspace(connect_over: Connect) -> None:
    provider = await connect_over()
    full = await offer(provider)
    token = await provider.generate_token()
    second = await connect_over(token=token)

    assert second.config.workspace == provider.config.workspace
    assert await (await second.get_service("offer")).answer() == 42
    assert full in [s["id"] for s in await second.list_services()]
    own = f"{second.config.workspace}/{second.config.client_id}:offer"
    assert await offer(second) == own
    assert {s["id"] for s in await provider.list_services({"service_id": "offer"})} == {full, own}
    clients = {c["id"] for c in await provider.list_clients()}
    assert clients == {id.partition(":")[0] for id in (full, own)}


async def test_a_client_with_a_token_to_read_can_call_but_not_offer(connect_over: Connect) -> None:
    provider = await connect_over()
    await offer(provider)
    reader = await connect_over(token=await provider.generate_token({"permission": "read"}))
    assert await (await reader.get_service("offer")).answer() == 42
    with pytest.raises(Exception, match="PermissionError: Permission denied"):
        await offer(reader)
    with pytest.raises(RemoteException, match="Only admin can generate token"):
        await reader.generate_token()


async def test_a_token_for_one_client_id_admits_no_other(connect: Connect) -> None:
    provider = await connect()
    token = await provider.generate_token({"client_id": "robot"})
    with pytest.raises(ConnectionAbortedError, match="restricted to client"):
        await connect(token=token, client_id="impostor")
    assert (await connect(token=token, client_id="robot")).config.client_id == "robot"


async def test_a_provider_that_disconnects_takes_its_services_along(connect: Connect) -> None:
    provider, caller = await connect(), await connect()
    full = await offer(provider, visibility="public")
    service = await caller.get_service(full)
    in_flight = asyncio.ensure_future(service.wait())
    await service.answer()
    await provider.disconnect()

    await fails_at_once(in_flight)
    await fails_at_once(service.answer())
    with pytest.raises(RemoteException, match="Service not found"):
        await caller.get_service(full)
    assert await caller.list_services({"workspace": provider.config.workspace}) == []


@pytest.mark.parametrize("same_workspace", [True, False])
async def test_a_caller_in_flight_learns_at_once_that_the_provider_was_killed(
    connect: Connect, gateway: Gateway, same_workspace: bool
) -> None:
    caller = await connect()
    script: list[str | Path] = [sys.executable, SCRIPTS / "waiting_provider.py", gateway.url]
    if same_workspace:
        script.append(await caller.generate_token())
    async with running(*script) as provider:
        service = await caller.get_service((await provider.value())["id"])
        call = asyncio.ensure_future(service.wait())
        assert await provider.value() == {"called": "wait"}
        provider.kill()
        await fails_at_once(call)


async def fails_at_once(call: Awaitable[Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(Exception, match=r"Peer|not connected|disconnected"):
            await call
