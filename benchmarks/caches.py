"""Caches that are compared by the same readings: the hot tier with all that fills it, and others that only count."""

from __future__ import annotations

import heapq
import math
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from benchmarks.readings import BEGIN, Event, Readings, key_of
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services.front import Front
from trinitas_tasks.settings import Settings, load_settings
from trinitas_tasks.tasks.jobs import Jobs
from trinitas_tasks.tiers.archive.lives import Settlement, Use
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.hot.interface import Write
from trinitas_tasks.tiers.hot.memory import MemoryHotTier
from trinitas_tasks.tiers.hot.rows import copy_bytes, member_of, pack
from trinitas_tasks.tiers.lexical.memory import MemoryLexical
from trinitas_tasks.tiers.spool.memory import MemorySpool
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

MB = 1 << 20
CACHE_SECONDS = Settings.model_fields["redis_ttl_cache"].default


class Cache(Protocol):
    """Something that may have what is read."""

    def happens(self, event: Event) -> bool:
        """A memory is read, or written; whether it was here."""

    def close(self) -> None:
        """It is not used any more."""


def size_of(item: MemoryItem) -> int:
    """What a copy takes, as the hot tier counts it."""
    return copy_bytes(member_of(key_of(item)), pack(item.to_json()))


class Lru:
    """The least recently used goes first; where a time to live is given, each read gives it anew."""

    def __init__(self, sizes: Mapping[Key, int], limit: float, seconds: float = math.inf) -> None:
        self._sizes = sizes
        self._left = limit
        self._seconds = seconds
        self._ends: OrderedDict[Key, float] = OrderedDict()

    def happens(self, event: Event) -> bool:
        """See Cache."""
        size = self._sizes[event.key]
        ends = self._ends.pop(event.key, None)
        if ends is None:
            self._left -= size
        self._ends[event.key] = event.at + self._seconds
        while self._left < 0 or next(iter(self._ends.values()), math.inf) <= event.at:
            self._left += self._sizes[self._ends.popitem(last=False)[0]]
        return ends is not None and ends > event.at

    def close(self) -> None:
        """See Cache."""


class Static:
    """What is read most for its size, known beforehand, and never anything else."""

    def __init__(self, sizes: Mapping[Key, int], limit: float, events: Sequence[Event]) -> None:
        reads = Counter(event.key for event in events if event.new is None)
        self._kept = set[Key]()
        for key in sorted(reads, key=lambda each: (-reads[each] / sizes[each], each)):
            if sizes[key] <= limit:
                limit -= sizes[key]
                self._kept.add(key)

    def happens(self, event: Event) -> bool:
        """See Cache."""
        return event.key in self._kept

    def close(self) -> None:
        """See Cache."""


class _Unforeseeing(SqlArchive):
    """An archive by which nobody learns what is read next: what clients ask it loads nothing ahead."""

    def followers(self, keys: Sequence[Key]) -> dict[Key, list[Follower]]:  # noqa: ARG002
        """None."""
        return {}


class Tiers:
    """The hot tier over an archive on disk, read by a client's front; the scheduled tasks run at their usual times.

    ``seconds`` is REDIS_TTL_CACHE. ``ahead``: what follows is loaded with what was missing. ``warmed``: `warm_cache`
    runs, too.
    """

    def __init__(
        self,
        readings: Readings,
        limit: float,
        *,
        ahead: bool = True,
        warmed: bool = True,
        seconds: int = CACHE_SECONDS,
    ) -> None:
        self.now = BEGIN
        self.hot = MemoryHotTier(clock=self._clock, cache_mb=limit / MB)
        self._folder = tempfile.TemporaryDirectory()
        file = f"sqlite:///{self._folder.name}/archive.db"
        self.archive = SqlArchive(file) if ahead else _Unforeseeing(file)
        self.archive.migrate()
        spool = MemorySpool(clock=self._clock)
        settings = load_settings(overrides={"redis_ttl_cache": seconds}, stack=False)
        self.runtime = Runtime(
            settings,
            hot=self.hot,
            archive=self.archive,
            vectors=MemoryVectors(),
            embedder=HashEmbedder(),
            lexical=MemoryLexical(),
            spool=spool,
            clock=self._clock,
        )
        self.jobs = Jobs(self.runtime, nudge=lambda _: None)
        self.front = Front(
            self.hot,
            spool,
            self.archive,
            fetch=lambda persona, ids: self.jobs.fetch(persona, list(ids)),
            replayed=lambda: None,
            cache_seconds=settings.redis_ttl_cache,
            retry_seconds=1,
            clock=self._clock,
        )
        for start in range(0, len(readings.items), 500):
            self.hot.write([Write(each) for each in readings.items[start : start + 500]])
            self.jobs.ingest()
        never = datetime.max.replace(tzinfo=UTC)
        uses = [Use(key, reads, BEGIN, 1.0, never) for key, reads in readings.history.items()]
        self.archive.settle(Settlement(1, uses=uses))
        self._begin = self.now = BEGIN + timedelta(hours=1)  # no copy of them is left
        tasks = [LifeTask.FLUSH_ACCESS, *([LifeTask.WARM_CACHE] if warmed else [])]
        self._due = [(settings.seconds_between(task), task) for task in tasks]

    def _clock(self) -> datetime:
        return self.now

    def happens(self, event: Event) -> bool:
        """See Cache."""
        while self._due[0][0] <= event.at:
            at, task = self._due[0]
            self._move(at)
            getattr(self.jobs, task)()
            heapq.heapreplace(self._due, (at + self.runtime.settings.seconds_between(task), task))
        self._move(event.at)
        if event.new is not None:
            self.front.write([Write(event.new)])
            self.jobs.ingest()
            return True
        here = self.hot.standings([event.key])[0] is not None
        assert self.front.get(event.key) is not None
        return here

    def close(self) -> None:
        """Give the files back."""
        self.runtime.close()
        self._folder.cleanup()

    def _move(self, at: float) -> None:
        self.now = self._begin + timedelta(seconds=at)


def sizes_of(readings: Readings) -> dict[Key, int]:
    """Of all memories that are there or come."""
    items = [*readings.items, *(event.new for event in readings.events if event.new is not None)]
    return {key_of(item): size_of(item) for item in items}


def counted(cache: Cache, readings: Readings) -> list[tuple[float, bool]]:
    """Of the reads that count: when, and whether the memory was there. The cache is closed then."""
    found = [(event, cache.happens(event)) for event in readings.events]
    cache.close()
    return [
        (event.at, hit)
        for event, hit in found
        if event.counts and event.new is None and event.at >= readings.counted_from
    ]


def rate_of(reads: Sequence[tuple[float, bool]]) -> float:
    """The part of them that were hits."""
    return sum(hit for _, hit in reads) / len(reads) if reads else 0.0
