"""`make bench-scale`: what many clients cost, and whether what they leave behind grows.

Takes about two minutes. The figures go into a section of their own in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import resource
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
from hypha_rpc import connect_to_server
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.report import machine, table
from tests.bench.sections import write_section
from tests.bench.servers import Server, polyport
from tests.mcp_bridge.wire import MODERN, message

TITLE = "Many clients"
IDLE_CLIENTS = 1000
PROVIDERS = 200
FEW_SERVICES, MANY_SERVICES = 100, 10_000
SERVICES_PER_WORKSPACE = 10
CALLS = 2000
COMINGS = 10_000
AT_ONCE = 20
"""Connections that are being made at the same time."""

OPEN_STREAMS = 1000
WANTED = {"toolsListChanged": True}

PUBLIC = {"visibility": "public"}


@dataclass
class Row:
    """One line of the table; ``budget`` is what the figure is held to."""

    what: str
    figure: str
    budget: str


class RawClient:
    """A websocket that says only what it must; thousands of them fit into one process."""

    def __init__(self, socket: ClientConnection, info: dict[str, Any]) -> None:
        self.socket = socket
        self.info = info

    @classmethod
    async def open(cls, server: Server, client_id: str | None = None) -> RawClient:
        url = server.url.replace("http", "ws") + "/ws"
        socket = await connect(url, ping_interval=None, compression=None)
        await socket.send(json.dumps({"client_id": client_id or secrets.token_hex(8)}))
        return cls(socket, json.loads(await socket.recv()))

    async def manager(self, function: str, *args: Any) -> Any:
        """Call a function of the manager; the next message is the reply."""
        header = {
            "type": "method",
            "to": f"*/{self.info['manager_id']}",
            "method": f"services.default.{function}",
            "session": "s",
        }
        await self.socket.send(msgpack.packb(header) + msgpack.packb({"args": args}))
        frame = await self.socket.recv(decode=False)
        unpacker = msgpack.Unpacker()
        unpacker.feed(frame)
        reply, body = unpacker
        if not reply["method"].endswith(".resolve"):
            raise RuntimeError(body)
        return body["args"][0]

    async def register(self, service_id: str) -> None:
        client = f"{self.info['workspace']}/{self.info['client_id']}"
        await self.manager("register_service", {"id": f"{client}:{service_id}", "config": PUBLIC})


async def in_turns(count: int, work: Callable[[int], Awaitable[Any]], at_once: int) -> list[Any]:
    """Do something many times, a few at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> Any:
        async with gate:
            return await work(number)

    return await asyncio.gather(*map(one, range(count)))


async def real_client(server: Server, clients: AsyncExitStack) -> Any:
    client = await clients.enter_async_context(connect_to_server({"server_url": server.url}))
    await client.register_service({"id": "offer", "config": PUBLIC, "answer": lambda: 42})
    return client


async def idle_clients(server: Server) -> list[Row]:
    """Memory of clients that are connected, with one service each, and do nothing."""
    async with AsyncExitStack() as clients:
        await in_turns(20, lambda _: real_client(server, clients), AT_ONCE)
        before = server.memory_bytes()
        await in_turns(IDLE_CLIENTS, lambda _: real_client(server, clients), AT_ONCE)
        each = (server.memory_bytes() - before) / IDLE_CLIENTS / 1e3
    return [Row(f"{IDLE_CLIENTS:,} idle clients, each", f"{each:.1f} KB", "40 KB")]


