"""What becomes of working memories, and which of several that say the same stands for them.

Of which kind a memory is, is what its author says (tags, metadata), else what speaks for each kind in its text: steps,
commands and imperatives for a procedure; definitions, preferences and settings for a fact; past tense, dates and
speech for an event (Tulving, Episodic and Semantic Memory, 1972). In doubt it is an event: nothing is made general
that was only once so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from trinitas_tasks.model import Key, MemoryItem, MemoryType
from trinitas_tasks.policy.kinds import KIND_KEYS, SAID, SIGNS, TIME_KEYS
from trinitas_tasks.policy.life import Rules
from trinitas_tasks.policy.text import content_text

InferType = Callable[[MemoryItem], MemoryType]
"""What a working memory becomes: never WORKING."""
READ: Final = 4_000
"""How many characters of a memory are looked at."""
STRUCTURED: Final = 4.0
"""How much it speaks for a fact that the content is an object or a list; for an event, where it has a time."""


def infer(item: MemoryItem) -> MemoryType:
    """What kind of lasting memory it is."""
    if (said := _said(item)) is not None:
        return said
    weights = evidence(item)
    return max(weights, key=weights.__getitem__)


def evidence(item: MemoryItem) -> dict[MemoryType, float]:
    """How much speaks for each kind, by the text."""
    text = content_text(item)[:READ]
    weights = {kind: sum(sign.weight(text) for sign in signs) for kind, signs in SIGNS.items()}
    if isinstance(item.content, dict | list):
        timed = not TIME_KEYS.isdisjoint(_names(item.content))
        weights[MemoryType.EPISODIC if timed else MemoryType.SEMANTIC] += STRUCTURED
    return weights


def _said(item: MemoryItem) -> MemoryType | None:
    """What the author says of it."""
    named = (value for key in KIND_KEYS if isinstance(value := item.metadata.get(key), str))
    words = (word.strip().casefold() for word in (*named, *item.tags))
    return next((SAID[word] for word in words if word in SAID), None)


def _names(content: Any) -> Iterator[str]:
    match content:
        case dict():
            for name, value in content.items():
                yield name.casefold()
                yield from _names(value)
        case list():
            for each in content:
                yield from _names(each)


def worth_keeping(item: MemoryItem, score: float | None, pinned: bool, rules: Rules) -> str | None:
    """Why a working memory becomes a lasting one; None: it does not. ``score`` is its importance as it was computed,
    None before that: then its author's estimate counts."""
    importance = item.importance if score is None else score
    if pinned:
        return "pinned"
    if item.access_count >= rules.keep_reads:
        times = "once" if item.access_count == 1 else f"{item.access_count} times"
        return f"read {times} (enough: {rules.keep_reads})"
    if importance >= rules.keep_score:
        return f"importance {importance:.2f} (enough: {rules.keep_score:.2f})"
    return None


class Candidate(NamedTuple):
    """One of several memories that say the same."""

    key: Key
    pinned: bool
    score: float
    reads: int
    since: datetime


def representative(items: Sequence[Candidate]) -> Candidate:
    """The one that stands for all: pinned before others, then the most important, the most read, the oldest."""
    return min(items, key=lambda each: (not each.pinned, -each.score, -each.reads, each.since, each.key))


def groups(pairs: Iterable[tuple[Key, Key]]) -> list[list[Key]]:
    """Memories that are paired, directly or by others: each group, and the list of them, in order of the keys."""
    beside: defaultdict[Key, set[Key]] = defaultdict(set)
    for one, other in pairs:
        if one != other:
            beside[one].add(other)
            beside[other].add(one)
    found: list[list[Key]] = []
    seen: set[Key] = set()
    for key in sorted(beside):
        if key not in seen:
            group = _reached(key, beside)
            seen |= group
            found.append(sorted(group))
    return found


def _reached(start: Key, beside: dict[Key, set[Key]]) -> set[Key]:
    reached, waiting = {start}, [start]
    while waiting:
        new = beside[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached
