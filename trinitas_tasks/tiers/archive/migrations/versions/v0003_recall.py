"""Memories in several vectors, in sessions, shared; and the order in which everything changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_sequential = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _let_vectors_have_parts()
    for table in ("memories", "tombstones"):
        op.add_column(table, sa.Column("change", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("memories", sa.Column("session", sa.String(256)))
    op.execute("UPDATE memories SET change = seq")
    op.create_index("memories_change", "memories", ["change"])
    op.create_index("tombstones_change", "tombstones", ["change"])
    op.create_index("memories_session", "memories", ["persona", "session", "timestamp", "seq"])
    _tell_the_sessions()
    op.create_table(
        "counters",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO counters (name, value) SELECT 'change', COALESCE(MAX(seq), 0) FROM memories")
    op.create_table(
        "grants",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("grantee", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("revoked", sa.SmallInteger, nullable=False),
    )
    op.create_index("grants_grantee", "grants", ["grantee", "owner", "id"])


def _let_vectors_have_parts() -> None:
    """A primary key cannot be changed in SQLite: copy the table."""
    op.drop_index("vectors_unindexed", "vectors")
    op.rename_table("vectors", "vectors_whole")
    op.create_table(
        "vectors",
        sa.Column("memory", _sequential, sa.ForeignKey("memories.seq", ondelete="CASCADE"), primary_key=True),
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("part", sa.SmallInteger, primary_key=True),
        sa.Column("indexed", sa.SmallInteger, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.execute(
        "INSERT INTO vectors (memory, model, part, indexed, dim, data) "
        "SELECT memory, model, 0, indexed, dim, data FROM vectors_whole"
    )
    op.drop_table("vectors_whole")
    waiting = sa.text("indexed = 0")
    op.create_index("vectors_unindexed", "vectors", ["model", "memory"], sqlite_where=waiting, postgresql_where=waiting)


def _tell_the_sessions() -> None:
    """As policy.text.session did when this was written."""
    path = "json_extract(metadata, '$.{}')" if op.get_context().dialect.name == "sqlite" else "metadata::json ->> '{}'"
    names = ", ".join(path.format(name) for name in ("session", "session_id", "conversation", "conversation_id"))
    op.execute(f"UPDATE memories SET session = substr(CAST(COALESCE({names}) AS TEXT), 1, 256)")
