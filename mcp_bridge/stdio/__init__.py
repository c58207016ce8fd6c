"""The stdio bridge: an MCP server over standard input and output that relays to an endpoint.

For clients that start local programs only. One JSON-RPC message a line, in UTF-8, and nothing else
on the standard output (revision 2025-11-25 and 2026-07-28, stdio). Both eras are taken, whichever
comes first; the endpoint may be this gateway's or any other over Streamable HTTP. If it wants a
login, its user is brought to one (``mcp_bridge.login``), and requests wait for that.

- ``pipes``: lines in and out, on threads of their own, so that neither waits for HTTP
- ``relay``: what becomes of a message; every request is a task
- ``connection``: how a message is posted and its response read
- ``handshake``: what a client that opened with ``initialize`` needs: its session, or a translation
  for a server that knows stateless requests only
- ``local``: a gateway of the bridge's own, for a configuration file
- ``wire``: headers, events, and the answers that need no server. Pure
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import httpx

from mcp_bridge.stdio.connection import Locate, Remote
from mcp_bridge.stdio.local import LocalGateway
from mcp_bridge.stdio.pipes import Pipes
from mcp_bridge.stdio.relay import Relay

__all__ = ["LocalGateway", "Remote", "serve"]

CONNECT_SECONDS = 5.0


def serve(endpoint: Remote | LocalGateway) -> int:
    """Relay until the input ends or a signal asks to stop. Returns the exit code."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(endpoint))
    return 0


async def _serve(endpoint: Remote | LocalGateway) -> None:
    pipes = Pipes.standard()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The loops of Windows take no handlers. There the end of the input ends the relay, as it
        # does everywhere, and Ctrl+C cancels it (``asyncio.run``); no SIGTERM ever comes.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, pipes.end)
    # Answers come when they come: the endpoint keeps a silent connection alive with comments.
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    try:
        async with (
            _located(endpoint) as locate,
            httpx.AsyncClient(timeout=timeout, limits=limits) as http,
        ):
            await Relay(locate, http, pipes.write).run(pipes)
    finally:
        pipes.close()


@contextlib.asynccontextmanager
async def _located(endpoint: Remote | LocalGateway) -> AsyncIterator[Locate]:
    if isinstance(endpoint, Remote):

        async def there() -> Remote:
            return endpoint

        yield there
        return
    endpoint.start()
    try:
        yield endpoint.remote
    finally:
        await endpoint.stop()
