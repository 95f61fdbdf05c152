"""The spool in this process's memory: for tests and for trying things out. It forgets when the process ends."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from trinitas_tasks.model import Key, MemoryItem, utc_now
from trinitas_tasks.tiers.spool.interface import Entry


class MemorySpool:
    """The contract of Spool over lists; ``clock`` may be simulated."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._waiting: list[Entry] = []
        self._said: dict[int, str | None] = {}
        self._marks: dict[Key, Entry] = {}

    def write(self, items: Sequence[tuple[MemoryItem, str | None]], *, above: int) -> tuple[list[str], int]:
        """See Spool."""
        with self._lock:
            version = self._next_version(above)
            ids = []
            for item, dedup in items:
                known = self._known(item, dedup)
                if known is None:
                    self._keep(Key(item.persona, item.id), version, item, dedup)
                    version += 1
                ids.append(known or item.id)
            return ids, version - 1

    def forget(self, keys: Sequence[Key], *, above: int) -> int:
        """See Spool."""
        with self._lock:
            version = self._next_version(above)
            for place, key in enumerate(keys):
                self._keep(key, version + place, None, None)
            return version + len(keys) - 1

    def mark(self, keys: Sequence[Key], version: int) -> None:
        """See Spool."""
        with self._lock:
            for key in keys:
                self._marks[key] = Entry(next(self._numbers), key, version, None, waits=False)

    def latest(self, persona: str, ids: Sequence[str]) -> list[Entry | None]:
        """See Spool."""
        with self._lock:
            found: dict[Key, Entry] = {}
            for entry in (*self._marks.values(), *self._waiting):
                standing = found.get(entry.key)
                if standing is None or standing.version < entry.version:
                    found[entry.key] = entry
            return [found.get(Key(persona, each)) for each in ids]

    def pending(self, persona: str, limit: int) -> list[Entry]:
        """See Spool."""
        with self._lock:
            newest: dict[Key, Entry] = {}
            for entry in reversed(self._waiting):
                if entry.key.persona == persona:
                    newest.setdefault(entry.key, entry)
            return [entry for entry in newest.values() if entry.item is not None][:limit]

    def take(self, limit: int, *, after: int = 0) -> list[Entry]:
        """See Spool."""
        with self._lock:
            return [entry for entry in self._waiting if entry.number > after][:limit]

    def keep(self, entries: Sequence[Entry]) -> None:
        """See Spool."""
        with self._lock:
            for each in entries:
                self._keep(each.key, each.version, each.item, None)

    def done(self, entries: Sequence[Entry]) -> None:
        """See Spool."""
        with self._lock:
            numbers = {entry.number for entry in entries}
            self._waiting = [entry for entry in self._waiting if entry.number not in numbers]
            self._marks |= {entry.key: entry._replace(waits=False) for entry in entries}

    def waiting(self) -> int:
        """See Spool."""
        return len(self._waiting)

    def unreadable(self) -> int:
        """See Spool."""
        return 0

    def empty(self) -> bool:
        """See Spool."""
        return not self._waiting

    def close(self) -> None:
        """See Spool."""

    def _keep(self, key: Key, version: int, item: MemoryItem | None, dedup: str | None) -> None:
        number = next(self._numbers)
        self._waiting.append(Entry(number, key, version, item))
        self._said[number] = dedup

    def _known(self, item: MemoryItem, dedup: str | None) -> str | None:
        same = self.latest(item.persona, [item.id])[0]
        if same is not None and same.item is not None and same.item.to_json() == item.to_json():
            return item.id
        for entry in self._waiting if dedup is not None else ():
            newest = self.latest(item.persona, [entry.key.id])[0]
            if entry.key.persona == item.persona and self._said[entry.number] == dedup and newest == entry:
                return entry.key.id
        return None

    def _next_version(self, above: int) -> int:
        highest = max((entry.version for entry in (*self._waiting, *self._marks.values())), default=0)
        return max(int(self._clock().timestamp() * 1_000_000), above + 1, highest + 1)
