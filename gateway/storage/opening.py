"""Open the database: take hold of it, connect, and bring it up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, AsyncAdaptedQueuePool, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.settings import Settings
from gateway.storage.directory import DATABASE_FILE, FileLock, StorageFailed, make_private, prepare
from gateway.storage.engine import AsyncConnection, AsyncEngine, create_async_engine
from gateway.storage.migrating import bring_up_to_date

_ADVISORY_LOCK: Final = 0x706F6C79706F7274
"""The one that a server holds in PostgreSQL: what it has in memory holds only if it is alone."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what is answered must survive a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
)


class OpenDatabase:
    """An open database; until it is closed no other server has it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = _url(settings)
        self._lock: FileLock | None = None
        self._alone: AsyncConnection | None = None
        self.engine = self._connect()
        self.is_new = False
        """Nothing was kept in it before."""

    @classmethod
    async def of(cls, settings: Settings) -> OpenDatabase:
        """Open the one of the settings. Raises StorageFailed with a sentence for the operator."""
        database = cls(settings)
        try:
            await database._be_alone()
            async with database.engine.begin() as connection:
                database.is_new = await bring_up_to_date(connection)
        except (SQLAlchemyError, OSError) as error:
            await database.close()
            raise StorageFailed(f"The database cannot be used: {_reason(error)}") from None
        except BaseException:  # who waited for it may be gone: nothing of it stays open
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Disconnect, and let another process have the data directory."""
        if self._alone is not None:
            # Its connection must not go back to the pool with the lock.
            await self._alone.invalidate()
            await self._alone.close()
            self._alone = None
        await self.engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _connect(self) -> AsyncEngine:
        settings = self._settings
        if not (settings.ephemeral or (settings.jwt_secret and settings.secrets_key)):
            prepare(settings.data_directory)  # the keys are there
        if self._url.get_backend_name() != "sqlite":
            try:
                return create_async_engine(self._url, pool_size=5, pool_pre_ping=True)
            except ModuleNotFoundError:
                raise StorageFailed(
                    "PostgreSQL needs its driver: pip install 'polyport[postgres]'"
                ) from None
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

    async def _be_alone(self) -> None:
        if self.engine.dialect.name != "postgresql":
            return
        self._alone = await self.engine.connect()
        statement = text("SELECT pg_try_advisory_lock(:key)").bindparams(key=_ADVISORY_LOCK)
        if not await self._alone.scalar(statement):
            raise StorageFailed("Another server uses this database. Stop it, or give another.")
        await self._alone.commit()


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
