"""The setup of what a client exports, when it does not go well."""

from __future__ import annotations

import asyncio

from gateway.app import Parts
from gateway.workspaces.exported import EXPORTED, set_up
from schema.services import ServiceInfo
from tests.gateway.peer import Peer


async def exported(parts: Parts, peer: Peer) -> ServiceInfo:
    await peer.register(EXPORTED, {"setup": lambda message: None})
    (service,) = parts.registry.of_client(peer.address)
    return service


async def test_a_setup_that_does_not_return_is_given_up(parts: Parts) -> None:
    peer = await Peer.join(parts)
    service = await exported(parts, peer)
    peer.mute = True
    await set_up(parts.router.endpoint, peer.session.caller, service, seconds=0.01)
    assert parts.router.endpoint.calls_in_flight == 0
    assert parts.registry.get(service.id) is service


async def test_nobody_waits_for_the_setup_of_a_client_that_has_gone(parts: Parts) -> None:
    peer = await Peer.join(parts)
    service = await exported(parts, peer)
    caller = peer.session.caller
    peer.mute = True
    waiting = asyncio.create_task(set_up(parts.router.endpoint, caller, service))
    await asyncio.sleep(0)
    peer.leave()
    async with asyncio.timeout(1):
        await waiting
        await set_up(parts.router.endpoint, caller, service)
    assert parts.router.endpoint.calls_in_flight == 0
