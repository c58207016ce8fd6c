"""Table of failed attempts to log in, so that a restart gives nobody fresh ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import Column, Double, Integer, String, Table, delete, select

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import LoginFailures
from gateway.storage.upsert import upsert

login_failures = Table(
    "login_failures",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("last_at", Double, nullable=False, index=True),
    Column("wait_until", Double, nullable=False),
)
"""``subject`` is a keyed digest: people type all kinds of things where a name is asked for."""


class LoginFailureRepository:
    """Keeps who has failed how often."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, since: float) -> list[LoginFailures]:
        """Those with a failure after ``since``, the oldest first. The others are forgotten."""
        table = login_failures.c
        statement = select(login_failures).order_by(table.last_at)
        async with self._database.transaction() as connection:
            await connection.execute(delete(login_failures).where(table.last_at <= since))
            rows = (await connection.execute(statement)).mappings().all()
        return [LoginFailures(**row) for row in rows]

    async def save(
        self, kept: Iterable[LoginFailures], forgotten: Iterable[tuple[str, str]]
    ) -> None:
        """Write some, and forget others by kind and subject."""
        table = login_failures.c
        async with self._database.transaction() as connection:
            for failures in kept:
                values = asdict(failures)
                key = {name: values.pop(name) for name in ("kind", "subject")}
                await upsert(connection, login_failures, key, values)
            for kind, subject in forgotten:
                await connection.execute(
                    delete(login_failures).where(table.kind == kind, table.subject == subject)
                )
