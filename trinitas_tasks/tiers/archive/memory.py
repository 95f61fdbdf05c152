"""The archive in this process's memory, for tests and for trying things out; gone when the process ends."""

from __future__ import annotations

import itertools
import math
import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
from pydantic import JsonValue

from trinitas_tasks.model import Key, Position, Record, utc_now
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.chronology import Place, Span, Stretch
from trinitas_tasks.policy.text import session
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.interface import (
    EVERYTHING,
    UNFILTERED,
    ArchiveStats,
    Change,
    Listed,
    Match,
    Row,
)
from trinitas_tasks.tiers.archive.memory_held import Held
from trinitas_tasks.tiers.archive.memory_indexed import MemoryIndexed
from trinitas_tasks.tiers.archive.rows import highest, key_of

K1: Final = 1.2
B: Final = 0.75


class MemoryArchive(MemoryIndexed):
    """An archive of dictionaries; safe to share between threads."""

    def __init__(self) -> None:
        super().__init__()
        self._seq = itertools.count(1)
        self._epoch = 1 + secrets.randbelow(1 << 62)
        self._gone: dict[Key, int] = {}

    def store(self, rows: Sequence[Row]) -> list[int]:
        """See Archive."""
        now = utc_now()
        bodies = [row.record.item.to_json() for row in rows]
        with self._lock:
            for row, body in zip(rows, bodies, strict=True):
                self._store(key_of(row), row, body, now)
            return [self._standing(key_of(row), row.record.version) for row in rows]

    def _standing(self, key: Key, version: int) -> int:
        held = self._memories.get(key)
        return held.version if held else max(self._erased[key], version + 1)

    def _store(self, key: Key, row: Row, body: bytes, now: datetime) -> None:
        item, version = row.record
        held = self._memories.get(key)
        if (key in self._erased and version <= self._erased[key]) or (held is not None and version < held.version):
            return
        if held is None or held.version < version:
            newer = Held(
                seq=0,
                version=version,
                change=self._change(),
                type=item.type,
                body=body,
                archived_at=now,
                access_count=item.access_count,
                last_access=item.last_access,
                terms=Counter(row.terms),
            )
            if held is None:
                newer.seq = next(self._seq)
            else:
                newer.keep_of(held)
                if not newer.says_the_same(held):
                    self._unlink(key)
            self._memories[key] = held = newer
        self._add_vectors(held, row)
        self._erased.pop(key, None)
        self._gone.pop(key, None)
        self._drop_letters(key, version)

    def _add_vectors(self, held: Held, row: Row) -> None:
        """Those of parts that it lacks."""
        kept = held.vectors.get(row.model)
        if not len(row.vectors):
            return
        if kept is None:
            held.vectors[row.model] = np.array(row.vectors, dtype=np.float32)
        elif len(kept) < len(row.vectors):
            held.vectors[row.model] = np.concatenate([kept, row.vectors[len(kept) :]])
            held.indexed.discard(row.model)

    def listed(self, after: int, limit: int, naming: Naming) -> list[Listed]:
        """See Archive."""
        with self._lock:
            following = (
                Listed(
                    held.seq,
                    key,
                    held.version,
                    embedded=(model := naming.of(key.persona)) in held.vectors,
                    indexed=model in held.indexed,
                    parts=len(held.vectors.get(model, ())),
                    cold=held.cold,
                )
                for key, held in self._by_seq()
                if held.seq > after
            )
            return list(itertools.islice(following, limit))

    def load(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """See Archive."""
        with self._lock:
            held = [self._memories.get(Key(persona, id_)) for id_ in ids]
            return [memory.record if memory else None for memory in held]

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See Archive."""
        with self._lock:
            held = [self._memories.get(Key(persona, id_)) for id_ in ids]
            return [memory.version if memory else None for memory in held]

    def highest(self) -> int:
        """See Archive."""
        with self._lock:
            versions = [memory.version for memory in self._memories.values()] + [*self._erased.values()]
            granted = [each.version for marks in self._grants.values() for each in marks.values()]
            return max(versions + granted, default=0)

    def personas(self) -> list[str]:
        """See Archive."""
        with self._lock:
            return sorted({key.persona for key in self._memories})

    def position(self) -> Position:
        """See Archive."""
        return Position(self._epoch, self._changed)

    def changes(self, after: int, limit: int) -> list[Change]:
        """See Archive."""
        with self._lock:
            stored = [
                Change(held.change, key, held.record, held.cold)
                for key, held in self._memories.items()
                if held.change > after
            ]
            erased = [Change(change, key, None) for key, change in self._gone.items() if change > after]
        return sorted(stored + erased, key=lambda each: each.change)[:limit]

    def around(self, keys: Sequence[Key], before: int, after: int) -> list[tuple[list[Record], list[Record]]]:
        """See Archive."""
        with self._lock:
            return [self._around(key, before, after) for key in keys]

    def _around(self, key: Key, before: int, after: int) -> tuple[list[Record], list[Record]]:
        held = self._memories.get(key)
        named = held and session(held.record.item)
        if named is None:
            return [], []
        mine = [(held.seq, held.record) for other, held in self._memories.items() if other.persona == key.persona]
        turns = sorted(
            ((record.item.timestamp, seq, record) for seq, record in mine if session(record.item) == named),
            key=lambda turn: turn[:2],
        )
        at = next(place for place, (_, _, record) in enumerate(turns) if record.item.id == key.id)
        records = [record for _, _, record in turns]
        return records[max(at - before, 0) : at], records[at + 1 : at + 1 + after]

    def erase(self, keys: Sequence[tuple[Key, int]]) -> list[int | None]:
        """See Archive."""
        with self._lock:
            for key, version in highest(keys).items():
                self._drop_letters(key, version)
                self._end_grants(key, version)
                held = self._memories.get(key)
                if held is None or held.version <= version:
                    self._memories.pop(key, None)
                    if self._erased.get(key, version - 1) < version:
                        self._erased[key], self._gone[key] = version, self._change()
                    self._end_life(key)
            left = [self._memories.get(key) for key, _ in keys]
            return [held.version if held else None for held in left]

    def search_text(
        self, persona: str, terms: Sequence[str], limit: int, *, filters: Filters = UNFILTERED
    ) -> list[Match]:
        """See Archive; BM25 after Robertson and Zaragoza (2009), over the persona's own memories."""
        with self._lock:
            mine = [(key.id, held) for key, held in self._memories.items() if key.persona == persona]
        wanted = set(terms)
        holders = Counter(term for _, held in mine for term in wanted & held.terms.keys())
        mean = sum(held.terms.total() for _, held in mine) / max(len(mine), 1)

        def score(held: Held) -> float:
            norm = K1 * (1 - B + B * held.terms.total() / mean)
            return sum(
                math.log1p((len(mine) - holders[term] + 0.5) / (holders[term] + 0.5))
                * (held.terms[term] * (K1 + 1) / (held.terms[term] + norm))
                for term in wanted & held.terms.keys()
            )

        found = [
            (-score(held), held.seq, id_) for id_, held in mine if wanted & held.terms.keys() and held.admitted(filters)
        ]
        return [Match(id_, -cost) for cost, _, id_ in sorted(found)[:limit]]

    def matching(self, persona: str, filters: Filters, limit: int) -> list[str]:
        """See Archive."""
        with self._lock:
            mine = [held for key, held in self._memories.items() if key.persona == persona and held.admitted(filters)]
            newest = sorted(mine, key=lambda held: (held.record.item.timestamp, held.seq), reverse=True)
            return [held.record.item.id for held in newest[:limit]]

    def timeline(
        self,
        persona: str,
        span: Span,
        limit: int,
        *,
        filters: Filters = EVERYTHING,
        shared: Sequence[Key] = (),
    ) -> Stretch:
        """See Reader."""
        wanted = set(shared)
        with self._lock:
            its = {
                Place.of(held.record.item): held
                for key, held in self._memories.items()
                if (key.persona == persona or key in wanted) and held.admitted(filters)
            }
            places = span.first((place for place in its if span.holds(place)), limit)
            return Stretch([its[place].record for place in places], places[-1] if len(places) == limit else None)

    def stats(self, persona: str) -> ArchiveStats:
        """See Archive."""
        with self._lock:
            mine = [held for key, held in self._memories.items() if key.persona == persona]
            return ArchiveStats(
                by_type=dict(Counter(held.type for held in mine)),
                unindexed=sum(not held.vectors.keys() <= held.indexed for held in mine),
                dead_letters=sum(key.persona == persona for key, _ in self._dead),
            )

    def facts(self) -> dict[str, JsonValue]:
        """See Archive."""
        return {"where": "this process's memory", "full": False}

    def ping(self) -> None:
        """See Archive."""

    def close(self) -> None:
        """See Archive."""
