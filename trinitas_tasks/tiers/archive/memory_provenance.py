"""Which memories came from which other store, as `MemoryArchive` keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.memory_done import MemoryDone
from trinitas_tasks.tiers.archive.provenance import TAKEN_BACK, Migrated


class MemoryProvenance(MemoryDone):
    """That part of the contract of Archive over dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._migrated: dict[tuple[str, Key], Migrated] = {}

    def note_migrated(self, notes: Sequence[Migrated]) -> None:
        """See Provenance."""
        with self._lock:
            self._migrated.update({(note.migration, note.key): note for note in notes})

    def migrated(self, migration: str, after: Key | None, limit: int) -> list[Migrated]:
        """See Provenance."""
        with self._lock:
            mine = [note for (name, key), note in self._migrated.items() if name == migration]
        following = [note for note in mine if after is None or note.key > after]
        return sorted(following, key=lambda note: note.key)[:limit]

    def migrated_of(self, migration: str, keys: Sequence[Key]) -> list[Migrated | None]:
        """See Provenance."""
        with self._lock:
            return [self._migrated.get((migration, key)) for key in keys]

    def drop_migrated(self, migration: str, keys: Sequence[Key]) -> None:
        """See Provenance."""
        with self._lock:
            for key in keys:
                self._migrated.pop((migration, key), None)

    def migrations(self) -> dict[str, int]:
        """See Provenance."""
        with self._lock:
            return dict(sorted(Counter(name for name, _ in self._migrated if name != TAKEN_BACK).items()))

    def erased(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See Provenance."""
        with self._lock:
            return [self._erased.get(Key(persona, id_)) for id_ in ids]

    def _end_life(self, key: Key) -> None:
        super()._end_life(key)
        self._migrated = {of: note for of, note in self._migrated.items() if of[1] != key or of[0] == TAKEN_BACK}
