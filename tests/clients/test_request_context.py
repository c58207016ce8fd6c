"""What a provider, with the client library as it is, learns of the request that led to its call."""

from __future__ import annotations

from typing import Any

import httpx
from hypha_rpc.utils.schema import schema_function

from tests.clients.conftest import Connect

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
KEYS = ("request_id", "traceparent", "tracestate")


@schema_function
def whole(context: Any = None) -> Any:
    """Return what it is told of its caller."""
    told = {key: context[key] for key in KEYS if key in context}
    return {**told, "ws": context["ws"], "user": context["user"]["id"], "from": context["from"]}


async def serve(event: Any, context: Any = None) -> Any:
    return {"status": 200, "body": context["request_id"]}


async def test_a_provider_is_told_id_and_trace_by_every_door(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    provider = await connect()
    service = await provider.register_service(
        {
            "id": "seer",
            "config": {"visibility": "public", "require_context": True},
            "whole": whole,
        }
    )
    web = await provider.register_service(
        {
            "id": "web",
            "type": "functions",
            "config": {"visibility": "public", "require_context": True},
            "index": serve,
        }
    )
    workspace, _, name = service.id.partition("/")
    sent = {"x-request-id": "req-7", "traceparent": PARENT, "tracestate": "vendor=1"}
    told = {"request_id": "req-7", "traceparent": PARENT, "tracestate": "vendor=1"}

    answer = (await http.get(f"/{workspace}/services/{name}/whole", headers=sent)).json()
    assert told.items() <= answer.items()
    assert (answer["ws"], answer["user"]) == ("ws-anonymous", "anonymouz-http")

    call: dict[str, Any] = {"name": "whole", "arguments": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    accept = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
    }
    path = f"/{workspace}/mcp/{name}/mcp"
    by_mcp = (await http.post(path, json=body, headers=sent | accept)).json()["result"]
    assert told.items() <= by_mcp["structuredContent"].items()

    call["_meta"] = {"traceparent": PARENT.replace("4bf9", "aaaa")}
    by_meta = (await http.post(path, json=body, headers=sent | accept)).json()["result"]
    assert "-aaaa" in by_meta["structuredContent"]["traceparent"]

    page = f"/{workspace}/apps/{web.id.partition('/')[2]}/"
    assert (await http.get(page, headers=sent)).text == "req-7"
    without = await http.get(page)
    assert without.text == without.headers["x-request-id"]
