"""Upstreams: servers added at run time, approved tools, credentials of users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of upstreams."""
    op.create_table(
        "upstream_servers",
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("is_trusted", sa.Boolean, nullable=False),
        sa.Column("added_by", sa.String(255), nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name="pk_upstream_servers"),
    )
    op.create_table(
        "upstream_pins",
        sa.Column("upstream", sa.String(320), nullable=False),
        sa.Column("tool", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("definition", sa.JSON, nullable=False),
        sa.Column("approved_by", sa.String(255)),
        sa.Column("approved_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("upstream", "tool", name="pk_upstream_pins"),
    )
    op.create_table(
        "upstream_credentials",
        sa.Column("upstream", sa.String(320), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("set_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("upstream", "user_id", name="pk_upstream_credentials"),
    )
