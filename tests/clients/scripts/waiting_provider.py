"""Offers a function that never returns, and says when it is called. Arguments: URL [token]."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from hypha_rpc import connect_to_server


async def main(url: str, token: str | None = None) -> None:
    async with connect_to_server({"server_url": url, "token": token}) as server:

        async def wait() -> None:
            print(json.dumps({"called": "wait"}), flush=True)
            await asyncio.Event().wait()

        config: dict[str, Any] = {"visibility": "public"}
        service = await server.register_service({"id": "waiting", "config": config, "wait": wait})
        print(json.dumps({"id": service["id"]}), flush=True)
        await server.serve()


asyncio.run(main(*sys.argv[1:]))
