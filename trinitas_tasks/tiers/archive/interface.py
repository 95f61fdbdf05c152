"""The archive: keeps every memory, its vector and its words; the other tiers are rebuilt from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from trinitas_tasks.model import Key, MemoryType, Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Row:
    """A memory to archive: its vector (float32, (dim,)) under the name of the model that made it, and the
    terms (see policy.text.terms) under which full text finds it."""

    record: Record
    vector: NDArray[np.float32]
    model: str
    terms: Sequence[str]


class Unindexed(NamedTuple):
    """An archived memory whose vector the vector tier does not have yet."""

    key: Key
    version: int
    vector: NDArray[np.float32]


class Match(NamedTuple):
    """A memory's id and its BM25 score, higher is better, for one query."""

    id: str
    score: float


class Touch(NamedTuple):
    """Accesses to add to what the archive counts."""

    key: Key
    reads: int
    last: datetime


class DeadLetter(NamedTuple):
    """A record that cannot be archived, with the reason."""

    key: Key
    version: int
    body: bytes
    error: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ArchiveStats:
    """One persona's memories by type; how many wait for the vector tier; how many dead letters there are."""

    by_type: dict[MemoryType, int]
    unindexed: int
    dead_letters: int


class Archive(Protocol):
    """Everything is transactional. Of two versions of a memory the higher wins, whatever the order of
    arrival; a version at or below one that was erased is not stored.

    Errors: Unavailable (locked, disk full), ArchiveError."""

    def store(self, rows: Sequence[Row]) -> list[bool]:
        """Commit records, vectors and terms in one transaction; True where this version is now the one
        archived (also when it was before), False where a newer one or an erasure stands."""

    def mark_indexed(self, keys: Sequence[tuple[Key, int]]) -> None:
        """The vector tier has these versions."""

    def unindexed(self, model: str, limit: int) -> list[Unindexed]:
        """Memories whose vector of this model the vector tier does not have yet, oldest first."""

    def load(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """The records in order, None for what is not here."""

    def erase(self, keys: Sequence[tuple[Key, int]]) -> None:
        """Delete versions up to the given ones, with vectors and terms, and remember that they were."""

    def search_text(
        self, persona: str, terms: Sequence[str], limit: int, *, types: frozenset[MemoryType] = frozenset()
    ) -> list[Match]:
        """The persona's memories that hold any of the terms, best BM25 first; if types are given, of these
        only."""

    def types_of(self, persona: str, ids: Sequence[str]) -> list[MemoryType | None]:
        """The types in order, None for what is not here."""

    def touch(self, touches: Sequence[Touch]) -> None:
        """Add accesses; what is not here is ignored."""

    def bury_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Keep records that cannot be archived; the same key and version again replaces the letter."""

    def dead(self, limit: int) -> list[DeadLetter]:
        """The letters of all personas, oldest first."""

    def stats(self, persona: str) -> ArchiveStats:
        """Counts of one persona."""

    def ping(self) -> None:
        """Return if it answers and its schema is the one expected. Raises: Unavailable, ArchiveError."""

    def close(self) -> None:
        """Give the connections back."""
