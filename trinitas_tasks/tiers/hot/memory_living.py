"""Living in the process's own memory: what is noted while memories are used."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from trinitas_tasks.errors import Overloaded
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.hot.caches import Expiring
from trinitas_tasks.tiers.hot.interface import Standing
from trinitas_tasks.tiers.hot.living import Access, Noted, Reads, Searches, Signal, Step
from trinitas_tasks.tiers.hot.memory_grants import MemoryGrants

SIGNALS_LIMIT = 100_000
TRAIL_STEPS = 1000
STEP_KEYS = 3
SLOWEST = 20
TEXT_CHARACTERS = 200


class MemoryLiving(MemoryGrants):
    """That part of MemoryHotTier which implements Living, but for ``replace`` and ``copies``."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._uses: dict[Key, Access] = {}
        self._trails: dict[str, list[Step]] = {}
        self._signals: list[Signal] = []
        self._batch: Noted | None = None
        self._leases: Expiring[str, str] = Expiring(clock)
        self._leaving: set[Key] = set()
        self._fetched: set[Key] = set()
        self._reads: Counter[tuple[str, str]] = Counter()
        self._searches: dict[str, list[tuple[datetime, float, int, str]]] = {}

    @abstractmethod
    def standings(self, keys: Sequence[Key]) -> list[Standing | None]:
        """See HotTier."""

    @abstractmethod
    def _ends(self, key: Key) -> datetime | None:
        """When the time of the copy that stands there is over; None: there is none."""

    def _used(self, key: Key, at: datetime) -> None:
        known = self._uses.get(key)
        self._uses[key] = Access(key, 1 + (known.count if known else 0), at)

    def _read_together(self, reader: str, keys: Sequence[Key]) -> None:
        if keys:
            step = Step(reader, self._clock(), tuple(keys[:STEP_KEYS]))
            self._trails[reader] = [*self._trails.get(reader, []), step][-TRAIL_STEPS:]
            self._reads[reader, "read"] += len(keys)
            fetched = self._fetched.intersection(keys)
            self._reads[reader, "fetched"] += len(fetched)
            self._fetched -= fetched

    def _drop_noted(self, key: Key) -> None:
        """It was forgotten."""
        self._uses.pop(key, None)
        self._trails = {persona: _without(key, steps) for persona, steps in self._trails.items()}
        self._signals = [each for each in self._signals if each.key != key]
        if batch := self._batch:
            self._batch = replace(
                batch,
                accesses=tuple(each for each in batch.accesses if each.key != key),
                steps=tuple(_without(key, batch.steps)),
                signals=tuple(each for each in batch.signals if each.key != key),
            )

    def say(self, signals: Sequence[Signal], *, above: int = 0) -> None:
        """See Living."""
        with self._lock:
            waiting = len(self._signals) + (len(self._batch.signals) if self._batch else 0)
            if waiting + len(signals) > SIGNALS_LIMIT:
                raise Overloaded(f"{SIGNALS_LIMIT} signals wait to be settled")
            if signals:
                self.advance(above)
            self._signals += [each for each in signals if not self._forgotten(each.key)]

    def unsettled(self) -> list[Signal]:
        """See Living."""
        with self._lock:
            return [*(self._batch.signals if self._batch else ()), *self._signals]

    def noted(self, limit: int) -> Noted:
        """See Living."""
        with self._lock:
            if self._batch is None:
                keys = list(self._uses)[:limit]
                accesses = tuple(self._uses.pop(key) for key in keys)
                signals = tuple(self._signals[:limit])
                del self._signals[:limit]
                taken = Noted(0, accesses, tuple(self._taken_steps(limit)), signals)
                if taken == Noted(0):
                    return taken
                self._batch = replace(taken, batch=self._next(0))
            return self._batch

    def _taken_steps(self, limit: int) -> list[Step]:
        taken: list[Step] = []
        for persona in sorted(self._trails):
            trail = self._trails[persona]
            more = trail[: limit - len(taken)]
            taken += more
            del trail[: len(more)]
        return taken

    def postpone(self, signals: Sequence[Signal]) -> None:
        """See Living."""
        with self._lock:
            if self._batch is not None:
                waiting = Counter(signals) & Counter(self._batch.signals)
                self._signals += waiting.elements()
                left = Counter(self._batch.signals) - waiting
                self._batch = replace(self._batch, signals=tuple(left.elements()))

    def settled(self, batch: int) -> None:
        """See Living."""
        with self._lock:
            if self._batch and self._batch.batch == batch:
                self._batch = None

    def lease(self, name: str, seconds: float) -> str | None:
        """See Living."""
        with self._lock:
            if self._leases.get(name):
                return None
            token = uuid4().hex
            self._leases.keep(name, token, seconds)
            return token

    def release(self, name: str, token: str) -> None:
        """See Living."""
        with self._lock:
            if self._leases.get(name) == token:
                self._leases.drop(name)

    def leaving(self, within_seconds: int, limit: int) -> list[Standing]:
        """See Living."""
        with self._lock:
            by = self._clock() + timedelta(seconds=within_seconds)
            soon = sorted((ends, key) for key in list(self._leaving) if (ends := self._ends(key)) and ends <= by)
            return [each for each in self.standings([key for _, key in soon[:limit]]) if each]

    def prove(self, keys: Sequence[tuple[Key, int]]) -> None:
        """See Living."""
        with self._lock:
            for key, version in keys:
                standing = self.standings([key])[0]
                if standing and standing.version == version:
                    self._leaving.discard(key)

    def reads(self) -> list[Reads]:
        """See Living."""
        with self._lock:
            personas = sorted({persona for persona, _ in self._reads})
            return [Reads(each, self._reads[each, "read"], self._reads[each, "fetched"]) for each in personas]

    def searched(self, persona: str, millis: float, hits: int, text: str) -> None:
        """See Living."""
        with self._lock:
            asked = self._searches.setdefault(persona, [])
            asked.append((self._clock(), millis, hits, text[:TEXT_CHARACTERS]))

    def searches(self) -> list[Searches]:
        """See Living."""
        with self._lock:
            since = self._clock() - timedelta(days=1)
            return [_summary(persona, asked, since) for persona, asked in sorted(self._searches.items())]


def _summary(persona: str, asked: Sequence[tuple[datetime, float, int, str]], since: datetime) -> Searches:
    slowest = sorted((-millis, text) for at, millis, _, text in asked if at > since)[:SLOWEST]
    return Searches(
        persona,
        asked=len(asked),
        empty=sum(hits == 0 for _, _, hits, _ in asked),
        total_ms=sum(millis for _, millis, _, _ in asked),
        slowest=tuple((-millis, text) for millis, text in slowest),
    )


def _without(key: Key, steps: Sequence[Step]) -> list[Step]:
    left = [each._replace(keys=tuple(read for read in each.keys if read != key)) for each in steps]
    return [each for each in left if each.keys]
