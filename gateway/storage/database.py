"""The database: opened once, brought up to date, and used one transaction at a time.

Repositories get the ``Database`` and call ``transaction()``. What they write is on disk when the
block ends, so an answer that is given afterwards can be relied on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, AsyncAdaptedQueuePool, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.settings import Settings
from gateway.storage.directory import FileLock, StorageFailed, make_private, prepare
from gateway.storage.engine import AsyncConnection, AsyncEngine, create_async_engine
from gateway.storage.migrating import bring_up_to_date

DATABASE_FILE: Final = "polyport.db"
_ADVISORY_LOCK: Final = 0x706F6C79706F7274
"""The one that a server holds in PostgreSQL: what it has in memory holds only if it is alone."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what is answered must survive a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
)


class Database:
    """Opens by itself with the first transaction, unless ``open`` was awaited before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = _url(settings)
        self.is_new = False
        """Nothing was kept in it before this process."""
        self._engine: AsyncEngine | None = None
        self._lock: FileLock | None = None
        self._alone: AsyncConnection | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Take hold of the data directory, connect, and migrate. Does nothing if it is open.

        Raises StorageFailed with a sentence for the operator.
        """
        await self._opened()

    async def _opened(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is not None:
                return self._engine
            engine = self._connect()
            try:
                await self._be_alone(engine)
                async with engine.begin() as connection:
                    is_new = await bring_up_to_date(connection)
            except (SQLAlchemyError, OSError) as error:
                await self._release(engine)
                raise StorageFailed(f"The database cannot be used: {_reason(error)}") from None
            except StorageFailed:
                await self._release(engine)
                raise
            self._engine = engine
            self.is_new = self.is_new or is_new
            return engine

    async def ping(self) -> None:
        """Raises whatever the driver does if the database does not answer."""
        async with self.transaction() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Disconnect, and let another process have the data directory."""
        async with self._opening:
            engine, self._engine = self._engine, None
            if engine is not None:
                await self._release(engine)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """All of it happens, or nothing if the block raises."""
        engine = self._engine or await self._opened()
        async with engine.begin() as connection:
            yield connection

    def _connect(self) -> AsyncEngine:
        settings = self._settings
        if not (settings.ephemeral or (settings.jwt_secret and settings.secrets_key)):
            prepare(settings.data_directory)  # the keys are there
        if self._url.get_backend_name() != "sqlite":
            return create_async_engine(self._url, pool_size=5, pool_pre_ping=True)
        if self._url.database not in (None, "", ":memory:"):
            path = Path(str(self._url.database))
            prepare(path.parent)
            self._lock = FileLock(path)
            make_private(path)
        # One connection: SQLite has one writer at a time, and a queue in front of it is fairer
        # than waiting for its lock. It also keeps a database in memory alive.
        engine = create_async_engine(
            self._url,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=60,
        )
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine

    async def _be_alone(self, engine: AsyncEngine) -> None:
        if engine.dialect.name != "postgresql":
            return
        self._alone = await engine.connect()
        statement = text("SELECT pg_try_advisory_lock(:key)").bindparams(key=_ADVISORY_LOCK)
        if not await self._alone.scalar(statement):
            raise StorageFailed("Another server uses this database. Stop it, or give another.")
        await self._alone.commit()

    async def _release(self, engine: AsyncEngine) -> None:
        if self._alone is not None:
            # Its connection must not go back to the pool with the lock.
            await self._alone.invalidate()
            await self._alone.close()
            self._alone = None
        await engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _url(settings: Settings) -> URL:
    if settings.ephemeral:
        return make_url("sqlite+aiosqlite://")
    if settings.database_uri is not None:
        url = make_url(settings.database_uri.get_secret_value())
        driver = "aiosqlite" if url.get_backend_name() == "sqlite" else "asyncpg"
        return url.set(drivername=f"{url.get_backend_name()}+{driver}")
    return URL.create("sqlite+aiosqlite", database=str(settings.data_directory / DATABASE_FILE))


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver leaves transactions to us
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _reason(error: BaseException) -> str:
    """One line without the address of the database, which may have a password in it."""
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
