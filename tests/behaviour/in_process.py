"""A gateway in a thread of this process, on a real socket: its parts can be looked at."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gateway.app import Parts, create_app
from gateway.core import GatewayCore
from gateway.settings import Settings
from gateway.transports.uvicorn_http import OneWriteHttpProtocol
from gateway.transports.uvicorn_websocket import RelayWebSocketProtocol
from tests.clients.gateways import polled
from tests.patience import PATIENCE_SECONDS


class InProcess:
    """A running gateway and its parts, which belong to another thread: read them only."""

    def __init__(self, parts: Parts, url: str) -> None:
        self.parts = parts
        self.url = url

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/ws"

    def sizes(self) -> dict[str, int]:
        """How much is kept, by what keeps it."""
        parts = self.parts
        assert isinstance(parts.gateway, GatewayCore)
        owners: list[object] = [
            parts.router,
            parts.router.endpoint,
            parts.router._long_messages,
            parts.registry,
            parts.hub,
            parts.gateway._directory,
        ]
        return {
            f"{type(owner).__name__}.{name}": sum(map(_depth, value.values()))
            for owner in owners
            for name, value in vars(owner).items()
            if isinstance(value, dict) and name != "_versions"
        }


def _depth(value: object) -> int:
    """Entries of maps of maps count, too."""
    return len(value) if isinstance(value, dict) else 1


@contextmanager
def in_process(settings: Settings, port: int = 0) -> Iterator[InProcess]:
    """Run a gateway until the end of the block, on a free port if none is given."""
    with socket.create_server(("127.0.0.1", port), backlog=512) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            http=OneWriteHttpProtocol,
            ws=RelayWebSocketProtocol,
            ws_max_size=settings.max_frame_bytes,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            polled(lambda: server.started, PATIENCE_SECONDS)
            yield InProcess(app.state.parts, settings.local_base_url)
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
