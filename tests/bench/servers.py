"""The servers that are measured, as processes: start, what they cost, stop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.clients.gateways import free_port, polled

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS = 120.0
UNLIMITED = {
    f"HYPHA_{kind}_{limit}_LIMIT": "1000000"
    for kind in ("WS_MSG", "HTTP")
    for limit in ("RATE", "BURST")
}
"""Takes the rate limits out of the way, of both."""


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
def polyport(*arguments: str) -> Iterator[Server]:
    """This repository's gateway."""
    port = free_port()
    command = [sys.executable, "-m", "gateway.server", "--ephemeral", *_at(port), *arguments]
    with started("Polyport", command, UNLIMITED, port=port) as server:
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
    port = free_port()
    command = [python, "-m", "hypha.server", "--enable-mcp", *_at(port)]
    with started(f"Hypha {version}", command, UNLIMITED, port=port) as server:
        yield server


def _at(port: int) -> tuple[str, ...]:
    return "--host=127.0.0.1", f"--port={port}"


@contextmanager
def started(
    name: str,
    command: list[str],
    settings: Mapping[str, str],
    *,
    port: int,
    probe: str | None = "/health/readiness",
) -> Iterator[Server]:
    """Run a server that listens on ``port``, from when it is ready: it answers 200 at ``probe``,
    or anything at all if that is None."""
    url = f"http://127.0.0.1:{port}"
    begin = time.perf_counter()
    # In a directory of its own: a server may leave files where it is started.
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "output.txt")
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            try:
                polled(lambda: _answers(process, url, probe), START_SECONDS)
            except (ChildProcessError, TimeoutError) as error:
                text = f"{name} did not start ({error}):\n{log.read_text()}"
                raise RuntimeError(text) from None
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


def _answers(process: subprocess.Popen[bytes], url: str, probe: str | None) -> bool:
    if process.poll() is not None:
        raise ChildProcessError("it ended")
    try:
        with urlopen(url + (probe or "/"), timeout=1) as response:
            return bool(response.status == 200)
    except HTTPError:
        return probe is None
    except (URLError, OSError):
        return False


def _read(path: str) -> str:
    """Contents of a file of /proc; empty if its process has just ended."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
