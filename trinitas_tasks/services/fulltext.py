"""Full text over everything that is archived: an index that tails the archive, and what it has not reached yet."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection as Several
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, NamedTuple

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, MemoryItem, Position
from trinitas_tasks.policy.bm25 import Collection
from trinitas_tasks.policy.text import index_terms, says, session
from trinitas_tasks.tiers.archive.interface import Archive, Change
from trinitas_tasks.tiers.lexical.interface import Document, LexicalTier, Match, Wanted

logger = logging.getLogger(__name__)

NEIGHBOURS: Final = 2
"""How many memories before and after one tell what it is about (LoCoMo: recall@10 66 % alone, 75 % with two)."""
FRESH: Final = 1000
"""So many changes are searched beside the index; with more of them the search is left to somebody else meanwhile."""
BATCH: Final = 500
"""Changes read at a time."""
COMMITTED: Final = 5000
"""Memories of one commit while an index is built: each commit makes a segment."""


class _Fresh(NamedTuple):
    """A document that is not in the index yet, with the counts of its stems in both fields."""

    document: Document
    fields: tuple[Counter[str], Counter[str]]


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the index is behind the archive, in changes, and how many memories it holds."""

    behind: int
    documents: int


class FullText:
    """Searches by words. Whatever the archive has committed is found at once: the index gets it a second later.

    ``tend`` is to be called again and again, by a thread of its own or between searches. Thread-safe.
    """

    def __init__(self, archive: Archive, lexical: LexicalTier) -> None:
        self._archive = archive
        self._lexical = lexical
        self._tending = threading.Lock()
        self._lock = threading.RLock()
        self._fresh: dict[Key, _Fresh | None] = {}
        self._base = self._seen = Position(0, 0)
        """Where the index was when what it lacks was read, and up to where that has been read."""

    def search(self, persona: str, wanted: Wanted, limit: int, *, cold: bool = False) -> list[Match]:
        """The best of the persona's memories, as LexicalTier. Raises: Unavailable; also while the index is built."""
        fresh = self._caught_up()
        mine = {key.id: each for key, each in fresh.items() if key.persona == persona}
        known = self._lexical.search(persona, wanted, limit + len(mine), cold=cold)
        found = [match for match in known if match.id not in mine]
        beside = [each for each in mine.values() if each is not None and each.document.cold == cold]
        found += self._scored(persona, wanted, beside, cold=cold)
        return sorted(found, key=lambda match: (-match.coverage, match.id))[:limit]

    def score(self, persona: str, wanted: Wanted, items: Iterable[MemoryItem]) -> list[Match]:
        """Those of the given memories, which no archive has yet, that would be found, each without neighbours."""
        mine = [self._alone(item) for item in items if item.persona == persona]
        return self._scored(persona, wanted, mine)

    def _scored(self, persona: str, wanted: Wanted, documents: Sequence[_Fresh], *, cold: bool = False) -> list[Match]:
        if not documents:
            return []
        terms = self._stemmed(wanted)
        return _covering(wanted, terms, self._lexical.collections(persona, terms, cold=cold), documents)

    def lent(
        self, reader: str, owner: str, wanted: Wanted, ids: Several[str], limit: int, *, cold: bool = False
    ) -> list[Match]:
        """The best of these memories of another, by what they say themselves and by how rare a word is among the
        reader's own: what stands beside them, and what else their owner remembers, is not the reader's to know.

        Raises: Unavailable; also while the index is built.
        """
        fresh = {key.id: each for key, each in self._caught_up().items() if key.persona == owner and key.id in ids}
        terms = self._stemmed(wanted)
        own = self._lexical.collections(reader, terms)[0]
        stems = zip(wanted.terms.items(), self._lexical.stems(wanted.terms), strict=True)
        weighed = replace(wanted, terms={term: weight * own.idf(stem) for (term, weight), stem in stems})
        indexed = self._lexical.among(owner, [each for each in ids if each not in fresh], weighed, limit, cold=cold)
        documents = [self._alone(each.item) for each in self._archive.load(owner, indexed) if each is not None]
        documents += [each for each in fresh.values() if each is not None and each.document.cold == cold]
        return sorted(_covering(wanted, terms, [own], documents), key=lambda match: (-match.coverage, match.id))[:limit]

    def lent_newly(self, reader: str, wanted: Wanted, items: Iterable[MemoryItem]) -> list[Match]:
        """The same of memories of another that no archive has yet."""
        terms = self._stemmed(wanted)
        own = self._lexical.collections(reader, terms)[0]
        return _covering(wanted, terms, [own], [self._alone(item) for item in items])

    def _stemmed(self, wanted: Wanted) -> dict[str, float]:
        terms: dict[str, float] = {}
        for stem, weight in zip(self._lexical.stems(wanted.terms), wanted.terms.values(), strict=True):
            terms[stem] = terms.get(stem, 0.0) + weight
        return terms

    def _alone(self, item: MemoryItem) -> _Fresh:
        return self._read(Document(item, index_terms(item), ()))

    # Keeping up.

    def tend(self) -> int:
        """Bring the index up to the archive; how many documents that took. Raises: Unavailable."""
        with self._tending:
            taken = 0
            while self._behind(self._archive.position()) > FRESH:
                taken += self._build()
            self._caught_up()
            with self._lock:
                fresh, seen = self._fresh, self._seen
            if seen != self._lexical.position():
                self._apply(fresh, seen)
                with self._lock:  # what came meanwhile stays
                    self._base = seen
                    self._fresh = {
                        key: each for key, each in self._fresh.items() if key not in fresh or fresh[key] is not each
                    }
            return taken + len(fresh)

    def lag(self) -> Lag:
        """How far the index is behind. Raises: Unavailable."""
        return Lag(self._behind(self._archive.position()), self._lexical.count())

    def close(self) -> None:
        """Give the index back."""
        self._lexical.close()

    def _behind(self, archive: Position) -> int:
        with self._lock:
            index = self._lexical.position()
            if index.epoch not in (0, archive.epoch) or index.change > archive.change:
                logger.warning("the archive is another one: its full-text index is built anew")
                self._lexical.clear()
                index = self._lexical.position()
            if index != self._base or self._seen.epoch != archive.epoch:
                # it was cleared because it was broken, or came on: what it lacks begins elsewhere
                self._base, self._seen, self._fresh = index, Position(archive.epoch, index.change), {}
            return archive.change - index.change

    def _caught_up(self) -> Mapping[Key, _Fresh | None]:
        """What the index lacks: read what others have archived since the last time."""
        archive = self._archive.position()
        with self._lock:
            if (behind := self._behind(archive)) > FRESH:
                raise Unavailable(f"the full-text index is being built: {behind:,} changes to go")
            while self._seen.change < archive.change:
                changes = self._archive.changes(self._seen.change, BATCH)
                if not changes:
                    break
                self._fresh = {**self._fresh, **self._documents(changes, self._fresh)}
                self._seen = Position(archive.epoch, changes[-1].change)
            return self._fresh

    def _build(self) -> int:
        """The next commit of an index that is far behind."""
        epoch, after = self._archive.position().epoch, self._lexical.position().change
        documents: dict[Key, _Fresh | None] = {}
        while len(documents) < COMMITTED and (changes := self._archive.changes(after, BATCH)):
            documents |= self._documents(changes, documents)
            after = changes[-1].change
        self._apply(documents, Position(epoch, after))
        logger.info("full text: %d memories indexed, up to change %d", len(documents), after)
        return len(documents)

    def _apply(self, documents: Mapping[Key, _Fresh | None], position: Position) -> None:
        gone = [key for key, each in documents.items() if each is None]
        self._lexical.apply([each.document for each in documents.values() if each is not None], gone, position)

    # What is indexed of a change: the memory itself, and those beside which it stands, stood or comes to stand.

    def _documents(self, changes: Sequence[Change], fresh: Mapping[Key, _Fresh | None]) -> dict[Key, _Fresh | None]:
        changed = {change.key: change.record.item for change in changes if change.record is not None}
        cold = {change.key for change in changes if change.cold}
        made: dict[Key, _Fresh | None] = {change.key: None for change in changes}
        around = self._around(changed)
        others = {Key(item.persona, item.id): item for near in around.values() for item in near}
        others |= self._stood_beside([change.key for change in changes], fresh)
        others = {key: item for key, item in others.items() if key not in made}
        around |= self._around(others)
        cold |= self._cold(others)
        terms: dict[Key, list[str]] = {}
        for key, item in (changed | others).items():
            made[key] = self._read(_document(item, around.get(key, ()), terms)._replace(cold=key in cold))
        return made

    def _cold(self, keys: Iterable[Key]) -> set[Key]:
        by_persona = groupby(sorted(keys), key=lambda key: key.persona)
        asked = ((persona, [key.id for key in mine]) for persona, mine in by_persona)
        return {Key(persona, id_) for persona, ids in asked for id_ in self._archive.cold(persona, ids)}

    def _around(self, items: Mapping[Key, MemoryItem]) -> dict[Key, list[MemoryItem]]:
        in_session = [key for key, item in items.items() if session(item) is not None]
        found = self._archive.around(in_session, NEIGHBOURS, NEIGHBOURS)
        return {
            key: [record.item for record in (*before, *after)]
            for key, (before, after) in zip(in_session, found, strict=True)
        }

    def _stood_beside(self, keys: Sequence[Key], fresh: Mapping[Key, _Fresh | None]) -> dict[Key, MemoryItem]:
        found: dict[Key, MemoryItem] = {}
        for persona in {key.persona for key in keys}:
            ids = {key.id for key in keys if key.persona == persona}
            beside = self._lexical.beside(persona, ids) | {
                key.id
                for key, each in fresh.items()
                if key.persona == persona and each is not None and not ids.isdisjoint(each.document.neighbours)
            }
            for record in self._archive.load(persona, sorted(beside - ids)):
                if record is not None:
                    found[Key(persona, record.item.id)] = record.item
        return found

    def _read(self, document: Document) -> _Fresh:
        own, around = (Counter(self._lexical.stems(terms)) for terms in (document.own, document.around))
        return _Fresh(document, (own, around))


