"""Every storage test runs on SQLite, and on PostgreSQL if it is there."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.settings import Settings
from gateway.storage.database import Database
from tests.gateway.storage.databases import postgres, postgres_programs, settings_for


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not on this machine")
    # The path of a socket file must be short, and every directory above must be open to it.
    with tempfile.TemporaryDirectory(prefix="pg") as base:
        Path(base).chmod(0o755)
        with postgres(programs, Path(base) / "s") as uri:
            yield uri


@pytest.fixture(params=["sqlite", "postgresql"])
async def storage_settings(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Settings]:
    """Settings with an empty database."""
    if request.param == "sqlite":
        yield settings_for(None, tmp_path)
        return
    uri = request.getfixturevalue("postgres_uri")
    yield settings_for(uri, tmp_path)
    engine = create_async_engine(uri.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()


@pytest.fixture
async def database(storage_settings: Settings) -> AsyncIterator[Database]:
    database = Database(storage_settings)
    await database.open()
    yield database
    await database.close()
