"""What is measured. Each function drives one server through one door and returns figures.

The figure to compare is the server's own CPU time per call: it doesn't depend on how fast the
clients are, which share the machine with the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from hypha_rpc import connect_to_server

from tests.bench.servers import Server, Service

BLOB_BYTES = 8 * 1024 * 1024
BLOB_ROUNDS = 8
IDLE_CLIENTS = 200
CONNECTING_AT_ONCE = 10
WARM_UP_SECONDS = 0.5
JSON_HEADERS = {"Content-Type": "application/json"}
MCP_HEADERS = {
    **JSON_HEADERS,
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-06-18",
}
ADD = {"a": 2, "b": 3}


@dataclass(frozen=True)
class Calls:
    """Figures of one kind of call."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


@dataclass(frozen=True)
class Figures:
    """All figures of one server."""

    calls: dict[str, Calls]
    start_seconds: float
    start_mb: float
    blob_mb_per_second: float
    blob_cpu_ms_per_mb: float
    connect_ms: float
    connect_cpu_ms: float
    idle_client_kb: float


def measure(server: Server, service: Service, seconds: int, say: Callable[[str], None]) -> Figures:
    """Everything, one after the other."""
    start_mb = server.memory_bytes() / 1e6
    calls: dict[str, Calls] = {}
    if shutil.which("wrk"):
        calls |= _http(server, service, seconds, say)
    else:
        say("wrk is not installed: the HTTP and MCP rows are left out")
    rpc, blob = asyncio.run(_rpc(server, service, seconds, say))
    connect = asyncio.run(_idle_clients(server, say))
    return Figures({**rpc, **calls}, server.start_seconds, start_mb, *blob, *connect)


# HTTP and MCP, driven by wrk


def _http(
    server: Server, service: Service, seconds: int, say: Callable[[str], None]
) -> dict[str, Calls]:
    short = service.id.rpartition(":")[2]
    add = f"{server.url}/{service.workspace}/services/{short}/add"
    mcp = f"{server.url}/{service.workspace}/mcp/{short}/mcp"
    call = {"method": "tools/call", "params": {"name": "add", "arguments": ADD}}
    jobs = [
        ("HTTP POST, 32 connections", add, ADD, JSON_HEADERS, 32),
        ("HTTP POST, 1 connection", add, ADD, JSON_HEADERS, 1),
        ("MCP tools/call, 32 connections", mcp, _request(**call), MCP_HEADERS, 32),
        ("MCP tools/list, 32 connections", mcp, _request(method="tools/list"), MCP_HEADERS, 32),
    ]
    figures = {}
    for name, url, body, headers, connections in jobs:
        say(name)
        _check(url, body, headers)
        wrk(server, url, body, headers, connections, 1)
        figures[name] = wrk(server, url, body, headers, connections, seconds)
    return figures


def _request(**members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, **members}


def _check(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """A wrong answer must not be measured."""
    request = Request(url, json.dumps(body).encode(), dict(headers))
    with urlopen(request, timeout=30) as response:
        answer = response.read().decode()
    if body.get("method") == "tools/list":
        good = '"repeat"' in answer
    else:
        good = "5" in answer and "rror" not in answer.replace('"isError":', "")
    if not good:
        raise RuntimeError(f"{url} answered {answer[:300]}")


def wrk(
    server: Server,
    url: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    connections: int,
    seconds: int,
) -> Calls:
    """Post the same body over and over with wrk."""
    lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(json.dumps(body))}"]
    lines += [f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items()]
    lines.append(
        "function done(summary, latency) local e = summary.errors; print(string.format("
        '"figures %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50), '
        "latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout)) end"
    )
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory, "job.lua")
        script.write_text("\n".join(lines))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        before = server.cpu_seconds()
        done = subprocess.run(
            [*command, "-s", str(script), url], capture_output=True, text=True, check=True
        )
        cpu = server.cpu_seconds() - before
    found = re.search(r"figures (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    if not found:
        raise RuntimeError(f"wrk said:\n{done.stdout}{done.stderr}")
    count, duration_us, p50_us, p99_us, errors = map(int, found.groups())
    if errors:
        raise RuntimeError(f"{errors} of {count} requests to {url} failed")
    per_call = cpu / max(count, 1) * 1e6
    return Calls(count / duration_us * 1e6, p50_us / 1e3, p99_us / 1e3, per_call)


# RPC, driven by the hypha-rpc client


async def _rpc(
    server: Server, service: Service, seconds: int, say: Callable[[str], None]
) -> tuple[dict[str, Calls], tuple[float, float]]:
    async with connect_to_server({"server_url": server.url}) as client:
        remote = await client.get_service(service.id)
        if await remote.add(**ADD) != 5:
            raise RuntimeError("add(2, 3) is not 5")

        async def add() -> None:
            await remote.add(2, 3)

        async def get_service() -> None:
            await client.get_service(service.id)

        figures = {}
        for name, call, in_flight in (
            ("RPC call, 32 in flight", add, 32),
            ("RPC call, 1 in flight", add, 1),
            ("RPC get_service, 1 in flight", get_service, 1),
        ):
            say(name)
            await _loop(server, call, in_flight, WARM_UP_SECONDS)
            figures[name] = await _loop(server, call, in_flight, seconds)
        say("RPC, 8 MiB there and back")
        return figures, await _blob(server, remote)


async def _loop(
    server: Server, call: Callable[[], Awaitable[None]], in_flight: int, seconds: float
) -> Calls:
    latencies: list[float] = []
    begin, cpu_before = time.perf_counter(), server.cpu_seconds()

    async def worker() -> None:
        while (start := time.perf_counter()) < begin + seconds:
            await call()
            latencies.append(time.perf_counter() - start)

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    elapsed, cpu = time.perf_counter() - begin, server.cpu_seconds() - cpu_before
    percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
    count = len(latencies)
    return Calls(count / elapsed, percentiles[49] * 1e3, percentiles[98] * 1e3, cpu / count * 1e6)


async def _blob(server: Server, remote: Any) -> tuple[float, float]:
    data = os.urandom(BLOB_BYTES)
    if await remote.blob(data) != data:
        raise RuntimeError("the bytes came back changed")
    begin, cpu_before = time.perf_counter(), server.cpu_seconds()
    for _ in range(BLOB_ROUNDS):
        await remote.blob(data)
    elapsed, cpu = time.perf_counter() - begin, server.cpu_seconds() - cpu_before
    megabytes = BLOB_ROUNDS * 2 * BLOB_BYTES / 1e6
    return megabytes / elapsed, cpu / megabytes * 1e3


async def _idle_clients(server: Server, say: Callable[[str], None]) -> tuple[float, float, float]:
    say(f"{IDLE_CLIENTS} idle clients")
    memory_before = server.memory_bytes()
    begin, cpu_before = time.perf_counter(), server.cpu_seconds()
    clients: list[Any] = []
    while len(clients) < IDLE_CLIENTS:
        connecting = (
            connect_to_server({"server_url": server.url}) for _ in range(CONNECTING_AT_ONCE)
        )
        clients += await asyncio.gather(*connecting)
    elapsed, cpu = time.perf_counter() - begin, server.cpu_seconds() - cpu_before
    memory = server.memory_bytes() - memory_before
    await asyncio.gather(*(client.disconnect() for client in clients))
    count = len(clients)
    return elapsed / count * 1e3, cpu / count * 1e3, memory / 1e3 / count
