"""Text that others wrote, on its way into JSON and in front of a model. Pure."""

from __future__ import annotations


def encodable(text: str) -> str:
    """The text without what UTF-8 has no form for (half a surrogate pair)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with a mark that something is missing."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
