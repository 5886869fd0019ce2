"""What verifiers report with each poll."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "verifiers",
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("instance", sa.String(500), primary_key=True),
        sa.Column("last_seen_at", sa.Float(53), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("verifiers_seen", "verifiers", ["last_seen_at"])
