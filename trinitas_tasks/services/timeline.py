"""A persona's memories in the order of their time, from wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from trinitas_tasks.errors import TrinitasError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.policy.chronology import Place, Span, Stretch
from trinitas_tasks.query import Page, Timeline
from trinitas_tasks.services.cursor import behind, place_at
from trinitas_tasks.services.front import PENDING, Front
from trinitas_tasks.tiers.archive.interface import Reader
from trinitas_tasks.tiers.hot.interface import HotTier

SHARED: Final = 10_000
"""So many of the memories that were shared with a persona are looked at, those shared last."""
STEPS: Final = 8
"""So often the tiers are asked for one page: more than once where a filter admits few, or some were just forgotten."""

Workers = Callable[[Timeline, Span, int, Sequence[Key]], Stretch]
"""Asks the workers for a stretch of what the archive has."""


def timeline(
    asked: Timeline, cursor: str | None, *, front: Front, hot: HotTier, archive: Reader | None, workers: Workers
) -> Page:
    """The page of a timeline behind the cursor. To read it is no access and changes nothing.

    Raises: InvalidQuery, Unavailable where no tier answers.
    """
    span = Span.of(asked.filters, newest_first=asked.newest_first)
    if cursor is not None:
        span = span.beyond(place_at(cursor, asked))
    reading = _Reading(asked, front, hot, archive, workers)
    items: dict[Key, MemoryItem] = {}
    for _ in range(STEPS):
        found, end = reading.step(span)
        items |= found  # what has moved meanwhile is where it is now
        if end is None or len(items) > asked.limit:
            break
        span = span.beyond(end)
    page = sorted(items.values(), key=Place.of, reverse=asked.newest_first)
    if len(page) > asked.limit:
        end = Place.of(page[asked.limit - 1])
    return Page(tuple(page[: asked.limit]), tuple(reading.degraded), None if end is None else behind(end, asked))


@dataclass(slots=True)
class _Reading:
    asked: Timeline
    front: Front
    hot: HotTier | None
    archive: Reader | None
    workers: Workers
    degraded: dict[str, None] = field(default_factory=dict)
    spooled: Sequence[Record] | None = None
    shared: Sequence[Key] | None = None
    away: str | None = None
    """Why the archive does not answer."""

    def step(self, span: Span) -> tuple[dict[Key, MemoryItem], Place | None]:
        """Some memories from the beginning of the span, and how far it has been looked at.

        A memory goes from the spool to the hot tier and on to the archive: they are asked in this order, so that none
        is missed on its way; and then once more for what stands now.
        """
        records: dict[Key, Record] = {}
        ends = [self._took(part, records) for part in self._parts(span)]
        if self.hot is None and self.away is not None:
            raise Unavailable("; ".join([*self.degraded]))
        end = span.nearest(ends)
        found = {
            key: item
            for key, item in self._current(records).items()
            if span.holds(place := Place.of(item)) and span.reaches(place, end) and self.asked.filters.admit(item)
        }
        return found, end

    def _parts(self, span: Span) -> Iterable[Stretch]:
        limit = self.asked.limit + 1
        yield self._spooled(span, limit)
        yield from self._unarchived(span, limit)
        yield self._archived(span, limit)

    @staticmethod
    def _took(part: Stretch, records: dict[Key, Record]) -> Place | None:
        for record in part.records:
            key = Key(record.item.persona, record.item.id)
            if key not in records or records[key].version < record.version:
                records[key] = record
        return part.end

    def _spooled(self, span: Span, limit: int) -> Stretch:
        if self.spooled is None:
            self.spooled = self._waiting()
        its = {Place.of(record.item): record for record in self.spooled}
        places = span.first(filter(span.holds, its), limit)
        return Stretch([its[place] for place in places], _last(places, limit))

    def _waiting(self) -> Sequence[Record]:
        try:
            found = self.front.waiting(self.asked.persona)
        except Unavailable as error:
            self.degraded[f"spool: {error}"] = None
            return ()
        if len(found) == PENDING:
            self.degraded[f"spool: only the newest {PENDING:,} of the writes that wait there were looked at"] = None
        return found

    def _unarchived(self, span: Span, limit: int) -> list[Stretch]:
        if self.hot is None:
            return []
        try:
            mine = self.hot.waiting(self.asked.persona, span, limit)
            places = span.first(filter(span.holds, self.hot.places(self._lent(self.hot))), limit)
            keys = [Key(place.owner, place.id) for place in places]
            states = self.hot.read_scoped(self.asked.persona, keys, touch=False)
        except Unavailable as error:
            self._lost(error)
            return []
        return [mine, Stretch([each for each in states if isinstance(each, Record)], _last(places, limit))]

    def _lent(self, hot: HotTier) -> Sequence[Key]:
        if self.shared is None:
            self.shared = hot.granted(self.asked.persona, SHARED)
            if len(self.shared) == SHARED:
                self.degraded[f"shared: only the {SHARED:,} memories that were shared last were looked at"] = None
        return self.shared

    def _archived(self, span: Span, limit: int) -> Stretch:
        if self.away is not None:
            return Stretch([])
        shared = self.shared or () if self.hot else ()
        asked = self.asked
        try:
            if self.archive is not None:
                return self.archive.timeline(asked.persona, span, limit, filters=asked.filters, shared=shared)
        except TrinitasError as error:
            self.away = str(error)
        try:
            found = self.workers(asked, span, limit, shared)
        except TrinitasError as error:
            self.away = f"{self.away}; and {error}" if self.away else str(error)
            self.degraded[f"archive: {self.away}"] = None
            return Stretch([])
        self.away = None
        return found

    def _current(self, records: dict[Key, Record]) -> dict[Key, MemoryItem]:
        if self.hot is not None:
            try:
                return self.front.current(self.asked.persona, records, self.hot)
            except Unavailable as error:
                self._lost(error)
                if self.away is not None:
                    raise
        return self.front.current(self.asked.persona, records, None)

    def _lost(self, error: Unavailable) -> None:
        self.hot = None
        self.degraded[f"redis: {error}"] = None


def _last(places: Sequence[Place], limit: int) -> Place | None:
    return places[-1] if len(places) == limit else None
