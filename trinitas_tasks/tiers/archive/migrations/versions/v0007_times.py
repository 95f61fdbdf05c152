"""Memories in the order of their times, and by who stands for them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_CHOSEN = ["persona", "type", "cold"]


def upgrade() -> None:
    stored = op.get_context().dialect.name != "sqlite"  # where a column that is there already cannot be stored
    op.add_column("memories", sa.Column("tie", sa.String(128), sa.Computed("id", persisted=stored)))
    op.create_index("memories_times", "memories", [*_CHOSEN, "timestamp", "tie"])
    linked = sa.text("representative IS NOT NULL")
    op.create_index(
        "memories_represented", "memories", ["persona", "representative"], sqlite_where=linked, postgresql_where=linked
    )
    # last again, see 0004
    op.drop_index("memories_persona_type", "memories")
    op.create_index("memories_persona_type", "memories", [*_CHOSEN, "seq"])
