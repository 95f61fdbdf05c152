"""Which memories came from which other store: what a migration notes, so that it can be verified and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from trinitas_tasks.model import Key

TAKEN_BACK: Final = "~"
"""In the place of a migration, of which it is no name: at this version the memory was erased as one was taken back, so
it was not forgotten. Such a note stays."""


class Migrated(NamedTuple):
    """That a memory came, at this version, with this migration; ``digest``: the SHA-256 of what came, 64 hex digits."""

    migration: str
    key: Key
    version: int
    digest: str


class Provenance(Protocol):
    """Errors as of Archive. A note goes when its memory is erased, but for those of `TAKEN_BACK`."""

    def note_migrated(self, notes: Sequence[Migrated]) -> None:
        """Keep them; of one migration and key the last counts. A note may come before its memory."""

    def migrated(self, migration: str, after: Key | None, limit: int) -> list[Migrated]:
        """The notes of one migration whose keys follow this one (None: from the first), by key."""

    def migrated_of(self, migration: str, keys: Sequence[Key]) -> list[Migrated | None]:
        """The notes about these keys in order, None where the migration has none."""

    def drop_migrated(self, migration: str, keys: Sequence[Key]) -> None:
        """Drop the notes about these keys; the memories stay."""

    def migrations(self) -> dict[str, int]:
        """How many notes each migration has, by its name; `TAKEN_BACK` is none."""

    def erased(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """Up to which version each was erased, in order; None where it was not, or is here again."""
