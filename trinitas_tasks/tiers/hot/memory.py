"""The hot tier in the process's own memory: for tests and for trying things out. It forgets when the process ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from trinitas_tasks.errors import Overloaded
from trinitas_tasks.model import Key, MemoryItem, Record, utc_now
from trinitas_tasks.policy.chronology import Place, Span, Stretch
from trinitas_tasks.tiers.hot.caches import Expiring
from trinitas_tasks.tiers.hot.interface import (
    Claimed,
    Counts,
    Finished,
    Forgotten,
    Grave,
    HotStats,
    Replaced,
    Standing,
    Write,
    Written,
)
from trinitas_tasks.tiers.hot.memory_copies import Kept, MemoryCopies
from trinitas_tasks.tiers.hot.memory_grants import GRAVE_MARK

SCAN_STEPS = 4


class MemoryHotTier(MemoryCopies):
    """The contract of HotTier over dictionaries; ``clock`` may be simulated."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        dedup_seconds: int = 60,
        outbox_limit: int = 1_000_000,
        cache_mb: float = 100,
    ) -> None:
        super().__init__(clock, int(cache_mb * (1 << 20)))
        self._dedup_seconds = dedup_seconds
        self._outbox_limit = outbox_limit
        self._outbox: dict[Key, datetime] = {}
        self._graves: dict[Key, datetime] = {}
        self._pending: dict[Key, datetime] = {}
        self._said: Expiring[tuple[str, str], tuple[str, int]] = Expiring(clock)
        self._written = 0

    @property
    def fence(self) -> int:
        """See HotTier."""
        return self._highest

    def write(self, writes: Sequence[Write], *, above: int = 0) -> Written:
        """See HotTier."""
        with self._lock:
            written = [self._write(write, above) for write in writes]
            fresh = sum(is_fresh for _, is_fresh in written)
            versions = tuple(kept.version if (kept := self._live(key)) else 0 for key, _ in written)
            ids, nudge = tuple(key.id for key, _ in written), fresh > 0 and self._nudge()
            return Written(ids, fresh, nudge, max(versions, default=0), versions)

    def _write(self, write: Write, above: int) -> tuple[Key, bool]:
        key, replayed = Key(write.item.persona, write.item.id), write.version or 0
        said = (key.persona, write.dedup) if write.dedup and not replayed else None
        if said and (known := self._known(*said)):
            return known, False
        old, body = self._live(key), write.item.to_json()
        if old and (replayed <= old.version if replayed else old.body == body):
            return key, False
        if len(self._outbox) >= self._outbox_limit:
            raise Overloaded(f"{self._outbox_limit} memories wait to be archived")
        self._drop(key)
        self._kept[key] = Kept(body, self._version(old, replayed, above))
        if old and old.body is None:
            self._mark_left(key, old.version)
        self._outbox[key] = self._pending[key] = self._clock()
        self._graves.pop(key, None)
        self.changed([key.persona, *self._grantees(key)])
        if said:
            self._said.keep(said, (key.id, self._kept[key].version), self._dedup_seconds)
        self._written += 1
        return key, True

    def _known(self, persona: str, said: str) -> Key | None:
        """The memory that says so, unless it says something else by now."""
        if (known := self._said.get((persona, said))) is None:
            return None
        memory_id, version = known
        first = self._live(key := Key(persona, memory_id))
        return key if first is None or (first.body is not None and first.version == version) else None

    def _version(self, old: Kept | None, replayed: int, above: int) -> int:
        """The version of a change: of a replayed one its own, else greater than all that is known."""
        if not replayed:
            return self._next(max(above, old.version if old else 0))
        self.advance(replayed)
        return replayed

    def replace(
        self, item: MemoryItem, version: int, *, generation: int | None = None, above: int = 0, tells: bool = False
    ) -> Replaced:
        """See Living."""
        with self._lock:
            key = Key(item.persona, item.id)
            old = self._live(key)
            if old and (old.body is None or old.version != version):
                return Replaced(0)
            if generation not in (None, self.probe(key.persona, "").generation):
                return Replaced(0)
            self._write(Write(item), max(above, version))
            count, last = (old.count, old.last) if old else self._reads_of(item)
            self._kept[key] = replace(self._kept[key], count=count, last=last)
            return Replaced(self._kept[key].version, tells and self._nudge())

    def forget(self, keys: Sequence[Key], *, versions: Sequence[int] = (), above: int = 0) -> Forgotten:
        """See HotTier."""
        with self._lock:
            replayed = versions or [0] * len(keys)
            changed = [self._forget(key, version, above) for key, version in zip(keys, replayed, strict=True)]
            version = max((self._kept[key].version for key in keys), default=0)
            return Forgotten(any(changed) and self._nudge(), version)

    def _forget(self, key: Key, replayed: int, above: int) -> bool:
        old = self._live(key)
        if replayed and old and replayed <= old.version:
            return False
        before = self._highest
        version = self._version(old, replayed, above)
        self._drop(key)
        self._drop_noted(key)
        self._kept[key] = Kept(None, version)
        self._end_grants(key, max(version, before + 1))
        self._outbox.pop(key, None)
        self._pending.pop(key, None)
        self._graves[key] = self._clock()
        self.changed([key.persona])
        return True

    def claim(self, limit: int, lease_seconds: int) -> list[Claimed]:
        """See HotTier."""
        with self._lock:
            leased = [(key, self._kept[key]) for key in self._lease(self._outbox, limit, lease_seconds)]
            return [Claimed(key, kept.version, kept.body) for key, kept in leased if kept.body is not None]

    def claim_graves(self, limit: int, lease_seconds: int) -> list[Grave]:
        """See HotTier."""
        with self._lock:
            return [Grave(key, self._kept[key].version) for key in self._lease(self._graves, limit, lease_seconds)]

    def finish(self, done: Sequence[Finished]) -> list[bool]:
        """See HotTier."""
        with self._lock:
            self._drop_what_is_over()
            return [self._finish(each) for each in done]

    def _finish(self, done: Finished) -> bool:
        key = done.key
        if (kept := self._under(key, done.version)) is None:
            return False
        self._outbox.pop(key, None)
        self._pending.pop(key, None)
        if done.seconds == 0:
            self._drop(key)
        elif kept.until is None:
            self._arm(key, kept, timedelta(seconds=done.seconds), done.slides)
        self.changed([key.persona, *self._grantees(key)])
        return True

    def _arm(self, key: Key, kept: Kept, time: timedelta, slides: bool) -> None:
        self._drop(key)
        if self._keep_copy(key, replace(kept, slides=time if slides else None), time, kept.count):
            self._leaving.add(key)

    def bury(self, graves: Sequence[Grave], *, superseded: Sequence[Grave] = ()) -> None:
        """See HotTier."""
        with self._lock:
            for grave in graves:
                if kept := self._buried(grave):
                    self._kept[grave.key] = replace(kept, until=self._clock() + GRAVE_MARK)
            for grave in superseded:
                if self._buried(grave):
                    self._drop(grave.key)
                    self.changed([grave.key.persona])

    def _buried(self, grave: Grave) -> Kept | None:
        kept = self._under(grave.key, grave.version)
        if kept is None or kept.body is not None:
            return None
        self._graves.pop(grave.key, None)
        return kept

    def give_back(self, keys: Sequence[tuple[Key, int]], seconds: float) -> None:
        """See HotTier."""
        with self._lock:
            due = self._clock() + timedelta(seconds=seconds)
            for key, version in keys:
                kept = self._under(key, version)
                if kept and key in (queue := self._queue(kept)):
                    queue[key] = due

    def requeue(self, keys: Sequence[tuple[Key, int]]) -> None:
        """See HotTier."""
        with self._lock:
            for key, version in keys:
                if (kept := self._under(key, version)) is None:
                    continue
                self._drop(key)
                self._kept[key] = replace(kept, until=None, slides=None)
                self._queue(kept)[key] = self._clock()
                if kept.body is not None:
                    self._pending[key] = self._clock()
                    self.changed([key.persona])

    def standings(self, keys: Sequence[Key]) -> list[Standing | None]:
        """See HotTier."""
        with self._lock:
            return [self._standing(key) for key in keys]

    def _standing(self, key: Key) -> Standing | None:
        if (kept := self._live(key)) is None:
            return None
        gone = kept.body is None
        copy = kept.until is not None and not gone
        return Standing(key, kept.version, gone=gone, copy=copy, queued=key in self._queue(kept))

    def scan(self, cursor: int, count: int) -> tuple[int, list[Standing]]:  # noqa: ARG002 - a hint, to Redis too
        """See HotTier. In four steps, whatever is written or forgotten meanwhile."""
        with self._lock:
            some = [key for key in self._kept if hash(key) % SCAN_STEPS == cursor]
            return (cursor + 1) % SCAN_STEPS, [each for key in some if (each := self._standing(key))]

    def counts(self) -> Counts:
        """See Counting."""
        with self._lock:
            now, copies, reads = self._clock(), self.copies(), self.reads()
            overdue = max(((now - due).total_seconds() for due in self._outbox.values()), default=0.0)
            return Counts(
                *(len(self._outbox), len(self._graves), max(0.0, overdue), self._written),
                *(sum(each.read for each in reads), sum(each.fetched for each in reads)),
                *(sum(each.asked for each in self.searches()), copies.count, copies.bytes),
            )

    def due(self) -> bool:
        """See HotTier."""
        with self._lock:
            now = self._clock()
            return any(due <= now for queue in (self._outbox, self._graves, self._granting) for due in queue.values())

    def pending(self, persona: str, limit: int) -> list[Record]:
        """See HotTier."""
        with self._lock:
            newest = sorted((at, key) for key, at in self._pending.items() if key.persona == persona)[::-1]
            kept = [self._kept[key] for _, key in newest[:limit]]
            return [Record(MemoryItem.from_json(each.body), each.version) for each in kept if each.body is not None]

    def waiting(self, persona: str, span: Span, limit: int) -> Stretch:
        """See Times."""
        with self._lock:
            mine = [self._read(key, touch=False) for key in self._pending if key.persona == persona]
            records = {Place.of(each.item): each for each in mine if isinstance(each, Record)}
            places = span.first((place for place in records if span.holds(place)), limit)
            return Stretch([records[place] for place in places], places[-1] if len(places) == limit else None)

    def places(self, keys: Sequence[Key]) -> list[Place]:
        """See Times."""
        with self._lock:
            found = [self._read(key, touch=False) for key in keys if key in self._pending]
            return [Place.of(each.item) for each in found if isinstance(each, Record)]

    def unarchived(self, key: Key) -> bool:
        """See HotTier."""
        with self._lock:
            return key in self._pending

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

    def _queue(self, kept: Kept) -> dict[Key, datetime]:
        return self._graves if kept.body is None else self._outbox
