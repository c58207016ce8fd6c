"""The wire contract, requirement by requirement: one gateway, and clients of both transports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.behaviour.joining import Join
from tests.clients.conftest import connect, http, node, pytest_itemcollected
from tests.clients.gateways import Gateway, started

__all__ = ["connect", "http", "node", "pytest_itemcollected"]

SETTINGS = {"POLYPORT_JWT_SECRET": "behaviour" * 8}


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests here. It has to survive them and to stop well."""
    with started(tmp_path_factory.mktemp("behaviour"), SETTINGS) as gateway:
        yield gateway
        assert gateway.process.poll() is None, f"the gateway has died:\n{gateway.written()}"
        assert gateway.end() == 0, gateway.written()
        assert "Traceback" not in gateway.written()


@pytest.fixture(params=["websocket", "http"])
async def join(request: pytest.FixtureRequest, gateway: Gateway) -> AsyncIterator[Join]:
    """Connect a client, by each transport in turn."""
    async with AsyncExitStack() as clients:
        yield Join(gateway, request.param, clients)


@pytest.fixture
async def join_websocket(gateway: Gateway) -> AsyncIterator[Join]:
    """Connect a client by websocket, where that is the subject."""
    async with AsyncExitStack() as clients:
        yield Join(gateway, "websocket", clients)
