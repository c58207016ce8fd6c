"""Workspaces, their members, environment and logs; blocks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "workspaces",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
        sa.Column("bookmarks", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
    )
    op.create_index("ix_workspaces_creator", "workspaces", ["creator"])
    op.create_table(
        "workspace_members",
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("permission", sa.String(16), nullable=False),
        sa.Column("added_by", sa.String(255), nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "kind", "subject", name="pk_workspace_members"),
        sa.ForeignKeyConstraint(
            ["workspace"],
            ["workspaces.id"],
            name="fk_workspace_members_workspace",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_workspace_members_subject", "workspace_members", ["subject"])
    op.create_table(
        "workspace_environment",
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name="pk_workspace_environment"),
        sa.ForeignKeyConstraint(
            ["workspace"],
            ["workspaces.id"],
            name="fk_workspace_environment_workspace",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "workspace_events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("event_type", sa.String(255), nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_workspace_events"),
    )
    op.create_index(
        "ix_workspace_events_workspace_user_id_number",
        "workspace_events",
        ["workspace", "user_id", "number"],
    )
    op.create_table(
        "blocks",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("reason", sa.String(1024), nullable=False),
        sa.Column("blocked_by", sa.String(255), nullable=False),
        sa.Column("blocked_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double),
        sa.PrimaryKeyConstraint("kind", "subject", name="pk_blocks"),
    )
