"""Which memories came from which other store, in a SQL database."""

from __future__ import annotations

from collections.abc import Sequence

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive import migrating
from trinitas_tasks.tiers.archive.provenance import Migrated
from trinitas_tasks.tiers.archive.sql_lives import SqlLives


class SqlProvenance(SqlLives):
    """That part of the contract of Archive, one transaction a call."""

    def note_migrated(self, notes: Sequence[Migrated]) -> None:
        """See Provenance."""
        with self._engines.write("note what was migrated") as connection:
            migrating.note(connection, notes)

    def migrated(self, migration: str, after: Key | None, limit: int) -> list[Migrated]:
        """See Provenance."""
        with self._engines.read("list what was migrated") as connection:
            return migrating.listed(connection, migration, after, limit)

    def migrated_of(self, migration: str, keys: Sequence[Key]) -> list[Migrated | None]:
        """See Provenance."""
        with self._engines.read("look up what was migrated") as connection:
            found = migrating.of(connection, migration, keys)
        return [found.get(key) for key in keys]

    def drop_migrated(self, migration: str, keys: Sequence[Key]) -> None:
        """See Provenance."""
        with self._engines.write("drop notes of a migration") as connection:
            migrating.drop(connection, migration, keys)

    def migrations(self) -> dict[str, int]:
        """See Provenance."""
        with self._engines.read("list migrations") as connection:
            return migrating.counts(connection)

    def erased(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See Provenance."""
        with self._engines.read("look up what was erased") as connection:
            found = migrating.erased(connection, persona, ids)
        return [found.get(id_) for id_ in ids]
