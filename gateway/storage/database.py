"""The database: opened once, brought up to date, and used one transaction at a time.

Repositories get the ``Database`` and call ``transaction()``. What they write is on disk when the
block ends, so an answer that is given afterwards can be relied on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.settings import Settings
from gateway.storage.directory import StorageFailed

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.engine import AsyncConnection
    from gateway.storage.opening import OpenDatabase


class Database:
    """Opens by itself with the first transaction, unless ``open`` was awaited before. Once closed
    it opens only by ``open``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.is_new = False
        """Nothing was kept in it before this process."""
        self._opened: OpenDatabase | None = None
        self._is_closed = False
        self._opening = asyncio.Lock()

    async def open(self) -> OpenDatabase:
        """Take hold of the data directory, connect, and migrate. Does nothing if it is open.

        Raises StorageFailed with a sentence for the operator.
        """
        self._is_closed = False
        return await self._hold()

    async def _hold(self) -> OpenDatabase:
        # Not before it is needed: see ``repositories``.
        from gateway.storage.opening import OpenDatabase  # noqa: PLC0415

        async with self._opening:
            if self._is_closed:  # a latecomer must not take hold of the data directory again
                raise StorageFailed("The database is closed")
            if self._opened is None:
                self._opened = await OpenDatabase.of(self._settings)
                self.is_new = self.is_new or self._opened.is_new
            return self._opened

    async def ping(self) -> None:
        """Raises whatever the driver does if the database does not answer."""
        async with self.transaction() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Disconnect, and let another process have the data directory."""
        async with self._opening:
            opened, self._opened = self._opened, None
            self._is_closed = True
            if opened is not None:
                await opened.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """All of it happens, or nothing if the block raises. Raises StorageFailed."""
        opened = self._opened or await self._hold()
        async with opened.engine.begin() as connection:
            yield connection
