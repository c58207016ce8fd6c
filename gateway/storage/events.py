"""The table of the logs of workspaces."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, String, Table

from gateway.storage.metadata import metadata

workspace_events = Table(
    "workspace_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("workspace", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("event_type", String(255), nullable=False),
    Column("time", Double, nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "workspace", "user_id", "number"),
)
"""``number`` is their order."""
