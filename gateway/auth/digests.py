"""What is kept of a secret that is random and long, or of a long name."""

from __future__ import annotations

import hashlib


def digest(text: str) -> str:
    """SHA-256 in hex. Of any text: JSON can bring half a surrogate pair, which UTF-8 has not."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
