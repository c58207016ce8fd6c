"""An MCP server that costs next to nothing, so that what stands in front of it is what is measured.

Arguments: ``stdio``, or ``serve PORT``. It knows the tool ``add`` and speaks the older era, which
all gateways do.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import uvicorn

NUMBER: Final = {"type": "integer"}
SCHEMA: Final = {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]}
TOOLS: Final = [{"name": "add", "description": "Add two numbers.", "inputSchema": SCHEMA}]
INFO: Final = {"name": "minimal", "version": "1"}


def answer(text: bytes) -> bytes | None:
    """The response to a message, or None for a notification."""
    message = json.loads(text)
    if "id" not in message:
        return None
    response: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    params = message.get("params", {})
    match message["method"]:
        case "tools/call":
            total = str(params["arguments"]["a"] + params["arguments"]["b"])
            response["result"] = {"content": [{"type": "text", "text": total}]}
        case "tools/list":
            response["result"] = {"tools": TOOLS}
        case "initialize":
            version = params["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": {"tools": {}}}
            response["result"] = {**result, "serverInfo": INFO}
        case "ping":
            response["result"] = {}
        case _:
            response["error"] = {"code": -32601, "message": "Method not found"}
    return json.dumps(response).encode()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Over HTTP, without sessions and events."""
    if scope["type"] != "http":
        return
    body, is_more = b"", True
    while is_more:
        event = await receive()
        body += event.get("body", b"")
        is_more = event.get("more_body", False)
    response = answer(body) if scope["method"] == "POST" else None
    status = 200 if response is not None else 202 if scope["method"] == "POST" else 405
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": response or b""})


def stdio() -> None:
    """Over pipes."""
    for line in sys.stdin.buffer:
        response = answer(line)
        if response is not None:
            sys.stdout.buffer.write(response + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        stdio()
    else:
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
