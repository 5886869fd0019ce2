"""Documents, named audit chains, when keys signed last, and the version."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in (
        ("hold", sa.Text),
        ("parent", sa.String(200)),
        ("expires_at", sa.Float(53)),
        ("canary", sa.Text),
    ):
        op.add_column("keys", sa.Column(name, kind))
    _one_each()
    _move_signing_times()
    _name_chains()
    op.create_table(
        "documents",
        sa.Column("kind", sa.String(50), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "catalog",
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO catalog (version, beats) VALUES (1, 0)")
    op.drop_table("heartbeat")


def _one_each() -> None:
    op.drop_index("one_active_key", "keys")
    for state in ("active", "standby"):
        only = sa.text(f"state = '{state}' AND parent IS NULL")
        op.create_index(
            f"one_{state}_key",
            "keys",
            ["issuer", "purpose", "algorithm"],
            unique=True,
            sqlite_where=only,
            postgresql_where=only,
        )


def _move_signing_times() -> None:
    """A row for each writer, so that replicas which sign with one key do not wait for each other."""
    op.create_table(
        "signatures",
        sa.Column("handle", sa.String(64), primary_key=True),
        sa.Column("writer", sa.String(100), primary_key=True),
        sa.Column("last_signed_at", sa.Float(53), nullable=False),
    )
    op.execute(
        "INSERT INTO signatures (handle, writer, last_signed_at) "
        "SELECT handle, 'main', last_signed_at FROM keys WHERE last_signed_at IS NOT NULL"
    )
    op.drop_column("keys", "last_signed_at")


def _name_chains() -> None:
    op.rename_table("audit", "audit_before")
    op.create_table(
        "audit",
        sa.Column("writer", sa.String(100), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("issuer", sa.String(100), nullable=False),
        sa.Column("key_id", sa.String(200)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    names = "sequence, at, actor, action, issuer, key_id, reason, facts, previous, digest"
    op.execute(f"INSERT INTO audit (writer, {names}) SELECT 'main', {names} FROM audit_before")  # noqa: S608
    op.drop_table("audit_before")
