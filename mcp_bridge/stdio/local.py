"""A gateway of the bridge's own, for MCP servers and APIs of a configuration file.

It is a process beside the bridge, on a port of this machine that is picked at the start, and is
open to the bridge alone: what it offers is protected, and only the bridge has its token.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from typing import Final

from mcp_bridge.stdio.connection import Remote, Unreachable

STOP_SECONDS: Final = 1.0
_READY: Final = re.compile(r"ready at (http://\S+)")


class LocalGateway:
    """Starts with the first request that needs it, and ends with the bridge."""

    def __init__(self, arguments: Sequence[str], path: str) -> None:
        """``arguments`` are those of ``polyport serve``; ``path`` is that of the endpoint."""
        self._arguments = arguments
        self._path = path
        self._token = secrets.token_urlsafe(48)
        self._process: Process | None = None
        self._starting: asyncio.Task[Remote] | None = None

    def start(self) -> None:
        """Begin to start it."""
        self._starting = asyncio.create_task(self._start())

    async def remote(self) -> Remote:
        """The endpoint, once it is there. Raises Unreachable if it could not be started."""
        assert self._starting is not None  # noqa: S101 - it has begun
        return await asyncio.shield(self._starting)

    async def _start(self) -> Remote:
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "--host", "127.0.0.1", "--port", "0"),
            *("--ephemeral", "--mcp-visibility", "protected", *self._arguments),
            stdin=DEVNULL,
            stdout=PIPE,
            env={**os.environ, "POLYPORT_ROOT_TOKEN": self._token},  # noqa: TID251
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101 - it was opened with PIPE
        async for line in process.stdout:
            found = _READY.search(line.decode(errors="replace"))
            if found is not None:
                headers = {"authorization": f"Bearer {self._token}"}
                return Remote(f"{found[1]}{self._path}", headers)
        raise Unreachable("The gateway could not be started; see the standard error")

    async def stop(self) -> None:
        """End it, gently at first."""
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Unreachable):
                await self._starting
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
