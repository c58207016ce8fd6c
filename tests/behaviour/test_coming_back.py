"""Real clients whose connection breaks, or whose server dies: they resume by themselves."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypha_rpc import connect_to_server

from gateway.settings import Settings
from tests.behaviour.in_process import InProcess, in_process
from tests.behaviour.joining import over_websocket
from tests.behaviour.wire import Client, WebSocketClient
from tests.clients.conftest import NODE
from tests.clients.gateways import Gateway, free_port, started
from tests.clients.programs import running
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.long

CYCLES = 10
PROVIDERS = 200
Node = tuple[str | Path, ...]


class Provider:
    """A real client that offers a service. ``abort`` breaks its connection without a goodbye."""

    def __init__(self, service_id: str, abort: Callable[[], Any]) -> None:
        self.id = service_id
        self.abort = abort
        self.address = service_id.partition(":")[0]


@asynccontextmanager
async def python_provider(url: str) -> AsyncIterator[Provider]:
    async with connect_to_server({"server_url": url}) as server:
        service = {
            "id": "offer",
            "config": {"visibility": "public"},
            "answer": lambda: 42,
            "ask_manager": lambda value: server.echo(value),
            "manager": lambda: server.config.manager_id,
            "settled": lambda: server.rpc._connection._reconnected_event is None,
        }
        registered = await server.register_service(service)

        async def abort() -> None:
            server.rpc._connection._websocket.transport.abort()

        yield Provider(registered["id"], abort)


@asynccontextmanager
async def javascript_provider(url: str, node: Node) -> AsyncIterator[Provider]:
    async with running(*node, NODE / "reconnecting.mjs", url) as program:
        yield Provider((await program.value())["id"], program.press_enter)


@pytest.fixture
def python_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that has lived for less than 5 s is one that "flaps" for this library, which
    then waits longer and longer. Those of a test don't live that long."""
    monkeypatch.setattr("hypha_rpc.websocket_client.RECONNECT_FLAP_WINDOW", 0.0)


@pytest.fixture(params=["python", "javascript"])
def provided(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Start a provider by either library."""
    if request.param == "javascript":
        node = request.getfixturevalue("node")
        return lambda url: javascript_provider(url, node)
    return python_provider


@pytest.fixture
def gateway_here() -> Iterator[InProcess]:
    with in_process(Settings(ephemeral=True, reconnect_gap_seconds=PATIENCE_SECONDS)) as gateway:
        yield gateway


async def until(condition: Callable[[], Any]) -> None:
    """Wait for what there is no event for: it happens in another thread."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def test_clients_that_break_off_again_and_again_leave_no_trace(
    gateway_here: InProcess, node: Node, python_at_rest: None
) -> None:
    router, registry = gateway_here.parts.router, gateway_here.parts.registry

    async def break_off(provider: Provider, service: Any) -> float:
        """How long the service was away."""
        old = router.get(provider.address)
        entries = registry.of_client(provider.address)
        begun = time.perf_counter()
        await provider.abort()
        await until(lambda: router.get(provider.address) not in (old, None))
        assert await service.answer() == 42
        away = time.perf_counter() - begun
        await until(lambda: all_new(registry.of_client(provider.address), entries))
        # Both libraries give a new connection half a second to prove itself.
        while not await service.settled():
            await asyncio.sleep(0.02)
        return away

    async with (
        python_provider(gateway_here.url) as python,
        javascript_provider(gateway_here.url, node) as javascript,
        connect_to_server({"server_url": gateway_here.url}) as caller,
    ):
        providers = (python, javascript)
        services = [await caller.get_service(p.id) for p in providers]
        await until(lambda: all(len(registry.of_client(p.address)) == 2 for p in providers))
        before = gateway_here.sizes()
        away = 0.0
        for _ in range(CYCLES):
            away = max(away, *await asyncio.gather(*map(break_off, providers, services)))
        for provider, service in zip(providers, services, strict=True):
            assert await service.ask_manager("still here") == "still here"
            query = {"workspace": provider.address.partition("/")[0]}
            assert [s["id"] for s in await caller.list_services(query)] == [provider.id]
        await until(lambda: gateway_here.sizes() == before)
    print(f"longest_seconds_until_called_again: {away:.2f}")
    await until(lambda: not router.sessions())


def all_new(entries: list[Any], before: list[Any]) -> bool:
    """Every service has been registered again."""
    return len(entries) == len(before) and not set(map(id, entries)) & set(map(id, before))


async def test_clients_go_on_after_the_server_was_killed_and_started_again(
    tmp_path: Path, provided: Callable[[str], Any]
) -> None:
    serve: tuple[str, ...] = ("-m", "gateway.server", "--data-dir", str(tmp_path / "data"))
    serve += ("--port", str(free_port()))
    async with AsyncExitStack() as clients:
        with started(tmp_path, {}, serve) as first:
            provider = await clients.enter_async_context(provided(first.url))
            connecting = connect_to_server({"server_url": first.url})
            caller = await clients.enter_async_context(connecting)
            service = await caller.get_service(provider.id)
            manager, user = caller.config.manager_id, caller.config.user["id"]
            assert await service.manager() == manager
            first.end(signal.SIGKILL)
        with started(tmp_path, {}, serve) as second:
            begun = time.perf_counter()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await is_answered(service):
                    await asyncio.sleep(0.02)
            print(f"seconds_until_called_again: {time.perf_counter() - begun:.2f}")
            assert await service.ask_manager("still here") == "still here"
            assert await service.manager() == manager
            assert await caller.echo(1) == 1
            assert (caller.config.manager_id, caller.config.user["id"]) == (manager, user)
            (listed,) = await caller.list_services(
                {"workspace": provider.address.partition("/")[0]}
            )
            assert listed["id"] == provider.id
            await clients.aclose()
            assert second.end() == 0


async def is_answered(service: Any) -> bool:
    try:
        async with asyncio.timeout(5):
            return bool(await service.answer() == 42)
    except Exception:  # noqa: BLE001 - whatever a client raises while it has no server
        return False


async def test_two_hundred_providers_that_come_back_at_once_are_all_back(gateway: Gateway) -> None:
    async with AsyncExitStack() as clients:

        async def come(client_id: str, **hello: Any) -> Client:
            opening = over_websocket(gateway, client_id, hello)
            client = await clients.enter_async_context(opening)
            await client.register("built-in")
            await client.register("s", {"f": lambda: client_id})
            return client

        caller = await clients.enter_async_context(over_websocket(gateway, "caller", {}))
        token = await caller.manager("generate_token")
        names = [f"p{number}-{secrets.token_hex(2)}" for number in range(PROVIDERS)]
        providers = [await come(name, token=token) for name in names]
        resumes = [p.info["reconnection_token"] for p in providers]
        for provider in providers:
            assert isinstance(provider, WebSocketClient)
            provider.connection.transport.abort()
        begun = time.perf_counter()
        async with asyncio.timeout(PATIENCE_SECONDS):
            again = await asyncio.gather(
                *(come(n, reconnection_token=t) for n, t in zip(names, resumes, strict=True))
            )
        print(f"seconds_until_all_are_back: {time.perf_counter() - begun:.2f}")
        listed = await caller.manager("list_services", {"service_id": "s"})
        assert sorted(s["id"] for s in listed) == sorted(f"{p.address}:s" for p in again)
        answers = [await caller.call(p.address, "services.s.f") for p in again]
        assert answers == names
