"""What is remembered about single tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("issuer", sa.String(100), primary_key=True),
        sa.Column("digest", sa.String(30), primary_key=True),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("forgotten_at", sa.Float(53), nullable=False),
        sa.Column("list_id", sa.Integer),
        sa.Column("place", sa.Integer),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    only = sa.text("status <> 0")
    op.create_index("marked_tokens", "tokens", ["issuer"], sqlite_where=only, postgresql_where=only)
    op.create_index("ix_tokens_forgotten_at", "tokens", ["forgotten_at"])
    op.create_index("ix_tokens_version", "tokens", ["version"])
    op.create_index("one_token_a_place", "tokens", ["issuer", "list_id", "place"], unique=True)
