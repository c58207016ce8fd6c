"""Tokens and keys that are no longer good, and all that was made from them.

A token names its ancestors (``User.lineage``), so taking one back takes its descendants along: what
was minted with it, what a login cut from it, and what its connections come back with. What is asked
for with every request is in memory; a revocation is on disk before it is in force.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from schema.identity import User

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.revocations import RevocationRepository

_SWEEP_EVERY: Final = 1000


class Revocations:
    """What is revoked, by the id of the token or key. Without a ``repository`` it lasts as
    long as the process; ``clock`` gives Unix seconds."""

    def __init__(
        self,
        repository: RevocationRepository | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._revoked: dict[str, float] = {}
        self._watchers: list[Callable[[str], None]] = []

    async def load(self) -> None:
        """Read what earlier processes have revoked."""
        if self._repository is not None:
            self._revoked.update(await self._repository.load(self._clock()))

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Call ``watcher`` with each id that is revoked from now on."""
        self._watchers.append(watcher)

    def covers(self, user: User) -> bool:
        """Whether the credential of ``user`` is revoked, or one that it was made from."""
        return bool(self._revoked) and not self._revoked.keys().isdisjoint(user.lineage)

    async def revoke(self, token_id: str, *, seconds: float) -> None:
        """Refuse it from now on. ``seconds`` is how long something made from it may live."""
        until = self._clock() + seconds
        if self._repository is not None:
            await self._repository.put(token_id, until)
        self.add(token_id, until)

    def add(self, token_id: str, until: float) -> None:
        """As ``revoke``, until a time and in this process alone."""
        if len(self._revoked) % _SWEEP_EVERY == _SWEEP_EVERY - 1:
            now = self._clock()
            self._revoked = {key: end for key, end in self._revoked.items() if end > now}
        self._revoked[token_id] = until
        for watcher in self._watchers:
            watcher(token_id)
