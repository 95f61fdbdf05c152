"""The lives of memories: what the archive knows of each beside its record, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from pydantic import JsonValue

from trinitas_tasks.model import Key, MemoryType, Record
from trinitas_tasks.policy.prediction import Follower


class Life(NamedTuple):
    """A memory with what became of it.

    ``cold``: it left the index of what is searched by default. ``score`` is its importance as it was computed last, at
    ``scored_at``, 0 to 1; None before that. ``stability_days`` is how well it is remembered (see policy.retention),
    None before its first access. ``fades_at``: when it is to be looked at, because it may be forgotten by then; None:
    at once. ``useful`` and ``useless`` count what was said of it. ``representative`` is the id of the memory that
    says the same and stands for it. ``archived_at``: when this version came into the archive.
    """

    seq: int
    record: Record
    archived_at: datetime
    cold: bool
    pinned: bool
    score: float | None
    scored_at: datetime | None
    stability_days: float | None
    fades_at: datetime | None
    useful: int
    useless: int
    representative: str | None

    @property
    def key(self) -> Key:
        """Its name."""
        return Key(self.record.item.persona, self.record.item.id)


class Order(StrEnum):
    """What comes first: the oldest by arrival, the longest unused, the latest used, what fades first, what was scored
    longest ago (never comes before ever), and the highest score; of equals the older by arrival."""

    ARRIVAL = "arrival"
    USE = "use"
    RECENCY = "recency"
    FADING = "fading"
    SCORING = "scoring"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lives are meant: all conditions hold; None asks for nothing."""

    persona: str | None = None
    types: frozenset[MemoryType] = frozenset()
    """Empty: all."""
    cold: bool | None = False
    pinned: bool | None = None
    used_before: datetime | None = None
    """Neither its timestamp nor its last access is at this time or later."""
    fading_by: datetime | None = None
    """``fades_at`` is None or not later."""
    scored_before: datetime | None = None
    """Never scored, or before this."""
    after: int = 0
    """``seq`` is above."""
    order: Order = Order.ARRIVAL


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of one life; what is None stays. It counts only while the memory is at this version.

    ``representative`` "" takes it away.
    """

    key: Key
    version: int
    cold: bool | None = None
    pinned: bool | None = None
    score: float | None = None
    scored_at: datetime | None = None
    fades_at: datetime | None = None
    representative: str | None = None


class Restored(NamedTuple):
    """What became of a memory as an export tells it (see Life): it replaces all that is known of these."""

    key: Key
    access_count: int
    last_access: datetime
    cold: bool
    pinned: bool
    score: float | None
    scored_at: datetime | None
    stability_days: float | None
    fades_at: datetime | None
    useful: int
    useless: int
    representative: str | None


class Use(NamedTuple):
    """Accesses to add to what is counted, and what they make of it. A cold memory that is used is not cold any more."""

    key: Key
    reads: int
    last: datetime
    stability_days: float
    fades_at: datetime


class Feedback(NamedTuple):
    """That a memory was of use to a persona, or not; ``seq`` numbers them."""

    seq: int
    key: Key
    by: str
    useful: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was said and done since the last one, to be kept in one transaction. ``batch`` is its number: one at or
    below the last that was kept changes nothing. ``followers`` replace those of their key. ``pins``: True pins."""

    batch: int
    uses: Sequence[Use] = ()
    followers: Mapping[Key, Sequence[Follower]] = field(default_factory=dict)
    pins: Mapping[Key, bool] = field(default_factory=dict)
    feedback: Sequence[Feedback] = ()
    """Their ``seq`` is not looked at: it is given here."""


KEPT, LINKED = "keep", "link"
"""The kinds of consolidation: a type that changed, and a representative. A link goes with its representative."""


class Consolidation(NamedTuple):
    """One thing that was done to a memory to keep it better; ``seq`` (0: not kept yet) names it. ``before`` and
    ``after`` hold what it changed. ``undone_at``: when it was taken back; then it is not done again."""

    seq: int
    kind: str
    key: Key
    version: int
    at: datetime
    before: Mapping[str, JsonValue]
    after: Mapping[str, JsonValue]
    why: str
    undone_at: datetime | None = None


