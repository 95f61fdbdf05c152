"""One memory as `MemoryArchive` keeps it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.model import MemoryItem, MemoryType, Record
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.lives import Life
from trinitas_tasks.tiers.archive.rows import ENCODER


@dataclass(slots=True)
class Held:
    """A memory, its life, words and vectors."""

    seq: int
    version: int
    change: int
    type: MemoryType
    body: bytes
    archived_at: datetime
    access_count: int
    last_access: datetime
    terms: Counter[str]
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    indexed: set[str] = field(default_factory=set)
    cold: bool = False
    pinned: bool = False
    score: float | None = None
    scored_at: datetime | None = None
    stability_days: float | None = None
    fades_at: datetime | None = None
    useful: int = 0
    useless: int = 0
    representative: str | None = None

    @property
    def record(self) -> Record:
        """As it was stored, with its accesses."""
        item = MemoryItem.from_json(self.body, access_count=self.access_count, last_access=self.last_access)
        return Record(item, self.version)

    @property
    def life(self) -> Life:
        """What became of it."""
        return Life(
            seq=self.seq,
            record=self.record,
            archived_at=self.archived_at,
            cold=self.cold,
            pinned=self.pinned,
            score=self.score,
            scored_at=self.scored_at,
            stability_days=self.stability_days,
            fades_at=self.fades_at,
            useful=self.useful,
            useless=self.useless,
            representative=self.representative,
        )

    def admitted(self, filters: Filters) -> bool:
        """Whether it is an answer."""
        return (filters.include_archived or not self.cold) and (not filters.narrow or filters.admit(self.record.item))

    def keep_of(self, before: Held) -> None:
        """Take over from a former version what is the memory's."""
        self.seq, self.access_count, self.last_access = before.seq, before.access_count, before.last_access
        self.pinned, self.stability_days = before.pinned, before.stability_days
        self.useful, self.useless = before.useful, before.useless
        self.representative = before.representative if self.says_the_same(before) else None

    def says_the_same(self, other: Held) -> bool:
        """Whether both have the same content."""
        return ENCODER.encode(self.record.item.content) == ENCODER.encode(other.record.item.content)
