"""The servers that are measured, as processes: start, what they cost, stop."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS = 120.0
UNLIMITED = {
    f"HYPHA_{kind}_{limit}_LIMIT": "1000000"
    for kind in ("WS_MSG", "HTTP")
    for limit in ("RATE", "BURST")
}
"""Takes Hypha's rate limits out of the way; Polyport has none by default."""


@dataclass(frozen=True)
class Server:
    """A running server process, with its children."""

    name: str
    url: str
    pid: int
    start_seconds: float

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        # utime and stime are 12th and 13th after the name, which may contain anything.
        stats = (_read(f"/proc/{pid}/stat").rpartition(")")[2].split() for pid in self._pids())
        return sum(int(s[11]) + int(s[12]) for s in stats if s) / TICKS_PER_SECOND

    def cpu_nanoseconds(self) -> int:
        """Time that the thread with the event loop has run so far, finer than clock ticks."""
        return int(_read(f"/proc/{self.pid}/schedstat").split()[0])

    def memory_bytes(self) -> int:
        """Resident memory now."""
        sizes = (
            re.search(r"VmRSS:\s+(\d+) kB", _read(f"/proc/{pid}/status")) for pid in self._pids()
        )
        return sum(int(found.group(1)) * 1024 for found in sizes if found)

    def _pids(self) -> list[int]:
        pids = [self.pid]
        for pid in pids:
            pids += [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]
        return pids


@dataclass(frozen=True)
class Service:
    """Where the provider's service is."""

    workspace: str
    id: str


@contextmanager
def polyport() -> Iterator[Server]:
    """This repository's gateway."""
    command = [sys.executable, "-m", "gateway.server", "--ephemeral"]
    with _started("Polyport", command, {}) as server:
        yield server


@contextmanager
def hypha(python: str) -> Iterator[Server]:
    """Hypha, from the environment of another Python."""
    version = subprocess.run(
        [python, "-c", "from importlib.metadata import version; print(version('hypha'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    command = [python, "-m", "hypha.server", "--enable-mcp"]
    with _started(f"Hypha {version}", command, UNLIMITED) as server:
        yield server


@contextmanager
def _started(name: str, command: list[str], settings: Mapping[str, str]) -> Iterator[Server]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    begin = time.perf_counter()
    # In a directory of its own: a server may leave files where it is started.
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "output.txt")
        with log.open("w") as output:
            process = subprocess.Popen(
                [*command, "--host=127.0.0.1", f"--port={port}"],
                cwd=directory,
                env={**os.environ, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            while not _answers(f"{url}/health/readiness"):
                if process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                    raise RuntimeError(f"{name} did not start:\n{log.read_text()}")
                time.sleep(0.02)
            yield Server(name, url, process.pid, time.perf_counter() - begin)
        finally:
            _end(process)


@contextmanager
def provider(server: Server) -> Iterator[Service]:
    """The benchmark's service, connected to a server."""
    script = Path(__file__).with_name("provider.py")
    command = [sys.executable, str(script), server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    yield Service(**json.loads(line))
                    break
            else:
                raise RuntimeError("the provider could not register its service")
        finally:
            _end(process)


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _read(path: str) -> str:
    """Contents of a file of /proc; empty if its process has just ended."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
