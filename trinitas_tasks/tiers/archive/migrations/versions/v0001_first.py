"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_sequential = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "memories",
        sa.Column("seq", _sequential, primary_key=True, autoincrement=True),
        sa.Column("persona", sa.String(64), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("last_access", sa.BigInteger, nullable=False),
        sa.Column("access_count", sa.BigInteger, nullable=False),
        sa.Column("importance", sa.Float(53), nullable=False),
        sa.Column("ttl", sa.BigInteger),
        sa.Column("archived_at", sa.BigInteger, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.UniqueConstraint("persona", "id", name="memories_persona_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("memories_persona_type", "memories", ["persona", "type"])
    op.create_table(
        "vectors",
        sa.Column("memory", _sequential, sa.ForeignKey("memories.seq", ondelete="CASCADE"), primary_key=True),
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("indexed", sa.SmallInteger, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    waiting = sa.text("indexed = 0")
    op.create_index("vectors_unindexed", "vectors", ["model", "memory"], sqlite_where=waiting, postgresql_where=waiting)
    _create_what_is_gone_or_dead()
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE memories_fts USING fts5(persona, terms, tokenize = 'porter unicode61')")


def _create_what_is_gone_or_dead() -> None:
    op.create_table(
        "tombstones",
        sa.Column("persona", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dead_letters",
        sa.Column("persona", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
