"""Tables of workspaces: the record, who may use it, and its secret environment variables."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, ForeignKey, LargeBinary, String, Table

from gateway.storage.metadata import metadata

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("creator", String(255), nullable=False, index=True),
    Column("record", JSON, nullable=False),
    Column("bookmarks", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)
"""``record`` is what readers may see; times are Unix seconds."""

workspace_members = Table(
    "workspace_members",
    metadata,
    Column("workspace", ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("subject", String(255), primary_key=True, index=True),
    Column("permission", String(16), nullable=False),
    Column("added_by", String(255), nullable=False),
    Column("added_at", Double, nullable=False),
)
"""``kind`` says what ``subject`` is: a user's id, an e-mail address or a role."""

workspace_environment = Table(
    "workspace_environment",
    metadata,
    Column("workspace", ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
