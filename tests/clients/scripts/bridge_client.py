"""The client of the conformance suite, behind ``polyport stdio``: it does, in lines, what a careful
client would. Argument: URL of the server. The suite says the rest in the environment."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

STATELESS = "2026-07-28"
META = "io.modelcontextprotocol/"
VERSION = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25")
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
CAPABILITIES = {"elicitation": {"form": {"applyDefaults": True}}, "sampling": {}, "roots": {}}
CLIENT = {"name": "bridge-client", "version": "1"}
SAMPLES = {"integer": 5, "number": 5, "boolean": True, "array": [], "object": {}}
LISTS = (
    ("prompts/list", "prompts", "prompts/get", "name"),
    ("resources/list", "resources", "resources/read", "uri"),
)
MAX_ROUNDS = 5


class Client:
    """Requests and answers over the pipes of the bridge."""

    def __init__(self, bridge: Process) -> None:
        self._bridge = bridge
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._count = 0

    async def read(self) -> None:
        """Take what comes, until the bridge ends."""
        assert self._bridge.stdout is not None
        while line := await self._bridge.stdout.readline():
            message = json.loads(line)
            if "method" not in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif message["method"] == "elicitation/create":
                schema = message["params"]["requestedSchema"]
                given = {k: p["default"] for k, p in schema["properties"].items() if "default" in p}
                answer = {"action": "accept", "content": given}
                self.send({"jsonrpc": "2.0", "id": message["id"], "result": answer})

    def send(self, message: Any) -> None:
        assert self._bridge.stdin is not None
        self._bridge.stdin.write(json.dumps(message).encode() + b"\n")

    async def ask(self, method: str, **params: Any) -> Any:
        """The result of a request; nothing if it has failed."""
        if VERSION == STATELESS:
            params["_meta"] = {
                f"{META}protocolVersion": VERSION,
                f"{META}clientCapabilities": CAPABILITIES,
                f"{META}clientInfo": CLIENT,
            }
        self._count += 1
        answer = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        self.send({"jsonrpc": "2.0", "id": self._count, "method": method, "params": params})
        return (await answer).get("result", {})

    async def call(self, name: str, arguments: Any) -> None:
        """Call a tool, and answer what it asks."""
        call = {"name": name, "arguments": arguments}
        result = await self.ask("tools/call", **call)
        for _ in range(MAX_ROUNDS):
            if result.get("resultType") != "input_required":
                return
            more = {key: result[key] for key in ("requestState",) if key in result}
            if "inputRequests" in result:
                accepted = {"action": "accept", "content": {"confirmed": True, "name": "x"}}
                more["inputResponses"] = dict.fromkeys(result["inputRequests"], accepted)
            result = await self.ask("tools/call", **call, **more)


async def use(client: Client) -> None:
    if VERSION == STATELESS:
        await client.ask("server/discover")
    else:
        await client.ask(
            "initialize", protocolVersion=VERSION, capabilities=CAPABILITIES, clientInfo=CLIENT
        )
        client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    tools = (await client.ask("tools/list")).get("tools", [])
    wanted = CONTEXT.get("toolCalls") or [
        {"name": tool["name"], "arguments": sample(tool["inputSchema"], tools)} for tool in tools
    ]
    for call in wanted:
        await client.call(call["name"], call.get("arguments", {}))
    for listing, key, getting, named_by in LISTS:
        for each in (await client.ask(listing)).get(key, []):
            await client.ask(getting, **{named_by: each[named_by]})


def sample(schema: Any, tools: Any) -> dict[str, Any]:
    """Arguments for a tool; one that wants a ``schema`` gets that of the first tool back."""
    return {
        name: tools[0]["inputSchema"] if name == "schema" else SAMPLES.get(each.get("type"), "x")
        for name, each in schema.get("properties", {}).items()
    }


async def main() -> None:
    words = ("-m", "gateway", "stdio", "--url", sys.argv[-1])
    bridge = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=PIPE, stdout=PIPE)
    client = Client(bridge)
    reading = asyncio.create_task(client.read())
    await use(client)
    assert bridge.stdin is not None
    bridge.stdin.close()
    await reading
    await bridge.wait()


asyncio.run(main())
