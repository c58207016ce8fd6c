"""All upstreams of the gateway: those of the configuration and those that were added since."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from gateway.settings import process_environment
from gateway.storage.rows import StoredServer
from gateway.storage.sealing import CannotOpen, SealedBox
from gateway.upstreams.credentials import Credentials
from gateway.upstreams.entries import Document, Upstream, read_entry
from gateway.upstreams.expansion import Expansion
from gateway.upstreams.login.logins import Logins
from gateway.upstreams.openapi.service import OpenApiService
from gateway.upstreams.pins import Pins
from gateway.upstreams.publishing import Publisher
from gateway.upstreams.server import McpServer
from gateway.upstreams.supervisor import Supervisor
from schema.errors import Conflict, GatewayError, NotFound

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.upstreams import UpstreamRepository

logger = logging.getLogger(__name__)

MAX_PER_WORKSPACE: Final = 100


class Service(Protocol):
    """An upstream that is offered."""

    upstream: Upstream
    supervisor: Supervisor

    def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def restart(self) -> None: ...
    def review(self) -> None: ...
    def status(self) -> dict[str, Any]: ...


class Upstreams:
    """Starts, finds and ends upstreams. What is added is kept if there is a repository."""

    def __init__(
        self,
        configured: Sequence[Upstream],
        publisher: Publisher,
        pins: Pins,
        logins: Logins,
        *,
        repository: UpstreamRepository | None,
        box: SealedBox,
        may_be_private: bool,
    ) -> None:
        self._configured = configured
        self._publisher = publisher
        self._credentials = Credentials(logins.credentials)
        self.credentials = logins.credentials
        self.logins = logins
        self._repository = repository
        self._box = box
        self._may_be_private = may_be_private
        self.pins = pins
        self._services: dict[str, Service] = {}
        self._added: set[str] = set()

    async def start(self) -> None:
        """Begin with those of the configuration and those that were kept."""
        self._publisher.explain(self._find)
        for upstream in self._configured:
            self._launch(upstream)
        if self._repository is not None:
            for row in await self._repository.servers():
                self._restore(row)

    async def close(self) -> None:
        """End them all."""
        services = list(self._services.values())
        self._services.clear()
        await asyncio.gather(*(service.stop() for service in services))

    def in_workspace(self, workspace: str) -> list[Service]:
        """Those of a workspace."""
        return [s for s in self._services.values() if s.upstream.workspace == workspace]

    def get(self, workspace: str, name: str) -> Service:
        """Raises NotFound."""
        service = self._services.get(f"{workspace}/{name}")
        if service is None:
            raise NotFound(f"There is no server {name!r} in the workspace {workspace}")
        return service

    def _find(self, workspace: str, name: str) -> tuple[Upstream, Supervisor] | None:
        service = self._services.get(f"{workspace}/{name}")
        return None if service is None else (service.upstream, service.supervisor)

    def is_configured(self, upstream: Upstream) -> bool:
        """Whether it comes from the configuration, and so cannot be removed."""
        return upstream.key not in self._added

    def read(
        self, name: str, entry: Mapping[str, Any], workspace: str, *, is_trusted: bool
    ) -> Upstream:
        """An entry that somebody gives at run time. What only operators may say (values of the
        server's environment, files, private addresses) is refused to others.

        Raises BadEntry.
        """
        variables = process_environment() if is_trusted else {}
        expand = Expansion(variables, may_read_files=is_trusted)
        plain = {key: value for key, value in entry.items() if key != "workspace"}
        return read_entry(
            name,
            plain,
            expand,
            workspace=workspace,
            may_be_private=is_trusted or self._may_be_private,
        )

    async def add(
        self, upstream: Upstream, entry: Mapping[str, Any], *, added_by: str, is_trusted: bool
    ) -> Service:
        """Start one more, and keep its entry. Raises Conflict."""
        if upstream.key in self._services:
            raise Conflict(f"There is a server {upstream.name!r} already: remove it first")
        if len(self.in_workspace(upstream.workspace)) >= MAX_PER_WORKSPACE:
            raise Conflict(f"A workspace can have at most {MAX_PER_WORKSPACE} servers")
        service = self._launch(upstream)
        self._added.add(upstream.key)
        if self._repository is not None:
            sealed = self._box.seal(json.dumps(entry).encode(), _place(upstream.key))
            row = StoredServer(upstream.workspace, upstream.name, sealed, is_trusted, added_by)
            await self._repository.put_server(row, now=time.time())
        return service

    async def remove(self, service: Service) -> None:
        """End one that was added, and forget it."""
        upstream = service.upstream
        self._services.pop(upstream.key, None)
        self._added.discard(upstream.key)
        await service.stop()
        self.pins.forget(upstream.key)
        self.credentials.forget(upstream)
        if self._repository is not None:
            await self._repository.remove_server(upstream.workspace, upstream.name)

    async def forget_workspace(self, workspace: str) -> None:
        """End and forget those that were added to a workspace that is no more."""
        for service in self.in_workspace(workspace):
            if not self.is_configured(service.upstream):
                await self.remove(service)

    def _launch(self, upstream: Upstream) -> Service:
        service: Service
        if isinstance(upstream.target, Document):
            service = OpenApiService(upstream, self._publisher, self._credentials)
        else:
            service = McpServer(upstream, self._publisher, self._credentials, self.logins)
        self._services[upstream.key] = service
        if not upstream.is_disabled:
            service.start()
        return service

    def _restore(self, row: StoredServer) -> None:
        key = f"{row.workspace}/{row.name}"
        if key in self._services:
            logger.warning("upstream_hidden name=%s reason='it is configured as well'", key)
            return
        try:
            entry = json.loads(self._box.open(row.sealed, _place(key)))
            upstream = self.read(row.name, entry, row.workspace, is_trusted=row.is_trusted)
            self._launch(upstream)
        except (CannotOpen, GatewayError) as error:
            logger.error("upstream_not_restored name=%s reason=%r", key, str(error))  # noqa: TRY400
            return
        self._added.add(key)


def _place(key: str) -> str:
    return f"upstream_servers/{key}"
