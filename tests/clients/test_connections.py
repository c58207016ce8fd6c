"""Connections that stall, break and come back, and what the others notice of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.raw import Cable, RawClient, admitted, cable, call_header, small_socket

PUBLIC = {"visibility": "public"}
CHUNK = bytes(400 * 1024)
MORE_THAN_ANY_BUFFER = 100
"""Chunks: what the operating system keeps for a socket is a small part of it."""


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {
        "POLYPORT_MAX_OUTBOX_BYTES": "2000000",
        "POLYPORT_RECONNECT_GRACE_SECONDS": "20",
        "POLYPORT_RECONNECT_GAP_SECONDS": "20",
    }


@pytest.fixture
async def way(gateway: Gateway) -> AsyncIterator[Cable]:
    async with cable(gateway) as way:
        yield way


@pytest.fixture
async def observer(gateway: Gateway) -> AsyncIterator[RawClient]:
    """A client that is told of every client that leaves its workspace."""
    async with admitted(gateway) as client:
        await client.ask_manager("subscribe", ["client_disconnected", "service_added"])
        yield client


async def test_a_client_that_stops_reading_is_dropped_and_the_others_go_on(
    gateway: Gateway, observer: RawClient, connect: Connect
) -> None:
    token = await observer.ask_manager("generate_token")
    provider, caller = await connect(), await connect()
    service = {"id": "offer", "config": PUBLIC, "echo": lambda value: value}
    found = await caller.get_service((await provider.register_service(service))["id"])

    stalls = {"sock": small_socket(gateway), "max_queue": 1}
    async with (
        admitted(gateway, token=token, options=stalls) as slow,
        admitted(gateway, token=token) as flooder,
    ):
        left = asyncio.ensure_future(observer.received())
        for number in range(MORE_THAN_ANY_BUFFER):
            header = {"type": "method", "to": slow.address, "method": "flood"}
            await flooder.send(header, {"args": [CHUNK]})
            assert await found.echo(number) == number
            if left.done():
                break
        assert (await left).header["data"] == {
            "id": slow.info["client_id"],
            "workspace": slow.workspace,
        }
        assert await flooder.is_served()
        slow.connection.transport.abort()


async def test_a_client_that_comes_back_takes_over_from_its_old_connection(
    gateway: Gateway,
) -> None:
    async with admitted(gateway, client_id="robot") as old:
        token = old.info["reconnection_token"]
        async with admitted(gateway, client_id="robot", reconnection_token=token) as new:
            assert new.address == old.address
            assert new.info["user"]["id"] == old.info["user"]["id"]
            assert (await old.closed()).code == 1001
            # What is sent to the address arrives at the new connection.
            await new.send(call_header(new.address, "services.x.y"))
            assert (await new.received()).header["from"] == new.address


async def test_the_late_end_of_an_old_connection_removes_nothing_of_the_new_one(
    gateway: Gateway, way: Cable, observer: RawClient
) -> None:
    token = await observer.ask_manager("generate_token")
    through = {"url": way.url.replace("http", "ws") + "/ws"}
    async with admitted(gateway, client_id="robot", token=token, options=through) as old:
        await register(old)
        way.freeze()
        resumes = {"reconnection_token": old.info["reconnection_token"]}
        async with admitted(gateway, client_id="robot", **resumes) as new:
            await register(new)
            way.cut()
            # The gateway hears of the cut before it hears of anything that is sent after it.
            assert await new.is_served()
            assert await new.is_served()
            query = {"workspace": new.workspace, "service_id": "offer"}
            (listed,) = await new.ask_manager("list_services", query)
            assert listed["id"] == f"{new.address}:offer"
            await new.send(call_header(new.address, "services.offer.x"))
            assert (await new.received()).header["method"] == "services.offer.x"
            async with admitted(gateway, client_id="last", token=token) as last:
                address = new.address
                await last.send(call_header(address, "services.offer.y"))
                assert (await new.received()).header["method"] == "services.offer.y"
    events = [await observer.received() for _ in range(4)]
    assert [e.header["type"] for e in events] == [
        "service_added",
        "service_added",
        "client_disconnected",
        "client_disconnected",
    ]
    assert [e.header["data"]["id"] for e in events[2:]] == ["last", "robot"]


async def register(client: RawClient) -> None:
    service = {"id": f"{client.address}:offer", "name": "Offer", "config": PUBLIC}
    assert await client.ask_manager("register_service", service) is None


async def test_subscriptions_outlive_a_broken_connection(gateway: Gateway) -> None:
    async with admitted(gateway, client_id="robot") as old:
        await old.ask_manager("subscribe", "gossip")
        resumes = {"reconnection_token": old.info["reconnection_token"]}
        async with admitted(gateway, client_id="robot", **resumes) as new:
            await new.send({"type": "gossip", "to": "*", "data": 1})
            assert (await new.received()).header["data"] == 1


async def test_a_short_break_of_a_provider_is_noticed_by_nobody(
    gateway: Gateway, way: Cable, observer: RawClient, connect: Connect, http: httpx.AsyncClient
) -> None:
    token = await observer.ask_manager("generate_token")
    provider, caller = await connect(server_url=way.url, token=token), await connect()
    service = {"id": "offer", "config": PUBLIC, "answer": lambda: 42}
    full = (await provider.register_service(service))["id"]
    assert await kind_of_next_event(observer) == "service_added"
    found = await caller.get_service(full)

    way.freeze()
    way.cut()
    while len(await observer.ask_manager("list_clients")) > 1:
        pass  # what is sent before the gateway has seen the break is lost with the connection
    path = full.replace("/", "/services/")
    calls = asyncio.gather(found.answer(), http.get(f"/{path}/answer"))
    way.thaw()
    assert await kind_of_next_event(observer) == "service_added"
    over_rpc, over_http = await calls
    assert (over_rpc, over_http.json()) == (42, 42)
    assert await observer.is_served()  # and nobody was told of a disconnection before


async def test_a_call_that_is_answered_after_the_caller_came_back_arrives(
    gateway: Gateway, way: Cable, connect: Connect
) -> None:
    called, answer = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        called.set()
        await answer.wait()
        return "worth the wait"

    provider, caller = await connect(), await connect(server_url=way.url)
    service = {"id": "offer", "config": PUBLIC, "wait": wait}
    found = await caller.get_service((await provider.register_service(service))["id"])
    back = asyncio.Event()
    caller.on("services_registered", lambda _: back.set())
    call = asyncio.ensure_future(found.wait())
    await called.wait()
    way.cut()
    await back.wait()
    answer.set()
    assert await call == "worth the wait"


async def test_a_caller_hears_that_a_slow_call_is_alive(gateway: Gateway, connect: Connect) -> None:
    answer = asyncio.Event()
    service = {"id": "offer", "config": PUBLIC, "wait": answer.wait}
    full = (await (await connect()).register_service(service))["id"]
    address = full.partition(":")[0]
    async with admitted(gateway) as caller:
        call = call_header(address, "services.offer.wait")
        await caller.send(call, {"promise": "*", "t": 0.1})
        assert await methods_of_next(caller, 3) == ["s1.heartbeat"] * 3
        answer.set()
        while (method := (await methods_of_next(caller, 1))[0]) == "s1.heartbeat":
            pass
        assert method == "s1.resolve"


async def test_the_gateway_tells_that_its_own_slow_calls_are_alive(gateway: Gateway) -> None:
    async with admitted(gateway) as caller:
        silent = await caller.ask_manager("generate_token")
        async with admitted(gateway, token=silent) as other:
            call = call_header(caller.manager, "services.default.ping")
            await caller.send(call, {"args": [other.address, 0.5], "promise": "*", "t": 0.1})
            assert await methods_of_next(caller, 3) == ["s1.heartbeat"] * 3
            while (reply := await caller.received()).header["method"] == "s1.heartbeat":
                pass
            (text,) = reply.body["args"]
            assert text.startswith(f"Failed to ping client {other.address}: ")


async def methods_of_next(client: RawClient, count: int) -> list[str]:
    return [(await client.received()).header["method"] for _ in range(count)]


async def kind_of_next_event(observer: RawClient) -> str:
    return str((await observer.received()).header["type"])
