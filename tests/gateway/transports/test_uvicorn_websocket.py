"""What the websocket protocol keeps of a connection."""

from __future__ import annotations

import gc
import json

from websockets.asyncio.client import connect

from gateway.settings import Settings
from gateway.transports.uvicorn_websocket import RelayWebSocketProtocol
from tests.behaviour.in_process import in_process


def protocol_at(port: int) -> RelayWebSocketProtocol:
    """The one connection that is served at a port of this process."""
    found = (o for o in gc.get_objects() if type(o) is RelayWebSocketProtocol)
    (protocol,) = (p for p in found if p.server is not None and p.server[1] == port)
    return protocol


async def test_an_admitted_client_costs_no_memory_for_the_headers_it_came_with() -> None:
    with in_process(Settings(ephemeral=True)) as gateway:
        header = {"x-long": "x" * 4096}
        async with connect(gateway.websocket_url, additional_headers=header) as client:
            await client.send(json.dumps({"client_id": "me"}))
            await client.recv()
            await client.send(json.dumps({"type": "ping"}))
            assert json.loads(await client.recv()) == {"type": "pong"}
            served = protocol_at(client.remote_address[1])
            assert len(served.request.headers) == len(served.response.headers) == 0
            assert served.scope["headers"] == []
