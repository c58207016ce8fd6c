"""Proof Key for Code Exchange, for codes that are given out here and those that providers give."""

from __future__ import annotations

import base64
import hashlib


def challenge_of(verifier: str) -> str:
    """The challenge by the method S256 (RFC 7636 section 4.2)."""
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).decode().rstrip("=")
