"""Secrets at rest: sealed with AES-256-GCM (NIST SP 800-38D) and bound to where they are kept.

A sealed secret is: format (1 byte), id of the key (4), nonce (12), ciphertext with its tag.
The first key seals; the others open what they sealed before, so that keys can be rotated: put a new
one in front, and whatever is written again is written with it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

_FORMAT: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = len(_FORMAT) + _KEY_ID_BYTES


class CannotOpen(Exception):
    """The key is missing, or what was sealed was changed or moved."""


class SealedBox:
    """Seals and opens with the keys it is given."""

    def __init__(self, keys: Sequence[str]) -> None:
        """``keys`` are texts with at least 32 random characters; the first one seals."""
        derived = [hashlib.sha256(b"polyport sealed box " + key.encode()).digest() for key in keys]
        self._keys = {hashlib.sha256(key).digest()[:_KEY_ID_BYTES]: key for key in derived}
        self._current = next(iter(self._keys))

    def seal(self, secret: bytes, place: str) -> bytes:
        """``place`` names where the result will be kept (table and key, say): it opens only with
        the same, so a sealed secret cannot be moved to where others may read it."""
        # Most servers keep no secrets, and the import takes its time.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self._keys[self._current])
        return _FORMAT + self._current + nonce + cipher.encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """The secret that was sealed for ``place``. Raises CannotOpen."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        key = self._keys.get(sealed[len(_FORMAT) : _HEAD_BYTES])
        if sealed[: len(_FORMAT)] != _FORMAT or key is None:
            raise CannotOpen("There is no key for this secret")
        nonce = sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        try:
            return AESGCM(key).decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], place.encode())
        except (InvalidTag, ValueError):
            raise CannotOpen("The secret was changed, or belongs elsewhere") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the key that seals now."""
        return sealed[len(_FORMAT) : _HEAD_BYTES] == self._current
