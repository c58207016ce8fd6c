"""Standard input and output as lines. The only part that touches the process's own pipes.

Reading and writing block, on every platform in its own way, so each has a thread.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from typing import Final

CHUNK_BYTES: Final = 1 << 16
FLUSH_SECONDS: Final = 1.0
"""How long the last answers may take to be written when all is over."""


class Pipes:
    """Lines from one file descriptor, asynchronously, and lines to another."""

    def __init__(self, source: int, target: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._source, self._target = source, target
        # Unbuffered, because a thread that waits in a buffered read holds its lock at exit.
        threading.Thread(target=self._read, daemon=True).start()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    @classmethod
    def standard(cls) -> Pipes:
        """Of this process. Whatever else prints goes to the standard error from now on; whatever
        else reads, such as a browser that is started, finds nothing."""
        source, target = os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), sys.stdin.fileno())
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            for descriptor in (source, target):
                msvcrt.setmode(descriptor, os.O_BINARY)
        return cls(source, target)

    def write(self, message: bytes) -> None:
        """Queue a line, which must not contain a line break."""
        self._outgoing.put(message + b"\n")

    def end(self) -> None:
        """Stop reading, as if the input had ended."""
        self._incoming.put_nowait(None)

    def close(self) -> None:
        """Write what is queued, if somebody reads it."""
        self._outgoing.put(None)
        self._writer.join(FLUSH_SECONDS)

    def __aiter__(self) -> Pipes:
        return self

    async def __anext__(self) -> bytes:
        line = await self._incoming.get()
        if line is None:
            raise StopAsyncIteration
        return line

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                chunk = os.read(self._source, CHUNK_BYTES)
            except OSError:
                chunk = b""
            *lines, rest = (rest + chunk).split(b"\n")
            if not chunk and rest:
                lines.append(rest)
            for line in lines:
                if stripped := line.strip():  # a carriage return is tolerated
                    self._put(stripped)
            if not chunk:
                self._put(None)
                return

    def _put(self, line: bytes | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._incoming.put_nowait, line)
        except RuntimeError:
            return  # the loop has ended before the input

    def _write(self) -> None:
        while (data := self._outgoing.get()) is not None:
            try:
                while data:
                    data = data[os.write(self._target, data) :]
            except OSError:
                return  # nobody reads any more
