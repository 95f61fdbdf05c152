"""The lexical tier: finds by words. Terms only, no text; it tails the archive and can always be rebuilt from it."""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from trinitas_tasks.model import Key, MemoryItem, Position
from trinitas_tasks.policy.bm25 import Collection
from trinitas_tasks.query import Filters

FIELDS = ("own", "around")
"""A memory's own terms; and the same with those of its neighbours in its session, which tell what it is about."""


class Document(NamedTuple):
    """A memory to index: its own terms, and of its neighbours the ids and the terms. ``cold``: it is only found where
    cold ones are searched."""

    item: MemoryItem
    own: Sequence[str]
    neighbours: Sequence[str] = ()
    beside: Sequence[str] = ()
    cold: bool = False

    @property
    def around(self) -> Sequence[str]:
        """The terms of the second field."""
        return (*self.own, *self.beside)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: any of the weighed terms, all of the phrases (each a sequence of terms), and what the filters
    admit."""

    terms: Mapping[str, float]
    phrases: tuple[tuple[str, ...], ...] = ()
    filters: Filters = field(default_factory=Filters)


class Match(NamedTuple):
    """A memory's id, and how much of the question it covers, 0 to 1: the mean of both fields."""

    id: str
    coverage: float


class LexicalTier(Protocol):
    """Two indexes a persona, of cold memories and of all others; they and personas never mix, not even in how rare a
    word is. One process writes them.

    Errors: Unavailable; what is broken beyond that is empty again, at position 0 of no epoch.
    """

    def position(self) -> Position:
        """What everything up to is in the index."""

    def apply(self, documents: Iterable[Document], gone: Sequence[Key], position: Position) -> None:
        """Index documents in place of what was known under their keys, take those that are gone away, and come to this
        position, durably. To be repeated after a crash."""

    def search(self, persona: str, wanted: Wanted, limit: int, *, cold: bool = False) -> list[Match]:
        """Exactly the best, best first, of equals by id; empty for an unknown persona."""

    def among(self, persona: str, ids: Several[str], wanted: Wanted, limit: int, *, cold: bool = False) -> list[str]:
        """Those of these memories that hold any of the terms themselves, the heaviest together first: nothing but their
        own texts counts, not how rare a word is."""

    def stems(self, terms: Iterable[str]) -> list[str]:
        """The terms as they are indexed, in order: one for each."""

    def collections(self, persona: str, stems: Iterable[str], *, cold: bool = False) -> tuple[Collection, Collection]:
        """What is known of the texts of both fields and of these stems."""

    def beside(self, persona: str, ids: Iterable[str]) -> set[str]:
        """Those memories, cold or not, of which any of these is a neighbour."""

    def count(self) -> int:
        """How many memories it holds."""

    def clear(self) -> None:
        """Take everything away: position 0 of no epoch."""

    def close(self) -> None:
        """Give files and memory back."""
