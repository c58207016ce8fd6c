"""hypha-rpc without websockets (``transport: "http"``), in Python and JavaScript."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgpack
import pytest
from hypha_rpc.rpc import RemoteException

from tests.clients.conftest import NODE, Connect
from tests.clients.gateways import Gateway, free_port, started
from tests.clients.programs import running
from tests.clients.raw import Cable, RawClient, admitted, cable, call_header
from tests.clients.test_hypha_rpc_node import Node, check, sample_functions
from tests.patience import PATIENCE_SECONDS

PUBLIC = {"visibility": "public"}
OVER_HTTP = {"transport": "http"}
PING = msgpack.packb({"type": "ping"})


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {
        # A client first tries to come back after 2 s.
        "POLYPORT_HTTP_RECONNECT_GRACE_SECONDS": str(PATIENCE_SECONDS),
        "POLYPORT_HTTP_PING_SECONDS": "0.3",
    }


@pytest.fixture
async def way(gateway: Gateway) -> AsyncIterator[Cable]:
    async with cable(gateway) as way:
        yield way


@asynccontextmanager
async def observing(gateway: Gateway) -> AsyncIterator[RawClient]:
    """A client that is told of every client that leaves its workspace."""
    async with admitted(gateway) as client:
        await client.ask_manager("subscribe", ["client_disconnected", "service_added"])
        yield client


@pytest.fixture
async def observer(gateway: Gateway) -> AsyncIterator[RawClient]:
    async with observing(gateway) as client:
        yield client


async def offer(provider: Any, **functions: Any) -> str:
    """Register a public service and return its full id."""
    service = {"id": "offer", "config": PUBLIC, **functions}
    return str((await provider.register_service(service))["id"])


def address(client: Any) -> str:
    return f"{client.config.workspace}/{client.config.client_id}"


# JavaScript


@pytest.mark.parametrize("transport", ["http", "websocket"])
async def test_javascript_over_http_calls_javascript(
    node: Node, gateway: Gateway, transport: str
) -> None:
    async with running(*node, NODE / "provider.mjs", gateway.url, transport) as provider:
        id = (await provider.value())["id"]
        async with running(*node, NODE / "caller.mjs", gateway.url, id, "http") as caller:
            check(await caller.value(), id, "RangeError")
            assert await caller.end() == 0
        assert await provider.end() == 0


async def test_javascript_over_http_calls_python_over_http(
    node: Node, gateway: Gateway, connect: Connect
) -> None:
    id = (await (await connect(**OVER_HTTP)).register_service(sample_functions()))["id"]
    async with running(*node, NODE / "caller.mjs", gateway.url, id, "http") as caller:
        check(await caller.value(), id, "IndexError")
        assert await caller.end() == 0


async def test_python_calls_javascript_over_http(
    node: Node, gateway: Gateway, connect: Connect
) -> None:
    async with running(*node, NODE / "provider.mjs", gateway.url, "http") as provider:
        sample = await (await connect()).get_service((await provider.value())["id"])
        assert await sample.visit(3, lambda i: i * 10) == 30
        assert [i async for i in await sample.count(4)] == [0, 1, 2, 3]
        assert await sample.echo(bytes(1_500_000)) == bytes(1_500_000)
        with pytest.raises(RemoteException, match="no such colour"):
            await sample.fail("no such colour")


async def test_javascript_comes_back_with_its_services_after_its_stream_broke(
    node: Node, gateway: Gateway, way: Cable, connect: Connect
) -> None:
    async with running(*node, NODE / "provider.mjs", way.url, "http") as provider:
        sample = await (await connect()).get_service((await provider.value())["id"])
        assert await sample.add(1, 2) == 3
        way.cut()
        await provider.line("Stream reconnected")
        assert await sample.add(1, 2) == 3


# Access


async def test_a_protected_service_is_refused_to_strangers(connect: Connect) -> None:
    provider, stranger = await connect(), await connect(**OVER_HTTP)
    full = (await provider.register_service({"id": "offer", "answer": lambda: 42}))["id"]
    with pytest.raises(RemoteException, match="PermissionError: Permission denied"):
        await stranger.get_service(full)
    with pytest.raises(RemoteException, match="Permission denied"):
        await stranger.rpc.get_remote_service(full)


async def test_a_token_opens_its_workspace(connect: Connect) -> None:
    owner = await connect()
    token = await owner.generate_token()
    mate = await connect(**OVER_HTTP, token=token)
    assert mate.config.workspace == owner.config.workspace
    full = (await mate.register_service({"id": "offer", "answer": lambda: 42}))["id"]
    assert await (await owner.get_service(full)).answer() == 42


async def test_nobody_speaks_for_a_client_but_who_has_its_token(
    connect: Connect, observer: RawClient, http: httpx.AsyncClient
) -> None:
    tokens = [await observer.ask_manager("generate_token") for _ in range(2)]
    provider = await connect(**OVER_HTTP, token=tokens[0])
    full = await offer(provider, answer=lambda: 42)
    query = {"workspace": provider.config.workspace, "client_id": provider.config.client_id}
    manager = f"*/{provider.config.manager_id}"
    theft = msgpack.packb(call_header(manager, "services.default.unregister_service"))
    theft += msgpack.packb({"args": [full]})

    async def post(body: bytes, authorization: str | None) -> int:
        headers = {} if authorization is None else {"authorization": authorization}
        return (await http.post("/rpc", params=query, content=body, headers=headers)).status_code

    assert await post(theft, None) == 401
    assert await post(theft, "Bearer garbage") == 401
    assert await post(theft, f"Bearer {tokens[1]}") == 403
    assert [s["id"] for s in await provider.list_services({"service_id": "offer"})] == [full]
    assert await post(theft, f"Bearer {tokens[0]}") == 200
    assert await provider.list_services({"service_id": "offer"}) == []


async def test_nobody_speaks_for_an_anonymous_python_client(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    client = await connect(**OVER_HTTP)
    query = {"workspace": client.config.workspace, "client_id": client.config.client_id}
    assert (await http.post("/rpc", params=query, content=PING)).status_code == 401
    assert await client.echo(1) == 1


async def test_a_reconnection_token_is_enough_to_come_back(connect: Connect) -> None:
    owner = await connect()
    first = await connect(**OVER_HTTP, token=await owner.generate_token(), client_id="me")
    resumes = {"reconnection_token": first.config.reconnection_token, "client_id": "me"}
    await first.disconnect()
    again = await connect(**OVER_HTTP, **resumes)
    assert again.config.user["id"] == first.config.user["id"]
    assert await again.echo(1) == 1


# The life of a stream


async def test_an_idle_client_stays_connected_and_its_token_fresh(connect: Connect) -> None:
    client = await connect(**OVER_HTTP, method_timeout=1.5)
    connection = client.rpc._connection
    first = connection._reconnection_token
    # The client asks for a new one after 2 s, which is longer than it bears silence.
    while connection._reconnection_token == first:
        await asyncio.sleep(0.02)
    assert not connection._is_reconnection
    assert await client.echo("still there") == "still there"


async def test_a_break_is_noticed_by_nobody_if_the_client_soon_returns(
    connect: Connect, way: Cable, observer: RawClient
) -> None:
    token = await observer.ask_manager("generate_token")
    provider, caller = await connect(**OVER_HTTP, server_url=way.url, token=token), await connect()
    full = await offer(provider, add=lambda a, b: a + b)
    service = await caller.get_service(full)
    assert (await observer.received()).header["type"] == "service_added"

    way.freeze()
    way.cut()
    while len(await observer.ask_manager("list_clients")) > 1:
        pass  # what is sent before the gateway has seen the break is lost with the connection
    calls = asyncio.gather(service.add(1, 2), caller.get_service(full))
    way.thaw()
    three, found = await calls
    assert (three, await found.add(3, 4)) == (3, 7)
    # That it registers its services again is all that can be seen.
    assert (await observer.received()).header["type"] == "service_added"
    assert len(await caller.list_services({"workspace": provider.config.workspace})) == 1


async def test_a_call_that_is_answered_after_the_caller_came_back_arrives(
    connect: Connect, way: Cable
) -> None:
    called, answer = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        called.set()
        await answer.wait()
        return "worth the wait"

    provider, caller = await connect(), await connect(**OVER_HTTP, server_url=way.url)
    service = await caller.get_service(await offer(provider, wait=wait))
    back = asyncio.Event()
    caller.rpc.on("services_registered", lambda _: back.set())
    call = asyncio.ensure_future(service.wait())
    await called.wait()
    way.cut()
    await back.wait()
    answer.set()
    assert await call == "worth the wait"


async def test_a_client_that_disconnects_is_gone_after_the_grace(
    connect: Connect, tmp_path: Path
) -> None:
    grace = {"POLYPORT_HTTP_RECONNECT_GRACE_SECONDS": "0.5"}
    with started(tmp_path, grace) as gateway:
        async with observing(gateway) as observer:
            token = await observer.ask_manager("generate_token")
            provider = await connect(**OVER_HTTP, server_url=gateway.url, token=token)
            await offer(provider, answer=lambda: 42)
            assert (await observer.received()).header["type"] == "service_added"
            await provider.disconnect()
            assert (await observer.received()).header["data"] == {
                "id": provider.config.client_id,
                "workspace": provider.config.workspace,
            }
            query = {"workspace": provider.config.workspace}
            assert await observer.ask_manager("list_services", query) == []


async def test_a_client_outlives_a_restart_of_the_server(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = {"POLYPORT_JWT_SECRET": secrets.token_hex(32)}
    arguments = ("-m", "gateway.server", "--port", str(free_port()), "--ephemeral")
    with started(tmp_path_factory.mktemp("first"), environment, arguments) as gateway:
        provider = await connect(**OVER_HTTP, server_url=gateway.url)
        full = await offer(provider, answer=lambda: 42)
        back = asyncio.Event()
        provider.rpc.on("services_registered", lambda _: back.set())
        assert await asyncio.to_thread(gateway.end) == 0
    with started(tmp_path_factory.mktemp("second"), environment, arguments) as gateway:
        await back.wait()
        caller = await connect(server_url=gateway.url)
        assert await (await caller.get_service(full)).answer() == 42
        await provider.disconnect()
        await caller.disconnect()
