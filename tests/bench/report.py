"""Figures as a page: one table of calls, one of the rest, the machine and the versions."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.measure import BLOB_BYTES, IDLE_CLIENTS, Figures

LIBRARIES = ("uvicorn", "uvloop", "httptools", "websockets", "starlette", "msgpack", "hypha-rpc")

INTRODUCTION = """\
# Benchmarks

`make bench` writes this page. It starts the server, a provider with a small service, and the
clients, all on one machine over loopback, and reads what the server process cost from the operating
system. The figure to compare is the **server's own CPU time per call**: unlike calls per second it
doesn't depend on how fast the clients are, which run on the same cores. RPC calls are made by the
hypha-rpc client for Python, HTTP and MCP calls by `wrk`. Rate limits are off.
"""

Row = tuple[str, Callable[[Figures], float], bool]
"""What, the figure, and whether more is better."""

OTHER_ROWS: Sequence[Row] = (
    ("start to ready, s", lambda f: f.start_seconds, False),
    ("memory at start, MB", lambda f: f.start_mb, False),
    ("connect a client, server CPU ms", lambda f: f.connect_cpu_ms, False),
    ("connect a client, ms", lambda f: f.connect_ms, False),
    (f"memory of an idle client ({IDLE_CLIENTS} connected), KB", lambda f: f.idle_client_kb, False),
    (f"{BLOB_BYTES >> 20} MiB there and back, MB/s", lambda f: f.blob_mb_per_second, True),
    (
        f"{BLOB_BYTES >> 20} MiB there and back, server CPU ms per MB",
        lambda f: f.blob_cpu_ms_per_mb,
        False,
    ),
)


def page(results: dict[str, Figures]) -> str:
    """The whole page; results by the name of the server, ours first."""
    parts = [INTRODUCTION, _calls(results), _others(results), machine()]
    return "\n".join(parts)


def _calls(results: dict[str, Figures]) -> str:
    names = list(results)
    ours, *others = [figures.calls for figures in results.values()]
    head = ["path"]
    for title in ("CPU µs per call", "calls/s"):
        head += [f"{title}, {name}" for name in names] + ["ratio"] * len(others)
    head += [f"p50 / p99 ms, {name}" for name in names]
    rows = []
    for path in ours:
        measured = [calls[path] for calls in (ours, *others)]
        row = [path, *_compare([calls.cpu_us for calls in measured], more_is_better=False)]
        row += _compare([calls.per_second for calls in measured], more_is_better=True)
        row += [f"{calls.p50_ms:.2f} / {calls.p99_ms:.2f}" for calls in measured]
        rows.append(row)
    return table(head, rows)


def _others(results: dict[str, Figures]) -> str:
    head = ["what", *results, *["ratio"] * (len(results) - 1)]
    rows = [
        [what, *_compare([figure(f) for f in results.values()], more_is_better=more)]
        for what, figure, more in OTHER_ROWS
    ]
    return table(head, rows)


def _compare(figures: list[float], *, more_is_better: bool) -> list[str]:
    """The figures, and how many times better the first is than each of the others."""
    ours, *others = figures
    ratios = [ours / other if more_is_better else other / ours for other in others if ours]
    return [_short(figure) for figure in figures] + [f"{ratio:.1f}x" for ratio in ratios]


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table; all but the first column are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine() -> str:
    """Where and with what the figures were measured."""
    processor = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.+)", cpuinfo.read_text())):
        processor = found.group(1).strip()
    release = ".".join(platform.release().split(".")[:2])
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {processor}, "
        f"{platform.system()} {release}, {platform.python_implementation()} "
        f"{platform.python_version()}, one server process; {libraries}.\n"
    )
