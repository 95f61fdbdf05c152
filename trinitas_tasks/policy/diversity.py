"""Which memories say the same."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.text import content_text, terms

SAME: Final = 0.9
"""The Jaccard similarity of their words and word pairs from which two memories count as one."""
READ: Final = 20_000
"""How many characters of a memory are compared."""


class Signature(NamedTuple):
    """What is compared of a memory: its words with those beside them, since their order tells too; and the numbers in
    it, of which no two may differ: port 5432 is not port 5433, however much is said about both."""

    words: frozenset[str]
    numbers: frozenset[str]


def signature(item: MemoryItem) -> Signature:
    """What a memory says, for comparison."""
    found = terms(content_text(item)[:READ])
    pairs = (f"{one} {two}" for one, two in pairwise(found))
    return Signature(frozenset((*found, *pairs)), frozenset(term for term in found if any(map(str.isdigit, term))))


def alike(one: Signature, other: Signature) -> bool:
    """Whether they are near-duplicates: few words differ. What has no words is like nothing else."""
    smaller, larger = sorted((len(one.words), len(other.words)))
    if not smaller or smaller < SAME * larger or one.numbers != other.numbers:
        return False
    shared = len(one.words & other.words)
    return shared >= SAME * (smaller + larger - shared)
