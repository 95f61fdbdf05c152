"""The hot tier in the process's own memory: for tests and for trying things out. It forgets when the process ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trinitas_tasks.errors import Overloaded
from trinitas_tasks.model import Key, MemoryItem, Record, utc_now
from trinitas_tasks.tiers.hot.interface import (
    Access,
    Claimed,
    Finished,
    Gone,
    Grave,
    HotStats,
    Probe,
    Write,
    Written,
)

NUDGE = timedelta(seconds=1)
GRAVE_MARK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Kept:
    body: bytes | None  # None: forgotten; not the item, whose content its owner may change
    version: int
    until: datetime | None = None  # None: the only copy
    count: int = 0
    unflushed: int = 0
    last: datetime | None = None


class MemoryHotTier:
    """The contract of HotTier over dictionaries; ``clock`` may be simulated."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        dedup_seconds: int = 60,
        outbox_limit: int = 1_000_000,
    ) -> None:
        self._clock = clock
        self._dedup_window = timedelta(seconds=dedup_seconds)
        self._outbox_limit = outbox_limit
        self._lock = threading.RLock()
        self._kept: dict[Key, _Kept] = {}
        self._outbox: dict[Key, datetime] = {}
        self._graves: dict[Key, datetime] = {}
        self._pending: dict[Key, datetime] = {}
        self._dedup: dict[tuple[str, str], tuple[str, datetime]] = {}
        self._generations: dict[str, int] = {}
        self._cache: dict[tuple[str, ...], tuple[bytes, datetime]] = {}
        self._dirty: set[Key] = set()
        self._nudged: datetime | None = None

    def write(self, writes: Sequence[Write]) -> Written:
        """See HotTier."""
        with self._lock:
            outcomes = [self._write(write) for write in writes]
            fresh = sum(is_fresh for _, is_fresh in outcomes)
            return Written(tuple(each for each, _ in outcomes), fresh, fresh > 0 and self._nudge())

    def _write(self, write: Write) -> tuple[str, bool]:
        item, now = write.item, self._clock()
        key = Key(item.persona, item.id)
        said = (item.persona, write.dedup or "")
        if write.dedup and (known := self._dedup.get(said)) and known[1] > now:
            standing = self._live(Key(item.persona, known[0]))
            if standing is None or standing.body is not None:
                return known[0], False
        old, body = self._live(key), item.to_json()
        if old and old.body == body:
            return item.id, False
        if len(self._outbox) >= self._outbox_limit:
            raise Overloaded(f"{self._outbox_limit} memories wait to be archived")
        self._kept[key] = _Kept(body, self._next_version(key))
        self._outbox[key] = self._pending[key] = now
        self._graves.pop(key, None)
        self.changed([item.persona])
        if write.dedup:
            self._dedup[said] = (item.id, now + self._dedup_window)
        return item.id, True

    def read(self, persona: str, ids: Sequence[str], *, touch: bool) -> list[Record | Gone | None]:
        """See HotTier."""
        with self._lock:
            return [self._read(Key(persona, each), touch) for each in ids]

    def _read(self, key: Key, touch: bool) -> Record | Gone | None:
        kept = self._live(key)
        if kept is None:
            return None
        if (body := kept.body) is None:
            return Gone()
        if touch:
            kept = replace(kept, unflushed=kept.unflushed + 1, last=self._clock())
            self._kept[key] = kept
            self._dirty.add(key)
        count = kept.count + kept.unflushed
        return Record(MemoryItem.from_json(body, access_count=count, last_access=kept.last), kept.version)

    def forget(self, keys: Sequence[Key]) -> bool:
        """See HotTier."""
        with self._lock:
            for key in keys:
                self._kept[key] = _Kept(None, self._next_version(key))
                self._outbox.pop(key, None)
                self._pending.pop(key, None)
                self._graves[key] = self._clock()
                self.changed([key.persona])
            return self._nudge()

    def claim(self, limit: int, lease_seconds: int) -> list[Claimed]:
        """See HotTier."""
        with self._lock:
            claimed = []
            for key in self._lease(self._outbox, limit, lease_seconds):
                kept = self._kept[key]
                if kept.body is not None:
                    claimed.append(Claimed(key, kept.version, kept.body))
            return claimed

    def claim_graves(self, limit: int, lease_seconds: int) -> list[Grave]:
        """See HotTier."""
        with self._lock:
            return [Grave(key, self._kept[key].version) for key in self._lease(self._graves, limit, lease_seconds)]

    def finish(self, done: Sequence[Finished]) -> list[bool]:
        """See HotTier."""
        with self._lock:
            return [self._finish(each) for each in done]

    def _finish(self, done: Finished) -> bool:
        kept = self._live(done.key)
        if kept is None or kept.body is None or kept.version != done.version:
            return False
        self._outbox.pop(done.key, None)
        self._pending.pop(done.key, None)
        self._kept[done.key] = replace(kept, until=self._clock() + timedelta(seconds=done.seconds))
        self.changed([done.key.persona])
        return True

    def bury(self, graves: Sequence[Grave]) -> None:
        """See HotTier."""
        with self._lock:
            for key, version in ((each.key, each.version) for each in graves):
                kept = self._kept.get(key)
                if kept and kept.body is None and kept.version == version:
                    self._graves.pop(key, None)
                    self._kept[key] = replace(kept, until=self._clock() + GRAVE_MARK)

    def due(self) -> bool:
        """See HotTier."""
        with self._lock:
            now = self._clock()
            return any(due <= now for queue in (self._outbox, self._graves) for due in queue.values())

    def refill(self, records: Sequence[tuple[Record, int]]) -> None:
        """See HotTier."""
        with self._lock:
            for (item, version), seconds in records:
                key = Key(item.persona, item.id)
                if self._live(key) is None:
                    until = self._clock() + timedelta(seconds=seconds)
                    self._kept[key] = _Kept(item.to_json(), version, until, item.access_count, last=item.last_access)

    def pending(self, persona: str, limit: int) -> list[Record]:
        """See HotTier."""
        with self._lock:
            newest = sorted((at, key) for key, at in self._pending.items() if key.persona == persona)[::-1]
            kept = [self._kept[key] for _, key in newest[:limit]]
            return [Record(MemoryItem.from_json(each.body), each.version) for each in kept if each.body is not None]

    def unarchived(self, key: Key) -> bool:
        """See HotTier."""
        with self._lock:
            return key in self._pending

    def probe(self, persona: str, digest: str) -> Probe:
        """See HotTier."""
        with self._lock:
            generation = self._generations.get(persona, 0)
            return Probe(generation, self._cached("answer", persona, str(generation), digest))

    def cache_answer(self, persona: str, generation: int, digest: str, answer: bytes, seconds: int) -> None:
        """See HotTier."""
        self._keep_cached(answer, seconds, "answer", persona, str(generation), digest)

    def cached_vector(self, digest: str) -> bytes | None:
        """See HotTier."""
        with self._lock:
            return self._cached("vector", digest)

    def cache_vector(self, digest: str, vector: bytes, seconds: int) -> None:
        """See HotTier."""
        self._keep_cached(vector, seconds, "vector", digest)

    def changed(self, personas: Sequence[str]) -> None:
        """See HotTier."""
        with self._lock:
            for persona in personas:
                self._generations[persona] = self._generations.get(persona, 0) + 1

    def take_accesses(self, limit: int) -> list[Access]:
        """See HotTier."""
        with self._lock:
            taken = []
            for key in list(self._dirty)[:limit]:
                self._dirty.discard(key)
                kept = self._live(key)
                if kept and kept.unflushed and kept.last:
                    taken.append(Access(key, kept.unflushed, kept.last))
                    self._kept[key] = replace(kept, count=kept.count + kept.unflushed, unflushed=0)
            return taken

    def stats(self, persona: str) -> HotStats:
        """See HotTier."""
        with self._lock:
            mine = [at for key, at in self._pending.items() if key.persona == persona]
            lag = (self._clock() - min(mine)).total_seconds() if mine else 0.0
            return HotStats(len(self._outbox), len(self._graves), len(mine), lag)

    def ping(self) -> None:
        """See HotTier."""

    def close(self) -> None:
        """See HotTier."""

    def _live(self, key: Key) -> _Kept | None:
        kept = self._kept.get(key)
        if kept and kept.until and kept.until <= self._clock():
            del self._kept[key]
            return None
        return kept

    def _next_version(self, key: Key) -> int:
        micros = int(self._clock().timestamp() * 1_000_000)
        old = self._kept.get(key)
        return max(micros, old.version + 1 if old else 0)

    def _lease(self, queue: dict[Key, datetime], limit: int, lease_seconds: int) -> list[Key]:
        self._nudged = None
        now = self._clock()
        due = sorted((at, key) for key, at in queue.items() if at <= now)[:limit]
        for _, key in due:
            queue[key] = now + timedelta(seconds=lease_seconds)
        return [key for _, key in due]

    def _nudge(self) -> bool:
        now = self._clock()
        if self._nudged and now - self._nudged < NUDGE:
            return False
        self._nudged = now
        return True

    def _cached(self, *name: str) -> bytes | None:
        value, until = self._cache.get(name, (None, None))
        return value if until and until > self._clock() else None

    def _keep_cached(self, value: bytes, seconds: int, *name: str) -> None:
        with self._lock:
            self._cache[name] = (value, self._clock() + timedelta(seconds=seconds))
