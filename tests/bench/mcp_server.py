"""The MCP server that gateways stand in front of, on FastMCP, and FastMCP's own proxy.

Arguments: ``stdio``, or ``serve PORT``, or ``proxy PORT URL``. Runs in an environment of its own.
"""

from __future__ import annotations

import sys
from typing import Any

from fastmcp import FastMCP
from fastmcp.server import create_proxy

server = FastMCP("bench")


@server.tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def main(how: str, *arguments: str) -> None:
    if how == "stdio":
        server.run(show_banner=False)
        return
    serving: Any = server if how == "serve" else create_proxy(arguments[1])
    serving.run(
        transport="http",
        host="127.0.0.1",
        port=int(arguments[0]),
        stateless_http=True,
        show_banner=False,
        log_level="ERROR",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
