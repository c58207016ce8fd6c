"""How much of all requests' bodies is in memory at the same time. Pure.

A limit for each body is not enough: as many as there are connections could come at once.
"""

from __future__ import annotations

from typing import Final

from schema.errors import Overloaded

UNCOUNTED_BYTES: Final = 64 * 1024
"""A body up to this size costs less than the request it comes with, and is not counted."""


class BodyBudget:
    """Bytes that all bodies may have together. One body alone always may, whatever its size: how
    large it is allowed to be is for others to say."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self.held_bytes = 0
        """Of bodies that are in memory now."""
        self.refused = 0
        """Requests that were refused so far because there was no room for their body."""

    def take(self, size: int, *, has_already: int) -> None:
        """Hold so many bytes more for a request that holds ``has_already``. Raises Overloaded."""
        self.check(size, has_already=has_already)
        self.held_bytes += size

    def check(self, size: int, *, has_already: int = 0) -> None:
        """Raises Overloaded if there is no room for so many bytes now."""
        if self.held_bytes + size > self._most and self.held_bytes > has_already:
            self.refused += 1
            raise Overloaded("Too many large requests at the same time. Try again later.")

    def give_back(self, size: int) -> None:
        """So many bytes are not needed any more."""
        self.held_bytes -= size
