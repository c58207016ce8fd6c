"""What a client that opened with ``initialize`` needs between its requests.

Either the server keeps a session (its id goes into every request, and it is opened again when the
server has lost it), or it knows stateless requests only, and then ``initialize`` is answered here
and every other request is translated.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from mcp_bridge.revisions import SERVER_INFO_KEY
from mcp_bridge.stdio.connection import SESSION
from mcp_bridge.stdio.wire import Message, enveloped, without_envelope

_KEPT = ("capabilities", "instructions")


@dataclass(slots=True)
class Handshake:
    """The state of one client. ``opening`` is its ``initialize``, once it has come."""

    opening: Message | None = None
    version: str | None = None
    """As negotiated with the server."""
    session_id: str | None = None
    is_translated: bool = False
    log_level: str | None = None
    is_due: bool = False
    """The client has been answered, but the server has not been reached yet."""
    opened_again: asyncio.Lock = field(default_factory=asyncio.Lock)

    def headers(self) -> dict[str, str]:
        """Of a request in this session (revision 2025-06-18, Streamable HTTP)."""
        headers = {}
        if self.version is not None:
            headers["mcp-protocol-version"] = self.version
        if self.session_id is not None:
            headers[SESSION] = self.session_id
        return headers

    def opened(self, result: Any, session_id: str | None) -> None:
        """The server has answered ``initialize``."""
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        self.version = version if isinstance(version, str) else None
        self.session_id = session_id
        self.is_due = False

    def translated(self, message: Message) -> Message:
        """The request for a server that knows stateless ones only."""
        opening = (self.opening or {}).get("params") or {}
        return enveloped(message, opening, self.log_level)

    def answered_here(self, message: Message) -> Message | None:
        """The result of a request that such a server has no method for."""
        if message["method"] == "ping":
            return {}
        if message["method"] == "logging/setLevel":
            level = (message.get("params") or {}).get("level")
            self.log_level = level if isinstance(level, str) else None
            return {}
        return None

    def result_for_client(self, result: Message) -> Message | None:
        """The result in the words of the handshake; None if they have none for it."""
        if result.get("resultType", "complete") != "complete":
            return None
        return without_envelope(result)

    def introduction(self, discovered: Message, version: str) -> Message:
        """The answer to ``initialize``, from the result of ``server/discover``."""
        meta = discovered.get("_meta") or {}
        info = meta.get(SERVER_INFO_KEY) or {"name": "server", "version": "0"}
        result = {"protocolVersion": version, "capabilities": {}, "serverInfo": info}
        return result | {k: discovered[k] for k in _KEPT if k in discovered}
