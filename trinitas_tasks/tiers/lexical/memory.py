"""The lexical tier in this process's memory, for tests and for trying things out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Several
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trinitas_tasks.model import Key, MemoryItem, Position
from trinitas_tasks.policy.bm25 import Collection
from trinitas_tasks.tiers.lexical.interface import Document, Match, Wanted


class _Held(NamedTuple):
    item: MemoryItem
    cold: bool
    own: list[str]
    neighbours: frozenset[str]
    fields: tuple[Counter[str], Counter[str]]


class MemoryLexical:
    """An index of dictionaries, whose stems are the terms without a plural's ``s``."""

    def __init__(self) -> None:
        self._position = Position(0, 0)
        self._held: dict[Key, _Held] = {}

    def position(self) -> Position:
        """See LexicalTier."""
        return self._position

    def apply(self, documents: Iterable[Document], gone: Sequence[Key], position: Position) -> None:
        """See LexicalTier."""
        held = dict(self._held)
        for key in gone:
            held.pop(key, None)
        for each in documents:
            own = self.stems(each.own)
            fields = (Counter(own), Counter(self.stems(each.around)))
            held[Key(each.item.persona, each.item.id)] = _Held(
                each.item, each.cold, own, frozenset(each.neighbours), fields
            )
        self._held, self._position = held, position

    def search(self, persona: str, wanted: Wanted, limit: int, *, cold: bool = False) -> list[Match]:
        """See LexicalTier."""
        terms = _stemmed(self, wanted)
        collections = self.collections(persona, terms, cold=cold)
        ideal = sum(each.ideal(terms) for each in collections)
        phrases = [self.stems(phrase) for phrase in wanted.phrases]
        found = []
        for held in self._of(persona, cold):
            if not wanted.filters.admit(held.item) or not all(_stands(phrase, held.own) for phrase in phrases):
                continue
            scores = [
                each.score(terms, counts, counts.total()) for each, counts in zip(collections, held.fields, strict=True)
            ]
            if (score := sum(scores)) > 0:
                found.append(Match(held.item.id, score / ideal))
        return sorted(found, key=lambda match: (-match.coverage, match.id))[:limit]

    def among(self, persona: str, ids: Several[str], wanted: Wanted, limit: int, *, cold: bool = False) -> list[str]:
        """See LexicalTier."""
        terms, phrases = _stemmed(self, wanted), [self.stems(phrase) for phrase in wanted.phrases]
        found = [
            (-weight, held.item.id)
            for held in self._of(persona, cold)
            if held.item.id in ids
            and wanted.filters.admit(held.item)
            and all(_stands(phrase, held.own) for phrase in phrases)
            if (weight := sum(terms[term] for term in terms.keys() & held.fields[0].keys()))
        ]
        return [id_ for _, id_ in sorted(found)[:limit]]

    def stems(self, terms: Iterable[str]) -> list[str]:
        """See LexicalTier."""
        return [term.removesuffix("s") if len(term) > 3 else term for term in terms]

    def collections(self, persona: str, stems: Iterable[str], *, cold: bool = False) -> tuple[Collection, Collection]:
        """See LexicalTier."""
        mine, wanted = self._of(persona, cold), list(stems)
        own, around = (_collection([held.fields[place] for held in mine], wanted) for place in (0, 1))
        return own, around

    def _of(self, persona: str, cold: bool) -> list[_Held]:
        return [held for key, held in self._held.items() if key.persona == persona and held.cold == cold]

    def beside(self, persona: str, ids: Iterable[str]) -> set[str]:
        """See LexicalTier."""
        wanted = set(ids)
        mine = (held for cold in (False, True) for held in self._of(persona, cold))
        return {held.item.id for held in mine if held.neighbours & wanted}

    def count(self) -> int:
        """See LexicalTier."""
        return len(self._held)

    def clear(self) -> None:
        """See LexicalTier."""
        self._held, self._position = {}, Position(0, 0)

    def close(self) -> None:
        """See LexicalTier."""


def _stemmed(tier: MemoryLexical, wanted: Wanted) -> dict[str, float]:
    weights: Counter[str] = Counter()
    for stem, weight in zip(tier.stems(wanted.terms), wanted.terms.values(), strict=True):
        weights[stem] += weight  # type: ignore[assignment] # weights need not be whole
    return dict(weights)


def _collection(texts: Sequence[Counter[str]], stems: Iterable[str]) -> Collection:
    mean = sum(text.total() for text in texts) / max(len(texts), 1)
    return Collection(len(texts), mean, {stem: sum(stem in text for text in texts) for stem in stems})


def _stands(phrase: Sequence[str], text: Sequence[str]) -> bool:
    width = len(phrase)
    return any(text[start : start + width] == list(phrase) for start in range(len(text) - width + 1))
