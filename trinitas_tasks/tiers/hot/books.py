"""The books of the in-memory tier's copies: what each takes and is worth."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.hot.rows import member_of, worth


class CopyBooks:
    """Of copies that take ``limit`` bytes at most. GreedyDual-Size-Frequency, as scripts/_room.lua has it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sizes: dict[Key, int] = {}
        self.bytes = 0
        self.evicted = 0
        self._age = 0.0
        self._worth: dict[Key, float] = {}
        self._least: list[tuple[float, str, Key]] = []
        self._ends: list[tuple[datetime, Key]] = []

    def enter(self, key: Key, size: int, reads: int, ends: datetime) -> None:
        """There is one more."""
        self.sizes[key] = size
        self.bytes += size
        self.used(key, reads)
        self.lasts(key, ends)

    def used(self, key: Key, reads: int) -> None:
        """It was read so often by now."""
        if size := self.sizes.get(key):
            self._worth[key] = worth(reads, size, self._age)
            heapq.heappush(self._least, (self._worth[key], member_of(key), key))

    def lasts(self, key: Key, ends: datetime) -> None:
        """It has time until then."""
        heapq.heappush(self._ends, (ends, key))

    def strike(self, key: Key) -> None:
        """It has gone, or is no copy any more; also of one that is not known."""
        self.bytes -= self.sizes.pop(key, 0)
        self._worth.pop(key, None)

    def over(self, now: datetime) -> Iterator[Key]:
        """Those whose time may be over."""
        while self._ends and self._ends[0][0] <= now:
            yield heapq.heappop(self._ends)[1]

    def room(self, size: int, reads: int, *, asked: bool) -> list[Key] | None:
        """What has to go to make room for so many bytes; None where that is not enough or, unless somebody asked for
        them, worth more."""
        if size > self.limit:
            return None
        value = worth(reads, size, self._age)
        victims = list(self._first(self.bytes + size - self.limit))
        if not asked and any(each > value for each, _, _ in victims):
            for each in victims:
                heapq.heappush(self._least, each)
            self._age = value
            return None
        return self._gone(victims)

    def shrink(self) -> list[Key]:
        """What has to go because there was more room before."""
        return self._gone(list(self._first(self.bytes - self.limit)))

    def _first(self, need: int) -> Iterator[tuple[float, str, Key]]:
        """Those of the least worth that have so many bytes; they leave the heap."""
        while need > 0 and self._least:
            least = heapq.heappop(self._least)
            if self._worth.get(least[2]) == least[0]:
                need -= self.sizes[least[2]]
                yield least

    def _gone(self, victims: list[tuple[float, str, Key]]) -> list[Key]:
        self._age = max([self._age, *(value for value, _, _ in victims)])
        self.evicted += len(victims)
        return [key for _, _, key in victims]
