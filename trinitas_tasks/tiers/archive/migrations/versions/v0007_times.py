"""Memories in the order of their times."""

from alembic import op

revision = "0007"
down_revision = "0006"

_CHOSEN = ["persona", "type", "cold"]


def upgrade() -> None:
    op.create_index("memories_times", "memories", [*_CHOSEN, "timestamp", "id"])
    # last again, see 0004
    op.drop_index("memories_persona_type", "memories")
    op.create_index("memories_persona_type", "memories", [*_CHOSEN, "seq"])
