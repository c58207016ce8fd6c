"""The MCP door: every service is an MCP server at ``/{workspace}/mcp/{service}/mcp``.

An extension of the gateway (``create``). It is a stateless dispatcher of its own for all
published revisions of MCP over Streamable HTTP, and reaches services only through
``gateway.api.Gateway``. It keeps no sessions unless a service asks for them, and knows nothing of
how services are connected.

A request passes, in this order:

- ``routes``: addresses; ``guard``: host and origin; ``endpoint``: the HTTP side, raw ASGI
- ``ladder``: message and headers to a request of a known revision, with ``headers``
- ``offer``: who asks, which service; ``methods``: which method
- ``catalogue``: what is the same for every request, as bytes, from ``tools``, ``names``,
  ``schemas``
- ``offered`` makes the catalogue of a service, ``workspace`` that of all services of one; ``views``
  and ``profiles`` show of it what a client asks for, ``meta_tools`` and ``search`` find in it
- ``calls``: calling a tool, with ``arguments``, ``param_headers``, ``content``
- ``listening``: a response that stays open, with ``feed``: what has changed
- ``stateful``: where clients of the handshake era have ``sessions``, whose responses are
  ``recording``s
- ``two_endpoints``: the older transport, which hands messages to ``endpoint``
- ``exchange``: JSON or server-sent events, progress, cancellation; ``revisions``: what the
  client's revision can read; ``errors``: what a failure looks like
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from gateway.extensions import ExtensionContext


def create(context: ExtensionContext) -> list[BaseRoute]:
    """The routes of this extension (``gateway.extensions.Create``)."""
    # The commands for MCP clients, which have to start fast, need none of the server.
    from mcp_bridge.exchange import Timing  # noqa: PLC0415
    from mcp_bridge.routes import mcp_routes  # noqa: PLC0415

    return mcp_routes(context, Timing())
