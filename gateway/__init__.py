"""Polyport: one registry, one JSON Schema, one access decision, three doors.

How a request travels:

- websocket to websocket: ``transports.websocket`` → ``routing.router`` → ``routing.outbox`` of the
  target. The body is never decoded (waist 2: ``Router.route``).
- HTTP or MCP call: the bridge → ``api`` (waist 1: ``Gateway.call``, implemented in ``core``) →
  ``registry`` → ``rpc.local`` for the gateway's own services, else ``rpc.endpoint`` → the router.
- start: ``cli`` → ``settings`` → ``app``, where every object is made, in order, by name.
"""

from __future__ import annotations

import schema

__version__ = "0.1.0"

if not getattr(schema, "POLYPORT_SCHEMA", False):
    raise ImportError(
        "another package named 'schema' is installed in this environment "
        f"({getattr(schema, '__file__', '?')}); install polyport in an environment of its own"
    )
