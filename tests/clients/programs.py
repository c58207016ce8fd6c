"""Programs of users, spoken to over their standard streams, one line at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_SECONDS


class Program:
    """A running program; its standard output and error are read together."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._lines: list[str] = []

    async def line(self, containing: str = "") -> str:
        """The next line that has ``containing`` in it, without its end."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while raw := await self._process.stdout.readline():
                self._lines.append(raw.decode(errors="replace").rstrip())
                if containing in self._lines[-1]:
                    return self._lines[-1]
        written = "\n".join(self._lines)
        raise AssertionError(f"the program ended without {containing!r}; it wrote:\n{written}")

    async def value(self) -> Any:
        """The next line that is a JSON object, decoded."""
        while not (line := await self.line("{")).startswith("{"):
            pass
        return json.loads(line)

    async def press_enter(self) -> None:
        await self.tell("")

    async def tell(self, line: str) -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    def kill(self) -> None:
        """End it at once, without a chance to say goodbye."""
        self._process.kill()

    def freeze(self) -> None:
        """Stop it where it is: its connections stay, but nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    async def end(self, number: signal.Signals | None = None) -> int:
        """End its input, send a signal if one is given, and return the exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if number is not None and self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


@asynccontextmanager
async def running(*command: str | Path, **environment: str) -> AsyncIterator[Program]:
    """Start a program, and stop whatever of it is left at the end."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    program = Program(process)
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await program.end()


async def ended(
    *command: str | Path, cwd: Path | None = None, **environment: str
) -> tuple[int | None, str]:
    """The exit code of a program, and what it writes. Nothing of it is left if it is not waited
    for to its end: what nobody has waited for would be reported in another test."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, stdout=PIPE, stderr=STDOUT, env={**os.environ, **environment}
    )
    try:
        written, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.communicate()
        raise
    return process.returncode, written.decode(errors="replace")


async def output(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """What a program writes; it has to succeed."""
    code, text = await ended(*command, cwd=cwd, **environment)
    assert code == 0, text
    return text
