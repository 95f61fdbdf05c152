"""The archive: keeps every memory, its vector and its words; the other tiers are rebuilt from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pydantic import JsonValue

from trinitas_tasks.model import Key, MemoryType, Position, Record
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.chronology import Span, Stretch
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.definitions import Definitions
from trinitas_tasks.tiers.archive.lives import Lives
from trinitas_tasks.tiers.archive.provenance import Provenance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNFILTERED: Final = Filters()
EVERYTHING: Final = Filters(include_archived=True)


@dataclass(frozen=True, slots=True)
class Row:
    """A memory to archive: the vectors of its parts (float32, (parts, dim); none yet where nobody could make them)
    under the name of the model that made them, and the terms (see policy.text.terms) under which full text finds it."""

    record: Record
    vectors: NDArray[np.float32]
    model: str
    terms: Sequence[str]


class Unindexed(NamedTuple):
    """An archived memory whose vectors (float32, (parts, dim)) the vector tier does not have yet, where they belong:
    among the ``cold`` ones or the others."""

    key: Key
    version: int
    vectors: NDArray[np.float32]
    cold: bool


class Listed(NamedTuple):
    """An archived memory: ``seq`` tells the order in which they came, from 1; whether it has vectors of its persona's
    model (embedded: one of its first part), whether the vector tier has all of them (indexed), and how many they
    are."""

    seq: int
    key: Key
    version: int
    embedded: bool
    indexed: bool
    parts: int
    cold: bool


class Match(NamedTuple):
    """A memory's id and its BM25 score, higher is better, for one query."""

    id: str
    score: float


class Similar(NamedTuple):
    """A memory's id and its cosine similarity to the query, -1 to 1."""

    id: str
    similarity: float


class Change(NamedTuple):
    """That a memory was stored, became ``cold`` or active again or, without a ``record``, was erased; ``change``
    numbers all of them in their order."""

    change: int
    key: Key
    record: Record | None
    cold: bool = False


class DeadLetter(NamedTuple):
    """A record that cannot be archived, with the reason."""

    key: Key
    version: int
    body: bytes
    error: str
    at: datetime


class Run(NamedTuple):
    """What one run of a task came to: how many memories it looked at, changed and failed with."""

    task: str
    started: datetime
    seconds: float
    examined: int
    changed: int
    errors: int
    detail: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ArchiveStats:
    """One persona's memories by type; how many wait for the vector tier; how many dead letters there are."""

    by_type: dict[MemoryType, int]
    unindexed: int
    dead_letters: int


