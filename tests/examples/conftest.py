from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.examples.programs import AGENTS, running


@pytest.fixture(scope="module")
def gateway_url() -> Iterator[str]:
    """A gateway of its own for a module's tests, on a free port."""
    with running("-m", "gateway.server", "--port=0") as gateway:
        yield gateway.wait_for(" ready at ").rpartition(" ready at ")[2]


@pytest.fixture(scope="module")
def sample_mcp_url(gateway_url: str) -> Iterator[str]:
    """The MCP endpoint of the sample service."""
    with running(AGENTS / "sample_service.py", "--server-url", gateway_url) as service:
        yield service.wait_for("/mcp/sample/mcp")
