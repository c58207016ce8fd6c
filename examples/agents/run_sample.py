"""Start the gateway with the sample service and say how to reach it. This is `make run`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process

from hypha_rpc import connect_to_server
from sample_service import SERVICE_ID, register

READY = " ready at "
"""The gateway prints one line when it listens: "Polyport 1.2.3 ready at http://127.0.0.1:9527"."""
STOP_SECONDS = 15.0

GUIDE = """
{line}  (Ctrl-C stops it)

Page          {url}/
HTTP          curl '{url}/{workspace}/services/{service}/greet?name=Ada'
Python        from hypha_rpc.sync import get_remote_service
              print(get_remote_service("{url}/{workspace}/services/{service}").greet("Ada"))
MCP           {mcp}
Claude Code   claude mcp add --transport http {service} {mcp}
Others        {config}

The sample service is examples/agents/sample_service.py. Copy it and write your own functions.
"""


async def serve_sample(gateway: Process) -> None:
    """Wait for the gateway, offer the service, print the guide; ends when the gateway ends."""
    assert gateway.stdout is not None  # noqa: S101 - it was opened with PIPE
    async for raw in gateway.stdout:
        line = raw.decode().rstrip()
        if READY in line:
            break
        print(line, flush=True)
    else:
        return
    url = line.rpartition(READY)[2]
    async with connect_to_server({"server_url": url}) as server:
        workspace = await register(server)
        mcp = f"{url}/{workspace}/mcp/{SERVICE_ID}/mcp"
        config = json.dumps({"mcpServers": {SERVICE_ID: {"type": "http", "url": mcp}}})
        names = {"url": url, "mcp": mcp, "workspace": workspace, "service": SERVICE_ID}
        print(GUIDE.format(line=line, config=config, **names), flush=True)
        async for raw in gateway.stdout:
            print(raw.decode().rstrip(), flush=True)


async def stop(gateway: Process) -> int:
    """End the gateway, gently at first; returns its exit code."""
    if gateway.returncode is None:
        gateway.terminate()
    try:
        return await asyncio.wait_for(gateway.wait(), STOP_SECONDS)
    except TimeoutError:
        gateway.kill()
        return await gateway.wait()


async def main(host: str, port: int) -> int:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    command = (sys.executable, "-m", "gateway.server", f"--host={host}", f"--port={port}")
    # In a session of its own, so that Ctrl-C reaches it through `stop`, after the service has left.
    gateway = await asyncio.create_subprocess_exec(*command, stdout=PIPE, start_new_session=True)
    try:
        serving = asyncio.create_task(serve_sample(gateway))
        stopping = asyncio.create_task(asked_to_stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving  # raises what went wrong; if nothing did, the gateway has ended
            await gateway.wait()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    finally:
        code = await stop(gateway)
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9527, help="0 picks a free one")
    arguments = parser.parse_args()
    logging.getLogger("RPC").setLevel(logging.ERROR)  # it warns when a connection is closed
    sys.exit(asyncio.run(main(arguments.host, arguments.port)))
