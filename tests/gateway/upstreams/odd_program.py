"""An MCP server over pipes that does what it should not: ``python odd_program.py [HOW]``.

``HOW`` is what it does at its start: ``exit`` with a status, or ``flood``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

LARGE = 33 * 1024 * 1024
HOW = sys.argv[1] if len(sys.argv) > 1 else ""


def send(message: dict[str, Any], *, padding: int = 0) -> None:
    text = json.dumps({"jsonrpc": "2.0", **message})
    sys.stdout.write(" " * padding + text + "\n")
    sys.stdout.flush()


def garbage() -> None:
    out = sys.stdout.buffer
    for line in (b"hello", b"\xff\xfe\x00", b"[1, 2", b"[]", b"null", b'"text"', b"{}", b"\r"):
        out.write(line + b"\n")
    out.write(b'{"jsonrpc": "2.0", "id": 77, "result": {}}\n')
    out.write(b'{"jsonrpc": "2.0", "method": "notifications/unheard_of"}\n')
    out.flush()


def call(request_id: Any, name: str) -> None:
    result = {"content": [{"type": "text", "text": name}]}
    if name == "garbage":
        garbage()
    elif name == "large":
        send({"id": request_id, "result": {**result, "x": "x" * LARGE}})
        return
    elif name == "large_first":
        text = json.dumps({"result": {**result, "x": "x" * LARGE}, "id": request_id})
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        return
    elif name == "deaf":
        threading.Event().wait()  # which nobody sets
    elif name == "close":
        os.close(1)
        threading.Event().wait()
    elif name == "text_id":
        request_id = str(request_id)
    send({"id": request_id, "result": result})


NAMES = ("good", "garbage", "large", "large_first", "deaf", "close", "text_id")


def handle(message: dict[str, Any]) -> None:
    method, request_id = message.get("method"), message.get("id")
    if method == "initialize":
        info = {"name": "odd", "version": "1"}
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        send({"id": request_id, "result": {**result, "serverInfo": info}})
    elif method == "tools/list":
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]
        send({"id": request_id, "result": {"tools": tools}})
    elif method == "tools/call":
        call(request_id, message["params"]["name"])
    elif request_id is not None:
        send({"id": request_id, "error": {"code": -32601, "message": "Method not found"}})


if HOW == "exit":
    print("no licence", file=sys.stderr, flush=True)
    sys.exit(7)
while HOW == "flood":
    sys.stdout.write("spam, spam, spam\n" * 1_000)
for line in sys.stdin:
    handle(json.loads(line))
