"""A pytest plugin: what the tests of the Python client expect around them, and which are run.

They are run as they come. ``POLYPORT_SUITE_URL`` says where the gateway is that most of them use;
one that restarts its server gets one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from gateway.settings import Settings
from tests.behaviour.in_process import in_process
from tests.clients.gateways import free_port

SERVERS: Final = {"websocket_server", "restartable_server"}
FILES_LEFT_OUT: Final = {
    "test_mcp.py": (
        "makes an MCP server in the client's process, with a version of fastmcp that cannot be "
        "installed beside this one of mcp; of the gateway it uses register_service and get_service"
    ),
}
LEFT_OUT: Final = {
    "test_wm_proxy_refreshes_after_server_restart": (
        "wants the id of the manager to change with a restart; here it stays the same, so that "
        "calls to it go on"
    ),
    "test_launch_external_services": ("starts a script that the source distribution does not have"),
    "test_repeated_connections_no_growth": (
        "wants a client that leaves as soon as it has come to have subscribed by then, which the "
        "library does not wait for: it fails now and then where answers are quick"
    ),
}
"""What is not run, and why."""


class RestartableServer:
    """A gateway that a test stops and starts on one port."""

    def __init__(self) -> None:
        self.port = free_port()
        self._running = ExitStack()

    def start(self, timeout: float = 10) -> bool:
        settings = Settings(ephemeral=True, jwt_secret="upstream" * 8, port=self.port)
        self._running.enter_context(in_process(settings, port=self.port))
        return True

    def stop(self) -> None:
        self._running.close()

    def restart(self, stop_delay: float = 0.1, start_timeout: float = 10) -> None:
        self.stop()
        self.start()


@pytest.fixture
def restartable_server() -> Iterator[RestartableServer]:
    server = RestartableServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def websocket_server() -> None:
    """The gateway that is there already."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only what talks to a server is run: the rest examines the library alone."""
    wanted: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        talks = SERVERS.intersection(getattr(item, "fixturenames", ()))
        (wanted if talks and item.name not in LEFT_OUT else left_out).append(item)
    items[:] = wanted
    config.hook.pytest_deselected(items=left_out)
