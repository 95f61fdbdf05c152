"""Which memories came from which other store."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "migrated",
        sa.Column("migration", sa.String(64), primary_key=True),
        sa.Column("persona", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("migrated_of", "migrated", ["persona", "id"])
