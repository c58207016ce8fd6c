"""Offers a function until it is ended. Arguments: URL, workspace, token."""

from __future__ import annotations

import asyncio
import sys

from hypha_rpc import connect_to_server


async def main(url: str, workspace: str, token: str) -> None:
    config = {"server_url": url, "workspace": workspace, "token": token}
    async with connect_to_server(config) as server:
        await server.register_service({"id": "launched", "double": lambda number: number * 2})
        await server.serve()


asyncio.run(main(*sys.argv[1:]))
