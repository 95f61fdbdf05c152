"""The lexical tier on tantivy: one index a persona in a folder that this process alone writes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import threading
from collections import defaultdict
from collections.abc import Collection as Several
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Final

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, Position
from trinitas_tasks.policy.bm25 import Collection
from trinitas_tasks.tiers.lexical.interface import Document, Match, Wanted
from trinitas_tasks.tiers.lexical.space import Broken, Space, analyzer, remove

logger = logging.getLogger(__name__)

FORMAT: Final = 2
"""Raise it when what is indexed, or how, changes: indexes of another format are built again."""
SLOTS: Final = 64


class TantivyLexical:
    """Below ``folder`` each process claims a slot, a folder of its own, for as long as it lives.

    What a slot holds is derived: where it is torn, of another format or foreign, it begins empty. No text is kept in
    it, only terms; those of a deleted memory stay in its files until a segment is merged or all of its memories went.
    Thread-safe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._analyzer = analyzer()
        self._slot: Path | None = None
        self._claim: IO[str] | None = None
        self._spaces: dict[str, Space | None] = {}
        self._position = Position(0, 0)

    def position(self) -> Position:
        """See LexicalTier."""
        with self._lock:
            self._opened()
            return self._position

    def apply(self, documents: Iterable[Document], gone: Sequence[Key], position: Position) -> None:
        """See LexicalTier."""
        added: defaultdict[str, dict[str, Document]] = defaultdict(dict)
        removed: defaultdict[str, set[str]] = defaultdict(set)
        for document in documents:
            persona, id_ = document.item.persona, document.item.id
            added[_named(persona, document.cold)][id_] = document
            removed[_named(persona, not document.cold)].add(id_)
        for key in gone:
            for cold in (False, True):
                removed[_named(key.persona, cold)].add(key.id)
        with self._lock:
            slot = self._opened()
            try:
                for name in {**added, **removed}:
                    self._write(slot, name, added[name], removed[name])
                self._come_to(slot, position)
            except Broken:
                self._begin(slot)
                raise
            except OSError as error:
                raise Unavailable(f"the full-text index {slot} cannot be written: {error}") from error

    def _write(self, slot: Path, name: str, added: dict[str, Document], removed: set[str]) -> None:
        if not added and name not in self._spaces:
            return
        space = self._spaces.get(name) or Space(_folder(slot, name))
        self._spaces[name] = space
        going = space.holding(removed - added.keys())
        if added or going:
            space.write(added.values(), going)

    def search(self, persona: str, wanted: Wanted, limit: int, *, cold: bool = False) -> list[Match]:
        """See LexicalTier."""
        space = self._space(_named(persona, cold))
        return space.search(self._stemmed(wanted), limit) if space else []

    def among(self, persona: str, ids: Several[str], wanted: Wanted, limit: int, *, cold: bool = False) -> list[str]:
        """See LexicalTier."""
        space = self._space(_named(persona, cold))
        return space.among(ids, self._stemmed(wanted), limit) if space else []

    def _stemmed(self, wanted: Wanted) -> Wanted:
        terms: dict[str, float] = {}
        for stem, weight in zip(self.stems(wanted.terms), wanted.terms.values(), strict=True):
            terms[stem] = terms.get(stem, 0.0) + weight
        return Wanted(terms, tuple(tuple(self.stems(each)) for each in wanted.phrases), wanted.filters)

    def stems(self, terms: Iterable[str]) -> list[str]:
        """See LexicalTier."""
        with self._lock:  # analyzing borrows it
            found: list[str] = self._analyzer.analyze(" ".join(terms))
        return found

    def collections(self, persona: str, stems: Iterable[str], *, cold: bool = False) -> tuple[Collection, Collection]:
        """See LexicalTier."""
        space = self._space(_named(persona, cold))
        return space.collections(stems) if space else (Collection(0, 0.0, {}), Collection(0, 0.0, {}))

    def beside(self, persona: str, ids: Iterable[str]) -> set[str]:
        """See LexicalTier."""
        spaces = (self._space(_named(persona, cold)) for cold in (False, True))
        wanted = list(ids)
        return {id_ for space in spaces if space for id_ in space.beside(wanted)}

    def count(self) -> int:
        """See LexicalTier."""
        with self._lock:
            self._opened()
            return sum(space.count for name in self._spaces if (space := self._space(name)))

    def clear(self) -> None:
        """See LexicalTier."""
        with self._lock:
            self._begin(self._opened())

    def close(self) -> None:
        """See LexicalTier."""
        with self._lock:
            self._spaces.clear()
            if self._claim is not None:
                self._claim.close()
            self._claim = self._slot = None

    # The slot: a lock, the position, and a folder an index.

    def _space(self, name: str) -> Space | None:
        with self._lock:
            slot = self._opened()
            if name not in self._spaces:
                return None
            if (space := self._spaces[name]) is None:
                try:
                    self._spaces[name] = space = Space(_folder(slot, name))
                except Broken:
                    self._begin(slot)
                    raise
            return space

    def _opened(self) -> Path:
        if self._slot is None:
            self._slot, self._claim = _claimed(self._folder)
            self._read(self._slot)
        return self._slot

    def _read(self, slot: Path) -> None:
        try:
            kept = json.loads((slot / "position.json").read_text())
            if kept["format"] != FORMAT:
                raise ValueError(f"of format {kept['format']}")
            spaces: dict[str, Space | None] = dict.fromkeys(kept["indexes"])
            if missing := [each for each in spaces if not _folder(slot, each).is_dir()]:
                raise ValueError(f"without {missing}")
            self._spaces, self._position = spaces, Position(*kept["position"])
        except FileNotFoundError:
            self._begin(slot)
        except (ValueError, KeyError, TypeError, OSError) as error:
            logger.warning("the full-text index %s is built again: it is %s", slot, error)
            self._begin(slot)

    def _come_to(self, slot: Path, position: Position) -> None:
        """After all indexes have committed: what a crash leaves out is applied once more."""
        kept = {"format": FORMAT, "position": position, "indexes": sorted(self._spaces)}
        beside = slot / "position.new"
        with beside.open("w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(slot / "position.json")
        self._position = position

    def _begin(self, slot: Path) -> None:
        self._spaces, self._position = {}, Position(0, 0)
        try:
            (slot / "position.json").unlink(missing_ok=True)  # first: what is half deleted must not be believed
            for each in slot.iterdir():
                if each.is_dir():
                    remove(each)
        except OSError as error:
            raise Unavailable(f"the full-text index {slot} cannot be written: {error}") from error


def _claimed(folder: Path) -> tuple[Path, IO[str]]:
    """The first slot that no living process has."""
    try:
        for number in count():
            slot = folder / str(number)
            slot.mkdir(parents=True, exist_ok=True)
            lock = (slot / "lock").open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                if number == SLOTS:
                    break
            else:
                return slot, lock
    except OSError as error:
        raise Unavailable(f"the full-text index {folder} cannot be opened: {error}") from error
    raise Unavailable(f"all {SLOTS} slots of the full-text index {folder} are in use")


def _named(persona: str, cold: bool) -> str:
    """The name of an index: no persona's has a dot."""
    return f"{persona}.cold" if cold else persona


def _folder(slot: Path, name: str) -> Path:
    """Distinct also where the file system ignores case."""
    return slot / f"{name}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"
