"""Tables of local accounts: who has one, and the codes that prove an e-mail address."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Double,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy import update as update_rows

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import Account, Code
from gateway.storage.upsert import upsert

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("email", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("password", String(255), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)
"""``email`` is in lower case; ``password`` is an argon2id hash; ``generation`` changes with it."""

account_codes = Table(
    "account_codes",
    metadata,
    Column("email", String(255), primary_key=True),
    Column("purpose", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("password", String(255), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)
"""One code for each address and purpose; for a sign-up also what the account will be."""


class AccountRepository:
    """Keeps accounts and codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_email(self, email: str) -> Account | None:
        return await self._one(accounts.c.email == email)

    async def by_id(self, account_id: str) -> Account | None:
        return await self._one(accounts.c.id == account_id)

    async def add(self, account: Account) -> bool:
        """False if its address has an account already."""
        if await self.by_email(account.email) is not None:
            return False
        async with self._database.transaction() as connection:
            await connection.execute(insert(accounts).values(**asdict(account)))
        return True

    async def change(self, account_id: str, **values: object) -> None:
        """Change columns of an account."""
        async with self._database.transaction() as connection:
            statement = update_rows(accounts).where(accounts.c.id == account_id)
            await connection.execute(statement.values(**values))

    async def code(self, email: str, purpose: str) -> Code | None:
        table = account_codes.c
        statement = select(account_codes).where(table.email == email, table.purpose == purpose)
        async with self._database.transaction() as connection:
            row = (await connection.execute(statement)).mappings().first()
        return None if row is None else Code(**row)

    async def keep_code(self, code: Code, now: float, most: int) -> bool:
        """Keep a code in place of an earlier one, and drop what has expired. False if there are as
        many others as there may be."""
        values = asdict(code)
        key = {name: values.pop(name) for name in ("email", "purpose")}
        table = account_codes.c
        async with self._database.transaction() as connection:
            await connection.execute(delete(account_codes).where(table.expires_at <= now))
            is_other = (table.email != code.email) | (table.purpose != code.purpose)
            count = select(func.count()).select_from(account_codes).where(is_other)
            if int((await connection.execute(count)).scalar_one()) >= most:
                return False
            await upsert(connection, account_codes, key, values)
        return True

    async def attempt(self, code: Code, most: int) -> bool:
        """Count an attempt at a code. False if it has had as many as it may have: of many that are
        made at the same time none is one too many."""
        table = account_codes.c
        statement = (
            update_rows(account_codes)
            .where(
                table.email == code.email,
                table.purpose == code.purpose,
                table.digest == code.digest,
                table.attempts < most,
            )
            .values(attempts=table.attempts + 1)
        )
        async with self._database.transaction() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def use_code(self, code: Code) -> bool:
        """Forget a code. False if somebody else has used it meanwhile."""
        table = account_codes.c
        statement = delete(account_codes).where(
            table.email == code.email, table.purpose == code.purpose, table.digest == code.digest
        )
        async with self._database.transaction() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def _one(self, condition: ColumnElement[bool]) -> Account | None:
        statement = select(accounts).where(condition)
        async with self._database.transaction() as connection:
            row = (await connection.execute(statement)).mappings().first()
        return None if row is None else Account(**row)
