"""Alembic's entry: upgrades over the connection, and in the transaction, of `SqlArchive.migrate`."""

from alembic import context

from trinitas_tasks.tiers.archive.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
