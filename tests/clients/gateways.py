"""A gateway as the product starts it: a process with a port of its own."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent.parent
SERVE = ("-m", "gateway.server", "--port", "0", "--ephemeral")
_Found = TypeVar("_Found")
_READY = re.compile(r"(?:ready at|running on) (http://\S+)\s")
"""Up to what ends it, or a line that is only half written would do."""


class Gateway:
    """A running gateway. What it writes goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, url: str) -> None:
        self.process = process
        self.output = output
        self.url = url

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/ws"

    def written(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def started(
    directory: Path, environment: Mapping[str, str], arguments: tuple[str, ...] = SERVE
) -> Iterator[Gateway]:
    """Start a gateway, and stop whatever of it is left at the end."""
    output = directory / "gateway.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Gateway(process, output, _url(process, output))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE_SECONDS)


def _url(process: subprocess.Popen[bytes], output: Path) -> str:
    def found() -> str | None:
        match = _READY.search(output.read_text())
        if match is None and process.poll() is not None:
            raise AssertionError(f"the gateway ended at once:\n{output.read_text()}")
        return match and match[1]

    return polled(found, PATIENCE_SECONDS)


def free_port() -> int:
    """A port that nobody listens on, and that stays free while a server is started or started
    again: systems give ports of this range to nobody who has not asked for one by number."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def polled(condition: Callable[[], _Found | None], seconds: float) -> _Found:
    """What ``condition`` returns once it is true, for what has no event to wait for."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.01)
    return value
