"""Revoked tokens, API keys, functions that only some may call, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "revocations",
        sa.Column("token_id", sa.String(128), nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("token_id", name="pk_revocations"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("email", sa.String(255)),
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("permission", sa.String(16), nullable=False),
        sa.Column("functions", sa.JSON),
        sa.Column("made_with", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_workspace", "api_keys", ["workspace"])
    op.create_table(
        "function_access",
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("service_id", sa.String(255), nullable=False),
        sa.Column("function", sa.String(255), nullable=False),
        sa.Column("allowed", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "service_id", "function", name="pk_function_access"),
    )
    op.create_table(
        "audit_log",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("credential", sa.String(128)),
        sa.Column("door", sa.String(16), nullable=False),
        sa.Column("target", sa.String(512), nullable=False),
        sa.Column("function", sa.String(255), nullable=False),
        sa.Column("address", sa.String(64)),
        sa.Column("request_id", sa.String(128)),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("arguments", sa.Text),
        sa.PrimaryKeyConstraint("number", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_workspace_number", "audit_log", ["workspace", "number"])
    op.create_index("ix_audit_log_time", "audit_log", ["time"])
