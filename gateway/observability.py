"""Logging: set up here and nowhere else. One event name plus fields per line; no secrets."""

from __future__ import annotations

import logging
import sys


def configure_logging(level: str) -> None:
    """Send the gateway's log to standard error. An unknown level is read as WARNING."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
