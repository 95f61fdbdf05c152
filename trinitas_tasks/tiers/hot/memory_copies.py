"""What stands in the in-memory tier, and the copies among it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.hot.books import CopyBooks
from trinitas_tasks.tiers.hot.interface import Copies, Gone
from trinitas_tasks.tiers.hot.memory_living import MemoryLiving
from trinitas_tasks.tiers.hot.rows import copy_bytes, member_of, pack


@dataclass(frozen=True, slots=True)
class Kept:
    body: bytes | None  # None: forgotten; not the item, whose content its owner may change
    version: int
    until: datetime | None = None  # None: the only copy
    count: int = 0
    last: datetime | None = None
    slides: timedelta | None = None


class MemoryCopies(MemoryLiving):
    """That part of MemoryHotTier which reads records and keeps copies, ``limit`` bytes of them at most."""

    def __init__(self, clock: Callable[[], datetime], limit: int) -> None:
        super().__init__(clock)
        self._kept: dict[Key, Kept] = {}
        self._books = CopyBooks(limit)

    def _forgotten(self, key: Key) -> int:
        kept = self._live(key)
        return kept.version if kept and kept.body is None else 0

    def _read(self, key: Key, touch: bool) -> Record | Gone | None:
        if (kept := self._live(key)) is None:
            return None
        if (body := kept.body) is None:
            return Gone()
        if touch:
            kept = self._touched(key, kept)
        return Record(MemoryItem.from_json(body, access_count=kept.count, last_access=kept.last), kept.version)

    def _touched(self, key: Key, kept: Kept) -> Kept:
        now = self._clock()
        kept = replace(kept, count=kept.count + 1, last=now)
        if kept.until and kept.slides:
            kept = replace(kept, until=max(kept.until, now + kept.slides))  # it may have been warmed for longer
        if kept.until:
            self._books.used(key, kept.count)
            self._books.lasts(key, kept.until)
        self._kept[key] = kept
        self._used(key, now)
        return kept

    def refill(self, records: Sequence[tuple[Record, int]], *, asked: bool = True) -> None:
        """See HotTier."""
        with self._lock:
            self._drop_what_is_over()
            for record, seconds in records:
                self._refill(record, timedelta(seconds=seconds), asked)

    def _refill(self, record: Record, time: timedelta, asked: bool) -> None:
        item = record.item
        key = Key(item.persona, item.id)
        if (known := self._live(key)) is not None:
            if not asked:
                self._prolong(key, known, time)
            return
        count, last = self._reads_of(item)
        kept = Kept(item.to_json(), record.version, None, count, last, time)
        if self._keep_copy(key, kept, time, count + asked, asked=asked):  # it is read next
            self._fetched |= {key} if asked else set()
        elif asked:  # nobody will find it here, so it is counted now
            self._used(key, self._clock())
            self._reads[key.persona, "read"] += 1
            self._reads[key.persona, "fetched"] += 1

    def _reads_of(self, item: MemoryItem) -> tuple[int, datetime]:
        """Of an archived one: with those that are not settled yet."""
        use = self._uses.get(Key(item.persona, item.id))
        if use is None:
            return item.access_count, item.last_access
        return item.access_count + use.count, max(item.last_access, use.last)

    def _prolong(self, key: Key, kept: Kept, time: timedelta) -> None:
        """A copy that is warmed lasts as long as one that is made now."""
        if kept.until and kept.slides and kept.body is not None:
            until = max(kept.until, self._clock() + time)
            self._kept[key] = replace(kept, until=until)
            self._books.lasts(key, until)

    def copies(self) -> Copies:
        """See Living."""
        with self._lock:
            self._drop_what_is_over()
            for key in self._books.shrink():
                self._drop(key)
            books = self._books
            return Copies(len(books.sizes), books.bytes, books.limit, books.evicted)

    def _keep_copy(self, key: Key, kept: Kept, time: timedelta, reads: int, *, asked: bool = False) -> bool:
        """Whether there was room for it."""
        size = copy_bytes(member_of(key), pack(kept.body or b""))
        if (victims := self._books.room(size, reads, asked=asked)) is None:
            return False
        for each in victims:
            self._drop(each)
        until = self._clock() + time
        self._kept[key] = replace(kept, until=until)
        self._books.enter(key, size, reads, until)
        return True

    def _live(self, key: Key) -> Kept | None:
        kept = self._kept.get(key)
        if kept and kept.until and kept.until <= self._clock():
            self._drop(key)
            return None
        return kept

    def _ends(self, key: Key) -> datetime | None:
        kept = self._live(key)
        return kept.until if kept and kept.body is not None else None

    def _drop(self, key: Key) -> None:
        self._kept.pop(key, None)
        self._books.strike(key)
        self._leaving.discard(key)
        self._fetched.discard(key)

    def _drop_what_is_over(self) -> None:
        for key in self._books.over(self._clock()):
            self._live(key)

    def _under(self, key: Key, version: int) -> Kept | None:
        kept = self._live(key)
        return kept if kept and kept.version == version else None
