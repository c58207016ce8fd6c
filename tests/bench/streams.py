"""`make bench-streams`: what items of a stream, large bodies and large documents cost over HTTP.

Takes about a minute. The figures go into a section of their own in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.bench.report import machine, table
from tests.bench.sections import write_section
from tests.bench.servers import Server, polyport
from tests.bench.streaming_provider import CHUNK, CHUNKS, FUNCTIONS

TITLE = "Streams and large bodies"
ITEMS = 50_000
SLOW_ITEMS = 50
FETCHES = 200
MEBI = 1024 * 1024
Row = tuple[str, str, str]
"""What, the figure, and what it is held to."""


async def items(server: Server, http: httpx.AsyncClient, path: str) -> list[Row]:
    """CPU time of an item, and how long one is on its way."""
    url = f"{path}/services/bench-streams"
    await _read(http, f"{url}/count?items=1000")
    before = server.cpu_nanoseconds()
    read = await _read(http, f"{url}/count?items={ITEMS}")
    cpu = (server.cpu_nanoseconds() - before) / ITEMS / 1000
    if read != ITEMS + 1:
        raise RuntimeError(f"{read} events came instead of {ITEMS + 1}")
    async with http.stream("GET", f"{url}/clock?items={SLOW_ITEMS}") as answer:
        delays = [
            time.time() - float(line.removeprefix("data: "))
            async for line in answer.aiter_lines()
            if re.fullmatch(r"data: [\d.]+", line)
        ]
    usual, worst = statistics.median(delays) * 1000, max(delays) * 1000
    return [
        (f"an event of {ITEMS:,} from one provider", f"{cpu:.0f} us of CPU", "60 us"),
        ("from a provider's yield to the reader", f"{usual:.1f} ms, at most {worst:.1f}", "5 ms"),
    ]


async def _read(http: httpx.AsyncClient, url: str) -> int:
    """How many events a stream has."""
    events = 0
    async with http.stream("GET", url) as answer:
        async for part in answer.aiter_raw():
            events += part.count(b"data: ")
    return events


async def bodies(server: Server, http: httpx.AsyncClient, path: str) -> list[Row]:
    """Memory that large bodies take in passing."""
    url = f"{path}/apps/bench-site/"

    async def content() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield bytes(CHUNK)

    await http.put(url, content=b"warm")
    before = _most_memory(server)
    answer = await http.put(url, content=content())
    if answer.text != str(CHUNK * CHUNKS):
        raise RuntimeError(f"The upload was answered with {answer.text[:80]}")
    up = _most_memory(server)
    received = 0
    async with http.stream("GET", url) as download:
        async for part in download.aiter_raw():
            received += len(part)
    if received < CHUNK * CHUNKS:
        raise RuntimeError(f"The download had {received} bytes")
    down = _most_memory(server)
    size = CHUNK * CHUNKS // 1_000_000
    return [
        (f"an upload of {size} MB", f"{(up - before) / MEBI:.1f} MB more memory", "32 MB"),
        (f"a download of {size} MB", f"{(down - up) / MEBI:.1f} MB more memory", "32 MB"),
    ]


def _most_memory(server: Server) -> int:
    """The most that the server has used so far, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError("The system does not tell the memory of a process")
    return int(found[1]) * 1024


async def documents(server: Server, http: httpx.AsyncClient, path: str) -> list[Row]:
    """CPU time of a large OpenAPI document: when it is made, and afterwards."""
    url = f"{path}/services/bench-large/openapi.json"
    begun = server.cpu_seconds()
    first = await http.get(url)
    made = server.cpu_seconds() - begun
    before = server.cpu_nanoseconds()
    for _ in range(FETCHES):
        await http.get(url)
    each = (server.cpu_nanoseconds() - before) / FETCHES / 1000
    size = len(first.content) / 1000
    return [
        (f"OpenAPI of {FUNCTIONS} functions, {size:.0f} KB, once", f"{made * 1000:.0f} ms", ""),
        ("the same, each time after that", f"{each:.0f} us of CPU", "cached bytes"),
    ]


MEASUREMENTS: list[Callable[[Server, httpx.AsyncClient, str], Awaitable[list[Row]]]] = [
    items,
    bodies,
    documents,
]


async def measure(server: Server, workspace: str) -> list[Row]:
    """All rows."""
    rows: list[Row] = []
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        for part in MEASUREMENTS:
            print(f"{part.__name__} ...", flush=True)
            rows += await part(server, http, f"/{workspace}")
    return rows


@contextmanager
def providing(server: Server) -> Iterator[str]:
    """The workspace of the services, while they are offered."""
    command = [sys.executable, str(Path(__file__).with_name("streaming_provider.py")), server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-streams", description=__doc__)
    parser.add_argument("--output", type=Path, help="the page with the section")
    arguments = parser.parse_args()
    with polyport() as server, providing(server) as workspace:
        rows = asyncio.run(measure(server, workspace))
    body = f"{machine()}\n{table(['what', 'measured', 'budget'], [list(row) for row in rows])}"
    print(f"\n{body}")
    if arguments.output:
        write_section(arguments.output, TITLE, body)


if __name__ == "__main__":
    main()
