"""Logging: set up here and nowhere else. One event name plus fields per line; no secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gateway.requests import current_request_id

_WEB_SERVER: Final = ("uvicorn.access", "uvicorn.error")


FIELDS: Final = "fields"
"""Attribute of a log record with fields of the line beside its text: ``extra={FIELDS: {...}}``."""

_PLAIN: Final = re.compile(r"[\w./:{}@|+()-]+", re.ASCII)


def configure_logging(level: str, format: str = "console") -> None:
    """Send the gateway's log to standard error, as lines for people or as JSON. An unknown level
    is read as WARNING."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # It warns of every malformed form, which is the sender's affair.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    for name in ("httpx", "httpcore"):  # at INFO they write whole URLs, with what is secret in them
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _WEB_SERVER:
        logging.getLogger(name).addFilter(hide_queries)


class ConsoleFormatter(logging.Formatter):
    """Time, level, part, event, then the fields as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        fields = _fields(record)
        if not fields:
            return line
        return " ".join((line, *(f"{name}={_shown(value)}" for name, value in fields.items())))


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``event`` and the
    fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, FIELDS, {})
    request_id = current_request_id.get()
    if request_id is not None and "request_id" not in fields:
        return {"request_id": request_id, **fields}
    return fields


def _shown(value: Any) -> str:
    """A value that cannot be taken for another field, or for another line."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


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
