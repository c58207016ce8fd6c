"""The service ``built-in`` that every RPC peer has, here the gateway's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from gateway.routing.router import Router
from gateway.routing.session import ClientSession
from gateway.rpc.endpoint import Endpoint
from gateway.rpc.local import LocalFunction, LocalServices
from schema.errors import FunctionNotFound, PermissionDenied
from schema.identity import Caller

API_VERSION = 3
"""Version of ``message_cache`` with chunks by index, several in flight."""

SETTLING_SECONDS = 0.003
"""What a client that has just subscribed needs to set up its handlers. While it connects, it asks
for the manager in the same breath; with both answers at once, the program may go on (and leave, and
find a handler that nobody removes) before the library is ready."""


class BuiltIn:
    """Functions of the gateway's ``built-in``."""

    def __init__(self, router: Router, endpoint: Endpoint, services: LocalServices) -> None:
        self._router = router
        self._endpoint = endpoint
        self._services = services

    def functions(self) -> Mapping[str, LocalFunction]:
        """Paths and functions, as a client sees them."""
        return {
            "ping": self.ping,
            "get_service": self.get_service,
            "message_cache.create": self.create,
            "message_cache.append": self.append,
            "message_cache.set": self.set,
            "message_cache.remove": self.remove,
            "message_cache.process": self.process,
        }

    async def ping(self, caller: Caller, msg: Any) -> str:
        """Answer ``pong`` to ``ping``."""
        if msg != "ping":
            raise PermissionDenied("Expected the message 'ping'")
        return "pong"

    async def get_service(self, caller: Caller, service_id: str) -> Any:
        """Get one of the gateway's own services by its id."""
        session = self._router.get(caller.address or "")
        if session is not None and time.monotonic() - session.subscribed_at < SETTLING_SECONDS:
            await asyncio.sleep(SETTLING_SECONDS)
        return self._services.get(service_id.rpartition(":")[2]).packed

    async def create(
        self, caller: Caller, key: str, heartbeat: bool = False, overwrite: bool = False
    ) -> None:
        """Begin a message that comes in chunks."""
        self._check_awaited(caller, key, heartbeat)
        self._endpoint.chunks.create(_address(caller), key, overwrite=overwrite)

    async def append(self, caller: Caller, key: str, data: bytes, heartbeat: bool = False) -> None:
        """Add a chunk at the end of a message."""
        self._check_awaited(caller, key, heartbeat)
        self._endpoint.chunks.put(_address(caller), key, None, data)

    async def set(
        self, caller: Caller, key: str, index: int, data: bytes, heartbeat: bool = False
    ) -> None:
        """Put a chunk at its place in a message."""
        self._check_awaited(caller, key, heartbeat)
        self._endpoint.chunks.put(_address(caller), key, index, data)

    async def remove(self, caller: Caller, key: str) -> None:
        """Give up a message."""
        self._endpoint.chunks.take(_address(caller), key)

    async def process(self, caller: Caller, key: str, heartbeat: bool = False) -> None:
        """Handle a message whose chunks have all arrived."""
        self._check_awaited(caller, key, heartbeat)
        frame = self._endpoint.chunks.take(_address(caller), key)
        self._endpoint.receive_long(self._session(caller), frame)

    def _check_awaited(self, caller: Caller, key: str, is_reply: bool) -> None:
        """Chunks of a reply (its key is the session of the call) keep the call alive, and are not
        kept when nobody waits for it any more. Raises FunctionNotFound."""
        if is_reply and not self._endpoint.heard(key, _address(caller)):
            self._endpoint.chunks.discard(_address(caller), key)
            raise FunctionNotFound(f"session does not exist anymore: {key}")

    def _session(self, caller: Caller) -> ClientSession:
        session = self._router.get(_address(caller))
        if session is None or session.caller is not caller:
            raise PermissionDenied("This needs a connected client")
        return session


def _address(caller: Caller) -> str:
    if caller.address is None:
        raise PermissionDenied("This needs a connected client")
    return caller.address
