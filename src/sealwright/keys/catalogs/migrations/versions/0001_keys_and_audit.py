"""Keys and audit."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("keys", *_key_columns())
    op.create_index(
        "one_active_key",
        "keys",
        ["issuer", "purpose", "algorithm"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table("audit", *_audit_columns())
    op.create_table("heartbeat", sa.Column("beats", sa.Integer, nullable=False))


def _key_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("handle", sa.String(64), primary_key=True),
        sa.Column("issuer", sa.String(100), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("algorithm", sa.String(20), nullable=False),
        sa.Column("backend", sa.String(100), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("key_id", sa.String(200), unique=True),
        sa.Column("public", sa.Text),
        sa.Column("published_at", sa.Float(53)),
        sa.Column("activated_at", sa.Float(53)),
        sa.Column("verify_only_at", sa.Float(53)),
        sa.Column("last_signed_at", sa.Float(53)),
        sa.Column("retired_at", sa.Float(53)),
        sa.Column("revoked_at", sa.Float(53)),
        sa.Column("revoked_reason", sa.Text),
        sa.Column("destroyed_at", sa.Float(53)),
    ]


def _audit_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("issuer", sa.String(100), nullable=False),
        sa.Column("key_id", sa.String(200)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    ]
