"""Entry points: ``python -m gateway.server`` and ``uvicorn gateway.server:app``.

``app`` is made when it is first asked for, from the environment; importing this module does
nothing.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from gateway.app import create_app
from gateway.settings import Settings


@cache
def _app_from_environment() -> Any:
    settings = Settings()
    if settings.startup_functions:
        # Their clients connect to this server, and only our own command knows when it listens.
        raise RuntimeError("Startup functions need `polyport serve` or `python -m gateway.server`")
    return create_app(settings)


def __getattr__(name: str) -> Any:
    if name == "app":
        return _app_from_environment()
    raise AttributeError(name)


if __name__ == "__main__":
    from gateway.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