class Audit(NamedTuple):
    """Who did what to a memory, when, and why: what must be told even when the memory is gone."""

    at: datetime
    actor: str
    action: str
    key: Key
    why: str


@dataclass(frozen=True, slots=True)
class Census:
    """One persona's memories, counted. Of importance and age the counts of tenths, and of days by powers of two."""

    persona: str
    by_type: Mapping[MemoryType, int]
    cold: int
    pinned: int
    by_score: Sequence[int]
    """How many have a score (else their importance) of 0 to 0.1, …, 0.9 to 1."""
    by_age: Mapping[int, int]
    """How many are at most 1, 7, 30, 90, 365 days old (by timestamp), and 0: older; each counted once."""
    grown: Mapping[str, int]
    """How many came each of the last 30 days (by arrival), by date (ISO)."""
    content_bytes: int
    duplicates: int
    """How many have a representative."""
    shared_to: Mapping[str, int]
    """How many memories each other persona was granted."""
    never_read: int


class Lives(Protocol):
    """Errors as of Archive. What is said of memories that are not here, or at another version, is ignored."""

    def lives(self, persona: str, ids: Sequence[str]) -> list[Life | None]:
        """In order, None for what is not here."""

    def chosen(self, choice: Choice, limit: int) -> list[Life]:
        """The first ``limit`` of those that are meant, by an index: as fast however large the archive is."""

    def named(self, persona: str, after: str, limit: int) -> list[Life]:
        """The first ``limit`` of the persona whose ids follow this one ("": all do), in the order of their ids."""

    def active(self, persona: str) -> int:
        """How many of the persona's memories are not cold."""

    def cold(self, persona: str, ids: Sequence[str]) -> set[str]:
        """Those of them that are cold."""

    def turn(self, turns: Sequence[Turn]) -> list[bool]:
        """Change lives in one transaction; which of the turns counted, also those that changed nothing. To become cold,
        or active again, is a change of the archive (see ``changes``), and its vectors then wait for the vector tier."""

    def restore_lives(self, lives: Sequence[Restored]) -> list[bool]:
        """Make lives what they were elsewhere, in one transaction; which of the memories are here. To become cold, or
        active again, means what it does in ``turn``."""

    def settle(self, settlement: Settlement) -> bool:
        """Keep it, once; False where it was before."""

    def settled(self) -> int:
        """The number of the last settlement, 0 before the first."""

    def followers(self, keys: Sequence[Key]) -> dict[Key, list[Follower]]:
        """Of each what is read after it, the heaviest first; keys without any are missing."""

    def feedback(self, limit: int) -> list[Feedback]:
        """What is still to be learned from, oldest first."""

    def weights(self, persona: str) -> dict[str, float]:
        """What was learned of the persona, by name; empty before."""

    def learn(self, turns: Sequence[Turn], weights: Mapping[str, Mapping[str, float]], learned: Sequence[int]) -> None:
        """As ``turn``, and in the same transaction keep weights by persona (those that it names are replaced) and that
        these feedbacks were learned from."""

    def consolidate(self, done: Sequence[Consolidation], turns: Sequence[Turn]) -> list[Consolidation]:
        """Keep what is to be done, and as ``turn``, in one transaction; those that were new, with their numbers. One of
        the same kind, key and version is kept once, and its turn is not taken twice."""

    def consolidations(
        self, *, persona: str | None = None, key: Key | None = None, seq: int | None = None, limit: int = 100
    ) -> list[Consolidation]:
        """Those asked for, newest first."""

    def undo(self, seq: int, at: datetime, turns: Sequence[Turn]) -> bool:
        """Mark it as undone and take these turns, in one transaction; False where it was before, or there is none."""

    def audit(self, entries: Sequence[Audit]) -> None:
        """Keep them, for ever."""

    def audits(self, limit: int, *, persona: str | None = None, key: Key | None = None) -> list[Audit]:
        """The newest first."""

    def mark(self, name: str) -> int:
        """How far a task has come by its own count; 0 before the first."""

    def put_mark(self, name: str, value: int) -> None:
        """Keep how far it has come. ``name``: at most 16 characters."""

    def census(self, persona: str, now: datetime) -> Census:
        """The persona's memories, counted."""