class Reader(Protocol):
    """What a client reads by itself when the workers are away. Errors: Unavailable, ArchiveError."""

    def load(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """The records in order, None for what is not here."""

    def search_text(
        self, persona: str, terms: Sequence[str], limit: int, *, filters: Filters = UNFILTERED
    ) -> list[Match]:
        """The persona's memories that hold any of the terms and that the filters admit, best BM25 first: exactly the
        best ``limit`` of them."""

    def matching(self, persona: str, filters: Filters, limit: int) -> list[str]:
        """The ids of the persona's memories that the filters admit, newest first: by their timestamp, then by the
        order in which they came."""

    def timeline(
        self,
        persona: str,
        span: Span,
        limit: int,
        *,
        filters: Filters = EVERYTHING,
        shared: Sequence[Key] = (),
    ) -> Stretch:
        """The first of the persona's memories in this span that the filters admit, and of the ``shared`` ones, at most
        ``limit``. Where few are admitted it may end early."""

    def followers(self, keys: Sequence[Key]) -> dict[Key, list[Follower]]:
        """See Lives."""

    def close(self) -> None:
        """Give the connections back."""


class Archive(Reader, Lives, Provenance, Definitions, Protocol):
    """Everything is transactional. Of two versions of a memory the higher wins, whatever the order of
    arrival; a version at or below one that was erased is not stored.

    Errors: Unavailable (locked, missing, disk full), ArchiveError."""

    def store(self, rows: Sequence[Row]) -> list[int]:
        """Commit records, vectors and terms in one transaction; the versions that stand now: a row's own where
        it is the one archived (also when it was before: then only vectors that it lacks are added), a higher one
        where something newer or an erasure stands."""

    def erase(self, keys: Sequence[tuple[Key, int]]) -> list[int | None]:
        """Delete versions up to the given ones, with vectors and terms, and remember that they were; the
        version of a newer memory that still stands, None where none does. Grants from before end."""

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """The versions in order, None for what is not here."""

    def highest(self) -> int:
        """The highest version of all memories, erasures and grants, 0 where there are none."""

    def personas(self) -> list[str]:
        """Everybody who has a memory here, by name."""

    def listed(self, after: int, limit: int, naming: Naming) -> list[Listed]:
        """The memories of all personas that follow this ``seq`` (0: from the first), in its order."""

    def position(self) -> Position:
        """How far it has come; change 0 before the first."""

    def changes(self, after: int, limit: int) -> list[Change]:
        """The changes that follow this number, in their order. Of one memory only its last is there; numbers become
        visible in their order, so whoever has read up to one has missed nothing before it."""

    def around(self, keys: Sequence[Key], before: int, after: int) -> list[tuple[list[Record], list[Record]]]:
        """For each key the memories before and after it in its session, the oldest first (by timestamp, then as they
        came); none where it has no session or is not here."""

    def mark_indexed(self, keys: Sequence[tuple[Key, int]], model: str, *, cold: bool = False) -> None:
        """The vector tier has the vectors of this model for these versions, among the ``cold`` ones or the others; what
        does not belong there (any more) is not marked."""

    def mark_unindexed(self, keys: Sequence[tuple[Key, int]], model: str) -> None:
        """The vector tier lacks the vectors of this model for these versions."""

    def unindexed(self, naming: Naming, limit: int) -> list[Unindexed]:
        """Memories of whose vectors of their persona's model the vector tier lacks any, oldest first."""

    def vectors(self, persona: str, ids: Sequence[str], model: str) -> list[NDArray[np.float32] | None]:
        """The vectors (float32, (parts, dim)) of each in order, None where there is none of this model."""

    def nearest(
        self,
        persona: str,
        vector: NDArray[np.float32],
        model: str,
        limit: int,
        *,
        filters: Filters = UNFILTERED,
        cold: bool | None = None,
    ) -> list[Similar]:
        """The persona's memories that the filters admit whose vectors of this model and dimension are most similar,
        best first: exact, by looking at every one. Of a memory in parts the best one counts. ``cold``: only of the cold
        ones, or only of the others; None: as the filters say."""

    def put_grants(self, grants: Sequence[Grant]) -> None:
        """Keep grants and the marks of revoked ones; of each the higher version wins, and what was granted before a
        memory was erased, or all its grants were revoked, counts as revoked."""

    def grants(self, owner: str, ids: Sequence[str]) -> list[list[Grant]]:
        """All grants and marks of each of these memories, in order."""

    def bury_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Keep records that cannot be archived; the same key and version again replaces the letter."""

    def dead(self, limit: int, persona: str | None = None) -> list[DeadLetter]:
        """The letters of one persona or of all, oldest first."""

    def drop_dead(self, keys: Sequence[tuple[Key, int]]) -> int:
        """Delete the letters about these versions; how many there were."""

    def log_run(self, run: Run) -> None:
        """Keep what a task did; of each task the newest 1,000 are kept."""

    def runs(self, task: str, limit: int) -> list[Run]:
        """What a task did, newest first."""

    def stats(self, persona: str) -> ArchiveStats:
        """Counts of one persona."""

    def facts(self) -> dict[str, JsonValue]:
        """What a doctor wants to know of the database, by name; never memories or passwords."""

    def ping(self) -> None:
        """Return if it answers, has room and its schema is the one expected. Raises: Unavailable, ArchiveError."""
