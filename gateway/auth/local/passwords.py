"""Passwords: hashed with argon2id (RFC 9106), off the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Final

from schema.errors import InvalidRequest

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 256
_AT_ONCE: Final = 2
"""A hash takes 64 MiB for its time."""


class Passwords:
    """Hashes and checks. ``cheap`` is for tests: it protects nothing."""

    def __init__(self, *, cheap: bool = False) -> None:
        # Only servers with accounts wait for this import.
        from argon2 import PasswordHasher  # noqa: PLC0415

        self._hasher = PasswordHasher(1, 8, 1) if cheap else PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._nobody: asyncio.Task[str] | None = None

    async def hash(self, password: str) -> str:
        """What to keep. Raises InvalidRequest for a password that nobody should have."""
        check_password(password)
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether it is the password that ``kept`` was made of. Takes as long for nobody's."""
        if len(password) > MAX_LENGTH:
            return False
        if self._nobody is None:
            # By whoever comes first, with an account or without: the time it takes tells nothing.
            self._nobody = asyncio.create_task(self.hash("the password of nobody"))
        nobody = await asyncio.shield(self._nobody)
        async with self._turns:
            found = await asyncio.to_thread(self._verified, kept or nobody, _normal(password))
        return found and kept is not None

    def _verified(self, kept: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def check_password(password: str) -> None:
    """Raises InvalidRequest (NIST SP 800-63B section 3.1.1.2: length, and nothing else)."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidRequest(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters")


def _normal(password: str) -> str:
    """The same for all keyboards. A lone surrogate is no character and cannot be hashed."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()
