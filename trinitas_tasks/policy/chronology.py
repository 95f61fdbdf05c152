"""The order of a timeline: by time, of equal times by owner and id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from trinitas_tasks.model import MemoryItem, Record
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.query import Filters

FIRST: Final = ""
LAST: Final = "\x7f"
"""Before and behind the names of all personas and memories, which are of other ASCII characters."""


class Place(NamedTuple):
    """Where a memory stands: its time in microseconds since 1970, its owner and its id."""

    at: int
    owner: str = FIRST
    id: str = FIRST

    @classmethod
    def of(cls, item: MemoryItem) -> Self:
        """The memory's."""
        return cls(to_micros(item.timestamp), item.persona, item.id)


BEGINNING: Final = Place(-(1 << 62))
END: Final = Place(1 << 62)


class Bound(NamedTuple):
    """A place among the memories of one owner, to be compared with their time and id."""

    at: int
    id: str


@dataclass(frozen=True, slots=True)
class Span:
    """The places between ``low`` and ``high``, without these two, the newest first or last."""

    low: Place = BEGINNING
    high: Place = END
    newest_first: bool = True

    @classmethod
    def of(cls, filters: Filters, *, newest_first: bool) -> Self:
        """What the filters' times leave."""
        low = BEGINNING if filters.since is None else Place(to_micros(filters.since))
        high = END if filters.before is None else Place(to_micros(filters.before))
        return cls(low, high, newest_first)

    def beyond(self, place: Place) -> Span:
        """Those of them that follow this place."""
        if self.newest_first:
            return replace(self, high=min(self.high, place))
        return replace(self, low=max(self.low, place))

    def holds(self, place: Place) -> bool:
        """Whether this is one of them."""
        return self.low < place < self.high

    def reaches(self, place: Place, end: Place | None) -> bool:
        """Whether somebody who goes up to this end, and no further, comes past this place; None: up to the last."""
        return end is None or (place >= end if self.newest_first else place <= end)

    def nearest(self, ends: Iterable[Place | None]) -> Place | None:
        """The end that comes first."""
        some = [end for end in ends if end is not None]
        return (max if self.newest_first else min)(some, default=None)

    def first(self, places: Iterable[Place], limit: int) -> list[Place]:
        """The first of them in order, so many at most."""
        return sorted(places, reverse=self.newest_first)[:limit]

    def bounds(self, owner: str) -> tuple[Bound, Bound]:
        """``low`` and ``high`` among the memories of this owner."""
        return _bound(self.low, owner), _bound(self.high, owner)


def _bound(place: Place, owner: str) -> Bound:
    if owner == place.owner:
        return Bound(place.at, place.id)
    return Bound(place.at, FIRST if owner > place.owner else LAST)


class Stretch(NamedTuple):
    """A part of a timeline in its order. ``end``: beyond this place nobody has looked; None: there is nothing."""

    records: list[Record]
    end: Place | None = None
