"""An HTTP API as a service of the gateway."""

from __future__ import annotations

from typing import Any

from gateway.upstreams.credentials import Credentials
from gateway.upstreams.entries import Upstream
from gateway.upstreams.publishing import Publisher
from gateway.upstreams.supervisor import Supervisor


class OpenApiService:
    """See the module."""

    upstream: Upstream
    supervisor: Supervisor

    def __init__(self, upstream: Upstream, publisher: Publisher, credentials: Credentials) -> None:
        self.upstream = upstream

    def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def restart(self) -> None: ...
    def review(self) -> None: ...
    def status(self) -> dict[str, Any]:
        return {}
