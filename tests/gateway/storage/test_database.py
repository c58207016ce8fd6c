"""The database: kept for its owner alone, used by one server, and honest about what is written."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.settings import Settings
from gateway.storage import opening as opening_module
from gateway.storage.database import Database
from gateway.storage.directory import StorageFailed
from tests.gateway.storage.databases import settings_for

INSERT = text(
    "INSERT INTO blocks (kind, subject, reason, blocked_by, blocked_at) "
    "VALUES ('user', :subject, '', 'root', 0)"
)
COUNT = text("SELECT count(*) FROM blocks")


async def test_what_is_written_is_there_after_a_restart(storage_settings: Settings) -> None:
    before = Database(storage_settings)
    async with before.transaction() as connection:
        await connection.execute(INSERT, {"subject": "mallory"})
    await before.close()
    after = Database(storage_settings)
    async with after.transaction() as connection:
        assert await connection.scalar(COUNT) == 1
    await after.close()


async def test_what_is_written_after_the_end_does_not_open_it_again(
    storage_settings: Settings,
) -> None:
    database = Database(storage_settings)
    await database.open()
    await database.close()
    with pytest.raises(StorageFailed, match="closed"):
        await database.ping()
    await database.open()
    await database.ping()
    await database.close()


async def test_an_opening_that_nobody_waits_for_any_more_holds_nothing(
    storage_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()

    async def bring_up_to_date(connection: AsyncConnection) -> bool:
        began.set()
        await asyncio.Event().wait()
        return False

    first, second = Database(storage_settings), Database(storage_settings)
    with monkeypatch.context() as patch:
        patch.setattr(opening_module, "bring_up_to_date", bring_up_to_date)
        opening = asyncio.create_task(first.open())
        await began.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await second.open()
    await second.close()


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await connection.execute(INSERT, {"subject": "mallory"})
            await connection.execute(INSERT, {"subject": "mallory"})
    async with database.transaction() as connection:
        assert await connection.scalar(COUNT) == 0


async def test_a_second_server_on_the_same_database_is_refused_until_the_first_has_gone(
    storage_settings: Settings,
) -> None:
    first, second = Database(storage_settings), Database(storage_settings)
    await first.open()
    with pytest.raises(StorageFailed, match="Another server uses"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "data"
    database = Database(settings_for(None, directory))
    async with database.transaction() as connection:
        await connection.execute(INSERT, {"subject": "mallory"})
        modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    await database.close()
    assert modes.pop("polyport.db") == 0o600
    assert set(modes.values()) == {0o600}
    assert directory.stat().st_mode & 0o777 == 0o700


async def test_a_directory_that_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StorageFailed, match="Every user of this machine can write"):
        await Database(settings_for(None, tmp_path)).open()


async def test_the_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StorageFailed, match="belongs to another user"):
        await Database(settings_for(None, tmp_path)).open()


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="cannot be used"):
        await Database(settings_for(None, tmp_path / "file" / "data")).open()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "polyport.db").write_text("not a database, but long enough to be taken for one" * 9)
    with pytest.raises(StorageFailed, match="not a database"):
        await Database(settings_for(None, tmp_path)).open()


async def test_postgresql_without_its_driver_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StorageFailed, match=r"pip install 'polyport\[postgres\]'"):
        await Database(settings_for("postgresql://user@host/db", tmp_path)).open()


async def test_a_server_that_is_not_there_is_refused_without_its_password(tmp_path: Path) -> None:
    uri = f"postgresql://user:hunter2@/db?host={tmp_path}"
    with pytest.raises(StorageFailed, match="cannot be used") as raised:
        await Database(settings_for(uri, tmp_path)).open()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_sqlite_may_be_elsewhere(tmp_path: Path, scheme: str) -> None:
    database = Database(settings_for(f"{scheme}:///{tmp_path}/elsewhere.db", tmp_path))
    await database.open()
    await database.close()
    assert (tmp_path / "elsewhere.db").exists()


async def test_nothing_is_on_disk_if_nothing_is_to_be_kept(tmp_path: Path) -> None:
    database = Database(Settings(ephemeral=True, data_dir=tmp_path))
    async with database.transaction() as connection:
        assert await connection.scalar(COUNT) == 0
    await database.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("settings", "library"), [("ephemeral=True", False), ("", True)])
def test_a_start_does_not_pay_for_what_it_does_not_use(
    tmp_path: Path, settings: str, library: bool
) -> None:
    program = f"""
import sys
from gateway.app import create_app
from gateway.settings import Settings
create_app(Settings(port=9527, data_dir={str(tmp_path)!r}, {settings}))
assert ("sqlalchemy" in sys.modules) is {library}
print([name for name in ("sqlalchemy.orm", "alembic", "asyncpg") if name in sys.modules])
import sqlalchemy.ext.asyncio
import gateway.storage.engine
assert sqlalchemy.ext.asyncio.AsyncEngine is gateway.storage.engine.AsyncEngine
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
