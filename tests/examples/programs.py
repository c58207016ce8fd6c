"""Programs as a person starts them: a process, its output line by line, and its end."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent.parent
AGENTS = ROOT / "examples" / "agents"
MODEL_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")


def environment() -> dict[str, str]:
    """Ours, without the keys of real models, for a gateway that keeps nothing."""
    kept = {name: value for name, value in os.environ.items() if name not in MODEL_KEYS}
    return {**kept, "PYTHONUNBUFFERED": "1", "POLYPORT_EPHEMERAL": "1"}


class Program:
    """A running Python program; standard output and error are read together."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def lines(self) -> Iterator[str]:
        """Lines as they come, until the program closes its output."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError("\n".join(["no more output after:", *self.output])) from None
            if line is None:
                return
            self.output.append(line)
            yield line

    def wait_for(self, text: str) -> str:
        """The next line that contains ``text``."""
        for line in self.lines():
            if text in line:
                return line
        raise EOFError("\n".join([f"ended without {text!r}:", *self.output]))

    def rest(self) -> list[str]:
        """All lines to the end of the program."""
        return list(self.lines())

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.exit_code()

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """End it for certain, with its children."""
        if self.process.poll() is None:
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(PATIENCE_SECONDS)


@contextmanager
def running(*arguments: str | Path) -> Iterator[Program]:
    program = Program(*arguments)
    try:
        yield program
    finally:
        program.close()


def run(*arguments: str | Path) -> list[str]:
    """Run a program to its end, which must be a good one; returns its output."""
    with running(*arguments) as program:
        lines: Sequence[str] = program.rest()
        assert program.exit_code() == 0, "\n".join(lines)
        return list(lines)
