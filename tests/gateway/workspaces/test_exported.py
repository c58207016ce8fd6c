"""The setup of what a client exports, when it does not go well."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.app import Parts
from gateway.rpc.endpoint import Endpoint
from gateway.workspaces.exported import EXPORTED, set_up
from schema.services import ServiceInfo
from tests.gateway.peer import Peer
from tests.patience import PATIENCE_SECONDS


@dataclass
class Exported:
    """A client that has registered what it exports, and that no longer answers."""

    peer: Peer
    endpoint: Endpoint
    service: ServiceInfo

    @classmethod
    async def by(cls, parts: Parts) -> Exported:
        peer = await Peer.join(parts)
        await peer.register(EXPORTED, {"setup": lambda message: None})
        peer.mute = True
        (service,) = parts.registry.of_client(peer.address)
        assert isinstance(parts.router.endpoint, Endpoint)
        return cls(peer, parts.router.endpoint, service)

    async def set_up(self, seconds: float) -> None:
        await set_up(self.endpoint, self.peer.session.caller, self.service, seconds)


async def test_a_setup_that_does_not_return_is_given_up(parts: Parts) -> None:
    exported = await Exported.by(parts)
    await exported.set_up(seconds=0.01)
    assert exported.endpoint.calls_in_flight == 0
    assert parts.registry.get(exported.service.id) is exported.service


async def test_nobody_waits_for_the_setup_of_a_client_that_has_gone(parts: Parts) -> None:
    exported = await Exported.by(parts)
    async with asyncio.timeout(PATIENCE_SECONDS):
        waiting = asyncio.create_task(exported.set_up(seconds=60))
        await asyncio.sleep(0)
        exported.peer.leave()
        await waiting
        await exported.set_up(seconds=60)
    assert exported.endpoint.calls_in_flight == 0