def _document(item: MemoryItem, near: Sequence[MemoryItem], known: dict[Key, list[str]]) -> Document:
    """``known`` are terms of memories read before: most stand beside several others."""
    for each in (item, *near):
        if (key := Key(each.persona, each.id)) not in known:
            known[key] = index_terms(each)
    beside = [term for other in near for term in known[Key(other.persona, other.id)]]
    return Document(item, known[Key(item.persona, item.id)], [other.id for other in near], beside)


def _covering(
    wanted: Wanted, terms: Mapping[str, float], collections: Sequence[Collection], documents: Sequence[_Fresh]
) -> list[Match]:
    """How much of the question, whose stems these are, each document covers by the fields of the collections."""
    ideal = sum(each.ideal(terms) for each in collections)
    found = []
    for each in documents:
        fields = zip(collections, each.fields, strict=False)
        score = sum(collection.score(terms, counts, counts.total()) for collection, counts in fields)
        if score > 0 and _admits(wanted, each.document.item):
            found.append(Match(each.document.item.id, score / ideal))
    return found


def _admits(wanted: Wanted, item: MemoryItem) -> bool:
    """Phrases are looked at word by word here, not stem by stem: the newest memories only."""
    return wanted.filters.admit(item) and all(says(" ".join(phrase), item) for phrase in wanted.phrases)
