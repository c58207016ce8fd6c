"""The table of users and addresses that are kept out."""

from __future__ import annotations

from sqlalchemy import Column, Double, String, Table

from gateway.storage.metadata import metadata

blocks = Table(
    "blocks",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("reason", String(1024), nullable=False),
    Column("blocked_by", String(255), nullable=False),
    Column("blocked_at", Double, nullable=False),
    Column("ends_at", Double),
)
"""``kind`` says what ``subject`` is: a user's id, or an IP address or network."""
