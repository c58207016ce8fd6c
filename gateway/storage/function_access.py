"""The table of functions that only some may call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Column, String, Table, delete, select

from gateway.storage.database import Database
from gateway.storage.metadata import metadata
from gateway.storage.rows import FunctionKey
from gateway.storage.upsert import upsert

function_access = Table(
    "function_access",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("service_id", String(255), primary_key=True),
    Column("function", String(255), primary_key=True),
    Column("allowed", JSON, nullable=False),
)
"""``allowed`` maps a kind of caller (users, emails, roles, keys) to names."""


class FunctionAccessRepository:
    """Reads and writes who may call which function."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[FunctionKey, dict[str, Any]]:
        """All restrictions."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(function_access))
        return {(row.workspace, row.service_id, row.function): row.allowed for row in rows}

    async def put(self, key: FunctionKey, allowed: Mapping[str, Any]) -> None:
        """Restrict a function, or change by whom it can be called."""
        named = dict(zip(("workspace", "service_id", "function"), key, strict=True))
        async with self._database.transaction() as connection:
            await upsert(connection, function_access, named, {"allowed": dict(allowed)})

    async def remove(self, key: FunctionKey) -> None:
        """Let a function be called by whoever may use its service."""
        workspace, service_id, function = key
        rows = function_access.c
        async with self._database.transaction() as connection:
            await connection.execute(
                delete(function_access).where(
                    rows.workspace == workspace,
                    rows.service_id == service_id,
                    rows.function == function,
                )
            )

    async def forget_workspace(self, workspace: str) -> None:
        """Drop all restrictions of a workspace that is gone."""
        async with self._database.transaction() as connection:
            await connection.execute(
                delete(function_access).where(function_access.c.workspace == workspace)
            )
