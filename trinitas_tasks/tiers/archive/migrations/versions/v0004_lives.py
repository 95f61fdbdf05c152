"""The lives of memories: what became of each, what is read after it, what was said of it and done to it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_sequential = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WIDE = ("tags", "metadata", "content")


def upgrade() -> None:
    _widen_memories()
    if op.get_context().dialect.name == "sqlite":
        _put_wide_columns_last()
    op.drop_index("memories_persona_type", "memories")
    chosen = ["persona", "type", "cold"]
    op.create_index("memories_used", "memories", [*chosen, "used_at", "seq"])
    op.create_index("memories_fading", "memories", [*chosen, "fades_at", "seq"])
    op.create_index("memories_scored", "memories", [*chosen, "scored_at", "seq"])
    op.create_index("memories_score", "memories", [*chosen, "score", "seq"])
    # last: of equals SQLite takes the newest, and this one leads to the rows of a persona in the order they are stored
    op.create_index("memories_persona_type", "memories", [*chosen, "seq"])
    op.execute("INSERT INTO counters (name, value) VALUES ('settled', 0)")
    _create_what_is_learned()
    _create_what_is_done()


def _widen_memories() -> None:
    stored = op.get_context().dialect.name != "sqlite"  # where a column that is there already cannot be stored
    later = "CASE WHEN last_access > timestamp THEN last_access ELSE timestamp END"
    for column in (
        sa.Column("cold", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("pinned", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("score", sa.Float(53)),
        sa.Column("scored_at", sa.BigInteger),
        sa.Column("stability_days", sa.Float(53)),
        sa.Column("fades_at", sa.BigInteger),
        sa.Column("useful", sa.Integer, nullable=False, server_default="0"),
        sa.Column("useless", sa.Integer, nullable=False, server_default="0"),
        sa.Column("representative", sa.String(128)),
        sa.Column("used_at", sa.BigInteger, sa.Computed(later, persisted=stored)),
    ):
        op.add_column("memories", column)


def _put_wide_columns_last() -> None:
    """Behind them SQLite would follow all of a long content to a column of one byte."""
    for name in _WIDE:
        op.execute(f"ALTER TABLE memories RENAME COLUMN {name} TO {name}_before")
        op.execute(f"ALTER TABLE memories ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
    # a row stays as long as it was: the file does not grow
    op.execute("UPDATE memories SET " + ", ".join(f"{name} = {name}_before, {name}_before = ''" for name in _WIDE))
    for name in _WIDE:
        op.execute(f"ALTER TABLE memories DROP COLUMN {name}_before")


def _create_what_is_learned() -> None:
    op.create_table(
        "followers",
        sa.Column("persona", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("next_persona", sa.String(64), primary_key=True),
        sa.Column("next_id", sa.String(128), primary_key=True),
        sa.Column("weight", sa.Float(53), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("followers_next", "followers", ["next_persona", "next_id"])
    op.create_table(
        "feedback",
        sa.Column("seq", _sequential, primary_key=True, autoincrement=True),
        sa.Column("persona", sa.String(64), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("useful", sa.SmallInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("learned", sa.SmallInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    waiting = sa.text("learned = 0")
    op.create_index("feedback_of", "feedback", ["persona", "id"])
    op.create_index("feedback_waiting", "feedback", ["seq"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "weights",
        sa.Column("persona", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Float(53), nullable=False),
    )


def _create_what_is_done() -> None:
    op.create_table(
        "consolidations",
        sa.Column("seq", _sequential, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("persona", sa.String(64), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("undone_at", sa.BigInteger),
        sa.UniqueConstraint("persona", "id", "kind", "version", name="consolidations_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("consolidations_newest", "consolidations", ["persona", "seq"])
    op.create_table(
        "audits",
        sa.Column("seq", _sequential, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("persona", sa.String(64), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audits_newest", "audits", ["persona", "seq"])
    op.create_index("audits_of", "audits", ["persona", "id", "seq"])
    op.create_table(
        "marks",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
