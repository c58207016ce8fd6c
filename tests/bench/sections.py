"""Sections of a page of figures: each benchmark writes its own and leaves the others alone."""

from __future__ import annotations

import re
from pathlib import Path


def write_section(page: Path, title: str, body: str) -> None:
    """Put a section into the page at this place, as ``with_section`` does."""
    text = page.read_text(encoding="utf-8")
    page.write_text(with_section(text, title, body), encoding="utf-8")


def with_section(page: str, title: str, body: str) -> str:
    """The page with a section of this title at its end, in place of an older one."""
    rest = page.replace(section(page, title), "")
    return f"{rest.rstrip()}\n\n## {title}\n\n{body.strip()}\n"


def section(page: str, title: str) -> str:
    """A section with its title; empty if there is none."""
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""
