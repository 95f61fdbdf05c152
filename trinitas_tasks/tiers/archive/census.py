"""One persona's memories, counted: for every archive alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from trinitas_tasks.model import MemoryType
from trinitas_tasks.tiers.archive.lives import Census

TENTHS: Final = 10
AGES: Final = (1, 7, 30, 90, 365)
"""Days; what is older counts under 0."""
GROWTH_DAYS: Final = 30


class Counted(NamedTuple):
    """What a census looks at of one memory."""

    type: MemoryType
    cold: bool
    pinned: bool
    score: float
    timestamp: datetime
    archived_at: datetime
    reads: int
    doubled: bool
    octets: int


def census(persona: str, memories: Iterable[Counted], shared: Mapping[str, int], now: datetime) -> Census:
    """See Lives. All tenths, ages and days are there, also those of nothing."""
    types: Counter[MemoryType] = Counter()
    tenths, ages, grown = [0] * TENTHS, dict.fromkeys((*AGES, 0), 0), _days(now)
    sums: Counter[str] = Counter()
    for each in memories:
        types[each.type] += 1
        tenths[min(int(each.score * TENTHS), TENTHS - 1)] += 1
        ages[_age(now - each.timestamp)] += 1
        day = each.archived_at.date().isoformat()
        if day in grown:
            grown[day] += 1
        sums.update(
            cold=each.cold, pinned=each.pinned, octets=each.octets, doubled=each.doubled, unread=each.reads == 0
        )
    return Census(
        persona=persona,
        by_type=dict(types),
        cold=sums["cold"],
        pinned=sums["pinned"],
        by_score=tenths,
        by_age=ages,
        grown=grown,
        content_bytes=sums["octets"],
        duplicates=sums["doubled"],
        shared_to=dict(shared),
        never_read=sums["unread"],
    )


def _days(now: datetime) -> dict[str, int]:
    """The last days, the oldest first, today among them."""
    return {(now.date() - timedelta(days=ago)).isoformat(): 0 for ago in range(GROWTH_DAYS - 1, -1, -1)}


def _age(age: timedelta) -> int:
    return next((days for days in AGES if age <= timedelta(days=days)), 0)