async def look_ups(server: Server) -> list[Row]:
    """CPU time of the server for a look-up, with few and with many services of others.

    All who will offer them are connected from the beginning: each connection has pings, which cost
    the server the same whatever is looked up.
    """
    others = await in_turns(
        MANY_SERVICES // SERVICES_PER_WORKSPACE, lambda _: RawClient.open(server), AT_ONCE
    )
    waiting = iter(others)

    async def fill(count: int) -> None:
        async def offer(_: int) -> None:
            client = next(waiting)
            for number in range(SERVICES_PER_WORKSPACE):
                await client.register(f"s{number}")

        await in_turns(count // SERVICES_PER_WORKSPACE, offer, AT_ONCE)

    costs: dict[str, list[float]] = {}
    async with AsyncExitStack() as clients:
        client = await real_client(server, clients)
        query = {"workspace": client.config.workspace}
        for missing in (FEW_SERVICES, MANY_SERVICES - FEW_SERVICES):
            await fill(missing)
            for name, call in (
                ("get_service", lambda: client.get_service("offer")),
                ("list_services", lambda: client.list_services(query)),
            ):
                costs.setdefault(name, []).append(await cost_of(server, call))
    await in_turns(len(others), lambda number: others[number].socket.close(), AT_ONCE)
    return [
        Row(
            f"{name}, {FEW_SERVICES} and {MANY_SERVICES:,} services in other workspaces",
            f"{few:.0f} and {many:.0f} us of CPU",
            "the same",
        )
        for name, (few, many) in costs.items()
    ]


async def cost_of(server: Server, call: Callable[[], Awaitable[Any]]) -> float:
    """Microseconds of the server's CPU for one call, the best of three rounds."""
    rounds = []
    for _ in range(3):
        before = server.cpu_nanoseconds()
        for _ in range(CALLS // 3):
            await call()
        rounds.append((server.cpu_nanoseconds() - before) / (CALLS // 3) / 1e3)
    return min(rounds)


async def comings_and_goings(server: Server) -> list[Row]:
    """Memory after many clients have come, offered a service and gone, against a tenth of that."""

    async def visit(_: int) -> None:
        client = await RawClient.open(server)
        await client.register("built-in")
        await client.register("s")
        await client.socket.close()

    await in_turns(COMINGS // 10, visit, AT_ONCE)
    before = server.memory_bytes()
    await in_turns(COMINGS, visit, AT_ONCE)
    after = server.memory_bytes()
    growth = (after - before) / before * 100
    figure = f"{before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after ({growth:+.1f} %)"
    return [Row(f"{COMINGS:,} connects and disconnects", figure, "within 5 %")]


async def all_at_once(server: Server) -> list[Row]:
    """Time until providers whose connections break at the same moment have registered again."""
    async with AsyncExitStack() as clients:
        providers = await in_turns(PROVIDERS, lambda _: real_client(server, clients), AT_ONCE)
        back = [asyncio.Event() for _ in providers]
        for client, event in zip(providers, back, strict=True):
            client.on("services_registered", lambda _, event=event: event.set())
        begin = time.perf_counter()
        for client in providers:
            client.rpc._connection._websocket.transport.abort()
        await asyncio.gather(*(event.wait() for event in back))
        elapsed = time.perf_counter() - begin
        caller = await real_client(server, clients)
        for client in providers:
            service = await caller.get_service(f"{client.config.workspace}/offer")
            if await service.answer() != 42:
                raise RuntimeError("a provider has not come back")
    what = f"{PROVIDERS} providers reconnecting at once, until the last is back"
    return [Row(what, f"{elapsed:.2f} s", "3 s")]


async def open_streams(server: Server) -> list[Row]:
    """Memory of streams that MCP clients have open, and the time until all of them have heard of a
    change."""

    async def stream(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = server.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(listen_request(path, host))
        await reader.readuntil(b"subscriptions/acknowledged")
        return reader, writer

    async with AsyncExitStack() as clients:
        client = await real_client(server, clients)
        path = f"/{client.config.workspace}/mcp/offer/mcp"
        first = await in_turns(20, lambda _: stream(path), AT_ONCE)
        before = server.memory_bytes()
        opened = await in_turns(OPEN_STREAMS, lambda _: stream(path), AT_ONCE)
        each = (server.memory_bytes() - before) / OPEN_STREAMS / 1e3
        begin = time.perf_counter()
        await client.unregister_service("offer")
        streams = [*first, *opened]
        await asyncio.gather(*(r.readuntil(b"tools/list_changed") for r, _ in streams))
        elapsed = time.perf_counter() - begin
        for _, writer in streams:
            writer.close()
    return [
        Row(f"{OPEN_STREAMS:,} open subscriptions/listen streams, each", f"{each:.1f} KB", "20 KB"),
        Row("until the last of them has heard of a change", f"{elapsed:.2f} s", "1 s"),
    ]


def listen_request(path: str, host: str) -> bytes:
    """An HTTP request that opens such a stream."""
    body, headers = message(MODERN, "subscriptions/listen", {"notifications": WANTED})
    data = json.dumps(body).encode()
    headers |= {
        "Host": host,
        "Content-Type": "application/json",
        "Accept": "text/event-stream, application/json",
        "Content-Length": str(len(data)),
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


MEASUREMENTS = (idle_clients, look_ups, comings_and_goings, all_at_once, open_streams)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--output", type=Path, help="the page with the section")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)  # the client library tells of each connection that ends
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))

    rows: list[Row] = []
    for measure in MEASUREMENTS:
        with polyport() as server:  # a new one each, so that none has a past
            print(f"{measure.__name__} ...", flush=True)
            rows += asyncio.run(measure(server))
    lines = [[row.what, row.figure, row.budget] for row in rows]
    body = f"{machine()}\n{table(['what', 'measured', 'budget'], lines)}"
    print(f"\n{body}")
    if arguments.output:
        write_section(arguments.output, TITLE, body)


if __name__ == "__main__":
    main()
