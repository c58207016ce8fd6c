"""An MCP server that is a program: started, spoken to line by line, ended with all that it started.

What it writes is handled as it comes, without a task in between: each call passes through here
twice.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from mcp.client.stdio import get_default_environment

from gateway.upstreams.entries import Program
from gateway.upstreams.mcp_client.diagnosis import MAX_LINE, Diagnosis
from schema.errors import LimitExceeded, ProviderGone

MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
"""Of one message of a server."""
MAX_UNREAD_BYTES: Final = 16 * 1024 * 1024
"""Sent to a server that does not read it."""
GRACE_SECONDS: Final = 2.0
"""Between one way to end a program and the next, ruder one (revision 2025-11-25, lifecycle)."""

_EDGE: Final = 512
_STDIN, _STDOUT, _STDERR = range(3)


class Process(asyncio.SubprocessProtocol):
    """A running program. ``take`` gets each line that it writes; ``refuse`` the beginning and the
    end of one that is too long; ``lost`` is called once, when it has nothing more to say."""

    def __init__(
        self,
        diagnosis: Diagnosis,
        take: Callable[[bytes], None],
        refuse: Callable[[bytes, bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self._diagnosis = diagnosis
        self._take = take
        self._refuse = refuse
        self._lost = lost
        self._line: list[bytes] = []
        """What has come of the line that is not complete."""
        self._line_bytes = 0
        self._is_over = False
        self._is_unwanted = False
        self._stdin: Any = None
        self._transport: Any = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._error_line = ""
        self.ended = asyncio.Event()

    def send(self, line: bytes) -> None:
        """Write a message. Raises LimitExceeded if the program does not read, and OSError when it
        is gone."""
        if self._is_over or self._stdin is None or self._stdin.is_closing():
            raise BrokenPipeError
        if self._stdin.get_write_buffer_size() > MAX_UNREAD_BYTES:
            raise LimitExceeded("The server does not read what it is sent")
        self._stdin.write(line + b"\n")

    async def end(self) -> None:
        """Ask it to end, and see to it that it does, with its descendants."""
        transport = self._transport
        self._is_unwanted = not self._is_over
        if self._stdin is not None:
            self._stdin.close()
        for kind in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if await self._has_ended():
                break
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if sys.platform == "win32":
                    transport.kill()
                else:
                    os.killpg(transport.get_pid(), kind)
        await self._has_ended()
        with contextlib.suppress(PermissionError, ProcessLookupError):
            transport.close()

    async def _has_ended(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self.ended.wait()
        return self.ended.is_set()

    # What the system says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        subprocess = cast(asyncio.SubprocessTransport, transport)
        self._stdin = subprocess.get_pipe_transport(_STDIN)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self._note(data)
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._end_line(line)
        self._line_bytes += len(rest)
        if self._line_bytes <= MAX_MESSAGE_BYTES:
            self._line.append(rest)
        else:  # it is let pass; what it is about may stand at either end
            begin = b"".join(self._line)[:_EDGE]
            tail = (self._line[-1] + rest)[-_EDGE:]
            self._line = [begin, tail]

    def _end_line(self, end: bytes) -> None:
        parts, size = self._line, self._line_bytes + len(end)
        self._line, self._line_bytes = [], 0
        if size > MAX_MESSAGE_BYTES:
            self._diagnosis.note_garbage()
            begin = b"".join(parts)[:_EDGE]
            self._refuse(begin, ((parts[-1] if parts else b"") + end)[-_EDGE:])
            return
        line = b"".join((*parts, end)) if parts else end
        if line.strip():
            self._take(line)

    def _note(self, data: bytes) -> None:
        *lines, rest = (self._error_line + self._decode(data)).split("\n")
        self._error_line = rest[-MAX_LINE:]
        self._diagnosis.note_errors(lines)

    def pipe_connection_lost(self, fd: int, _error: Exception | None) -> None:
        if fd == _STDERR:
            self._diagnosis.note_errors([self._error_line])
        else:  # without one of the two there is nothing to be had from it
            self._over()

    def process_exited(self) -> None:
        if not self._is_unwanted:
            self._diagnosis.note_end(self._transport.get_returncode())
        self.ended.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()
        self._over()

    def _over(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._lost()


@asynccontextmanager
async def running(
    program: Program,
    diagnosis: Diagnosis,
    *,
    take: Callable[[bytes], None],
    refuse: Callable[[bytes, bytes], None],
    lost: Callable[[], None],
) -> AsyncIterator[Process]:
    """Start a program, in a group of processes of its own, and end it at last. It sees the
    variables of its entry and those that every program needs. Raises ProviderGone."""
    try:
        _, process = await asyncio.get_running_loop().subprocess_exec(
            lambda: Process(diagnosis, take, refuse, lost),
            program.command,
            *program.args,
            env={**get_default_environment(), **program.env},
            cwd=program.cwd,
            start_new_session=True,
        )
    except OSError as error:
        where = f" in {program.cwd}" if program.cwd else ""
        reason = f"the program {program.command!r} cannot be started{where}: {error.strerror}"
        raise ProviderGone(reason, delivered=False) from None
    try:
        yield process
    finally:
        await _shielded(process.end())


async def _shielded(work: Any) -> None:
    """Do it also if this task is cancelled meanwhile: a program must not be left behind."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
