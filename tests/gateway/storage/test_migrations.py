"""Migrations lead from every older database to the tables that the code defines."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway.settings import Settings
from gateway.storage.database import Database
from gateway.storage.directory import StorageFailed
from gateway.storage.migrating import MIGRATIONS, alembic_config, head, upgrade
from gateway.storage.tables import metadata

SCRIPTS = ScriptDirectory(str(MIGRATIONS))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "target_metadata": metadata}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def migrated_to(connection: Connection, revision: str) -> None:
    """A database as that revision left it."""
    metadata.drop_all(connection)
    connection.execute(text("DROP TABLE alembic_version"))
    upgrade(connection, revision)


def test_there_is_one_newest_revision_and_the_file_names_say_which() -> None:
    assert SCRIPTS.get_heads() == [head()]
    assert sorted(REVISIONS) == REVISIONS


async def test_an_empty_database_gets_the_defined_tables(database: Database) -> None:
    async with database.transaction() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == head()


async def test_the_migrations_lead_to_the_defined_tables(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.run_sync(migrated_to, head())
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_database_of_any_revision_is_brought_up_to_date_at_the_start(
    storage_settings: Settings, revision: str
) -> None:
    before = Database(storage_settings)
    async with before.transaction() as connection:
        await connection.run_sync(migrated_to, revision)
    await before.close()
    after = Database(storage_settings)
    async with after.transaction() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == head()
    await after.close()


async def test_a_database_of_a_newer_version_is_refused(storage_settings: Settings) -> None:
    before = Database(storage_settings)
    async with before.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await before.close()
    with pytest.raises(StorageFailed, match="newer version"):
        await Database(storage_settings).open()


def test_every_table_has_a_primary_key() -> None:
    assert [t.name for t in metadata.sorted_tables if not t.primary_key.columns] == []


async def test_the_migrations_find_their_configuration(database: Database) -> None:
    async with database.transaction() as connection:
        location = await connection.run_sync(
            lambda sync: alembic_config(sync).get_main_option("script_location")
        )
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert location == str(MIGRATIONS)
    assert set(metadata.tables) < set(names)
