"""What ``test_hypha_rpc_python`` shows, with a client that has no websocket on either side."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import Connect
from tests.clients.test_hypha_rpc_python import *  # noqa: F403 - these tests are run here again

SIDES = {"the first client": ("http", "websocket"), "the others": ("websocket", "http")}


@pytest.fixture(params=SIDES.values(), ids=tuple(SIDES))
def transports(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Of the first client, who nearly always is the provider, and of those that come after it."""
    first, others = request.param
    return first, others


@pytest.fixture
def connect(connect: Connect, transports: tuple[str, str]) -> Connect:
    kinds = list(transports)

    async def over(**config: Any) -> Any:
        transport = kinds.pop(0) if len(kinds) > 1 else kinds[0]
        return await connect(transport=transport, **config)

    return over
