"""What tasks did to memories and could not do, what must be told of it, and how far they have come, as `MemoryArchive`
keeps it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive import turning
from trinitas_tasks.tiers.archive.interface import DeadLetter, Run
from trinitas_tasks.tiers.archive.lives import LINKED, Audit, Consolidation, Turn
from trinitas_tasks.tiers.archive.memory_lives import MemoryLives
from trinitas_tasks.tiers.archive.rows import ENCODER, KEPT_RUNS


class MemoryDone(MemoryLives):
    """That part of the contract of Archive over dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._done: dict[int, Consolidation] = {}
        self._numbered = 0
        self._audits: list[Audit] = []
        self._marks: dict[str, int] = {}
        self._dead: dict[tuple[Key, int], DeadLetter] = {}
        self._runs: defaultdict[str, list[Run]] = defaultdict(list)

    def consolidate(self, done: Sequence[Consolidation], turns: Sequence[Turn]) -> list[Consolidation]:
        """See Lives."""
        with self._lock:
            before = {(each.kind, each.key, each.version) for each in self._done.values()}
            wanted = turning.first_of_each(done, self._versions())
            new = [each for each in wanted if (each.kind, each.key, each.version) not in before]
            numbered = [self._number(each) for each in new]
            self.turn(turning.left_to_take(turns, done, new))
            return numbered

    def consolidations(
        self, *, persona: str | None = None, key: Key | None = None, seq: int | None = None, limit: int = 100
    ) -> list[Consolidation]:
        """See Lives."""
        with self._lock:
            meant = [
                each
                for each in self._done.values()
                if persona in (None, each.key.persona) and key in (None, each.key) and seq in (None, each.seq)
            ]
        return meant[::-1][:limit]

    def undo(self, seq: int, at: datetime, turns: Sequence[Turn]) -> bool:
        """See Lives."""
        with self._lock:
            if seq not in self._done or self._done[seq].undone_at is not None:
                return False
            self._done[seq] = self._done[seq]._replace(undone_at=at)
            self.turn(turns)
            return True

    def audit(self, entries: Sequence[Audit]) -> None:
        """See Lives."""
        with self._lock:
            self._audits += entries

    def audits(self, limit: int, *, persona: str | None = None, key: Key | None = None) -> list[Audit]:
        """See Lives."""
        with self._lock:
            meant = [each for each in self._audits if persona in (None, each.key.persona) and key in (None, each.key)]
        return meant[::-1][:limit]

    def mark(self, name: str) -> int:
        """See Lives."""
        return self._marks.get(name, 0)

    def put_mark(self, name: str, value: int) -> None:
        """See Lives."""
        self._marks[name] = value

    def bury_dead(self, letters: Sequence[DeadLetter]) -> None:
        """See Archive."""
        with self._lock:
            for letter in letters:
                if letter.key not in self._erased or self._erased[letter.key] < letter.version:
                    self._dead[letter.key, letter.version] = letter

    def dead(self, limit: int, persona: str | None = None) -> list[DeadLetter]:
        """See Archive."""
        with self._lock:
            mine = [letter for letter in self._dead.values() if persona in (None, letter.key.persona)]
        return sorted(mine, key=lambda letter: (letter.at, letter.key, letter.version))[:limit]

    def drop_dead(self, keys: Sequence[tuple[Key, int]]) -> int:
        """See Archive."""
        with self._lock:
            return sum(self._dead.pop(named, None) is not None for named in keys)

    def log_run(self, run: Run) -> None:
        """See Archive."""
        with self._lock:
            kept = [*self._runs[run.task], run]
            self._runs[run.task] = sorted(kept, key=lambda each: each.started)[-KEPT_RUNS:]

    def runs(self, task: str, limit: int) -> list[Run]:
        """See Archive."""
        with self._lock:
            return self._runs[task][::-1][:limit]

    def _drop_letters(self, key: Key, version: int) -> None:
        self._dead = {of: letter for of, letter in self._dead.items() if of[0] != key or of[1] > version}

    def _number(self, one: Consolidation) -> Consolidation:
        self._numbered += 1
        kept = one._replace(seq=self._numbered, undone_at=None)
        self._done[self._numbered] = kept._replace(before=_copied(one.before), after=_copied(one.after))
        return kept

    def _unlink(self, key: Key) -> list[Key]:
        linked = super()._unlink(key)
        self._done = {
            seq: each
            for seq, each in self._done.items()
            if each.kind != LINKED or each.undone_at is not None or each.key not in linked
        }
        return linked

    def _end_life(self, key: Key) -> None:
        super()._end_life(key)
        self._done = {seq: each for seq, each in self._done.items() if each.key != key}


def _copied(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    copied: dict[str, JsonValue] = json.loads(ENCODER.encode(dict(values)))
    return copied
