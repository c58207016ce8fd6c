"""An MCP server of the older era over pipes, written by hand: it knows the handshake and no
discovery, and sends requests of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

VERSION = "2025-06-18"
ASKING: dict[Any, Any] = {}
WATCHED: list[str] = []
RESOURCES = [{"uri": "old://a", "name": "a"}, {"uri": "old://b", "name": "b"}]


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def call(request_id: Any, params: dict[str, Any]) -> None:
    if params["name"] == "ask":
        ASKING["q1"] = request_id
        schema = {"type": "object", "properties": {"sure": {"type": "boolean"}}}
        asked = {"message": "Are you sure?", "requestedSchema": schema}
        send({"id": "q1", "method": "elicitation/create", "params": asked})
        return
    if params["name"] == "touch":
        for uri in WATCHED:
            send({"method": "notifications/resources/updated", "params": {"uri": uri}})
    if params["name"] == "strange":  # a result that is not what its schema says
        send({"id": request_id, "result": {**text("odd"), "structuredContent": {"n": "odd"}}})
        return
    token = params.get("_meta", {}).get("progressToken")
    if token is not None:
        note = {"progressToken": token, "progress": 1, "total": 2, "message": "half"}
        send({"method": "notifications/progress", "params": note})
    send({"id": request_id, "result": text("echo " + json.dumps(params.get("arguments")))})


def tools() -> list[dict[str, Any]]:
    plain = {"type": "object"}
    numbers = {"type": "object", "properties": {"n": {"type": "integer"}}}
    names = ("echo", "ask", "strange", "a/b c", "resources", "touch")
    listed: list[dict[str, Any]] = [{"name": name, "inputSchema": plain} for name in names]
    listed[2]["outputSchema"] = numbers
    return listed


def handle(message: dict[str, Any]) -> None:
    method, request_id = message.get("method"), message.get("id")
    if method is None:
        send({"id": ASKING.pop(request_id), "result": text(json.dumps(message.get("result")))})
    elif method == "initialize":
        info = {"name": "old", "version": "1"}
        can = {"tools": {}, "resources": {"subscribe": True}}
        result = {"protocolVersion": VERSION, "capabilities": can, "serverInfo": info}
        send({"id": request_id, "result": result})
    elif method == "resources/list":
        send({"id": request_id, "result": {"resources": RESOURCES}})
    elif method == "resources/read":
        contents = {"uri": message["params"]["uri"], "text": "old"}
        send({"id": request_id, "result": {"contents": [contents]}})
    elif method == "resources/subscribe":
        if message["params"]["uri"] == "old://a":
            WATCHED.append("old://a")
        send({"id": request_id, "result": {}})
    elif method == "tools/list":
        send({"id": request_id, "result": {"tools": tools()}})
    elif method == "tools/call":
        call(request_id, message["params"])
    elif method == "ping":
        send({"id": request_id, "result": {}})
    elif request_id is not None:
        send({"id": request_id, "error": {"code": -32601, "message": "Method not found"}})


for line in sys.stdin:
    handle(json.loads(line))
