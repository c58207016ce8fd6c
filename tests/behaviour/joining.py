"""Connecting clients of either transport to a gateway, until the end of a test."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import httpx
from websockets.asyncio.client import connect

from tests.behaviour.wire import Client, HttpClient, WebSocketClient
from tests.clients.gateways import Gateway
from tests.patience import PATIENCE_SECONDS


class Served(Protocol):
    """A gateway, as a process or in this one."""

    url: str

    @property
    def websocket_url(self) -> str: ...


class Join:
    """Connects clients by one transport, until the end of the test."""

    def __init__(self, gateway: Gateway, transport: str, clients: AsyncExitStack) -> None:
        self.gateway = gateway
        self.transport = transport
        self._clients = clients

    async def __call__(self, client_id: str | None = None, **hello: Any) -> Client:
        client_id = client_id or secrets.token_hex(6)
        open_client = over_http if self.transport == "http" else over_websocket
        opening = open_client(self.gateway, client_id, hello)
        return await self._clients.enter_async_context(opening)

    async def member(self, owner: Client, client_id: str | None = None, **grant: Any) -> Client:
        """A second client in the workspace of ``owner``, with a token minted for it."""
        return await self(client_id, token=await owner.manager("generate_token", grant))


@asynccontextmanager
async def over_websocket(
    gateway: Served, client_id: str, hello: dict[str, Any]
) -> AsyncIterator[Client]:
    options = {"max_size": None, "close_timeout": 1, "open_timeout": PATIENCE_SECONDS}
    async with connect(gateway.websocket_url, **options) as connection:  # type: ignore[arg-type]
        client = WebSocketClient(connection)
        await connection.send(json.dumps({"client_id": client_id, **hello}))
        client.info = json.loads(await connection.recv())
        assert client.info["type"] == "connection_info", client.info
        reading = asyncio.create_task(client.read())
        try:
            yield client
        finally:
            reading.cancel()


@asynccontextmanager
async def over_http(
    gateway: Served, client_id: str, hello: dict[str, Any]
) -> AsyncIterator[Client]:
    token = hello.pop("token", None)
    timeout = httpx.Timeout(PATIENCE_SECONDS)
    async with httpx.AsyncClient(base_url=gateway.url, timeout=timeout) as http:
        client = HttpClient(http, token)
        query = {"client_id": client_id, **hello}
        async with http.stream("GET", "/rpc", params=query, headers=client.headers) as response:
            assert response.status_code == 200, await response.aread()
            reading = asyncio.create_task(client.read(response.aiter_bytes()))
            client.info = await client.refusal()
            try:
                yield client
            finally:
                reading.cancel()
