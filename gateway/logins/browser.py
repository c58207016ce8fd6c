"""Showing a page to the user of a program that has no window."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Final

from gateway.settings import variable

VARIABLE: Final = "BROWSER"
NONE: Final = "none"
"""Value of the variable for: there is none, do not try."""


def has_browser() -> bool:
    """Whether there is a screen, and so probably a browser. Without one, some program for a
    terminal would be started, and would read what is for this one."""
    chosen = variable(VARIABLE)
    if chosen:
        return chosen != NONE
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(variable("DISPLAY") or variable("WAYLAND_DISPLAY"))


def open_page(url: str) -> None:
    """Show a page, and wait for nothing: some browsers return when they are closed."""
    threading.Thread(target=_open, args=(url,), daemon=True).start()


def _open(url: str) -> None:
    import webbrowser  # noqa: PLC0415 - `polyport serve` has none

    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(url)
