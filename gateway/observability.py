"""Logging: set up here and nowhere else. One event name plus fields per line; no secrets."""

from __future__ import annotations

import logging
import sys
from typing import Final

_WEB_SERVER: Final = ("uvicorn.access", "uvicorn.error")


def configure_logging(level: str) -> None:
    """Send the gateway's log to standard error. An unknown level is read as WARNING."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # It warns of every malformed form, which is the sender's affair.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    for name in _WEB_SERVER:
        logging.getLogger(name).addFilter(hide_queries)


def silence_client_library() -> None:
    """For the time when the gateway disconnects its own clients: to their library, which sets its
    levels itself, every goodbye is a warning."""
    logging.getLogger("RPC").disabled = True


def quiet_mcp_client() -> None:
    """What upstreams do wrong is told by the gateway, once and without what they sent; the SDK logs
    every line of theirs that is no message, with a traceback."""
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def hide_queries(record: logging.LogRecord) -> bool:
    """Cut what follows the question mark from every path that a line shows: by contract clients
    send keys and tokens there, and a web server that was started without ``polyport`` logs it."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            f"{arg.partition('?')[0]}?..." if isinstance(arg, str) and _has_query(arg) else arg
            for arg in record.args
        )
    return True


def _has_query(text: str) -> bool:
    return text.startswith("/") and "?" in text
