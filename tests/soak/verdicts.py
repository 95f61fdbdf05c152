"""The verdicts at the end: what stands, held against what the journals say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.soak.ledger import DUPLICATED, LOST, OLDER, RESURRECTED, Ledger, Violation
from tests.soak.operations import Seen
from trinitas_tasks.model import Key


@dataclass(frozen=True, slots=True)
class Observed:
    """What stands at the end, everything settled: what get() returns of every id in the journals, every row of the
    archive, the ids in the vector tier by persona, and which ids get() could not answer, with the error."""

    gets: Mapping[Key, Seen | None]
    archived: Mapping[Key, Seen]
    vectors: Mapping[str, Collection[str]]
    unanswered: Mapping[Key, str] = field(default_factory=dict)


def judge(ledger: Ledger, observed: Observed, at: float) -> list[Violation]:
    """Every violation, each once: a memory that is lost from two tiers is one."""
    found: dict[tuple[str, Key], str] = {}
    for key, kind, detail in (*_of_gets(ledger, observed), *_of_archive(ledger, observed), *_of_vectors(observed)):
        # by the end everything is back: there is no excuse for an older version
        found.setdefault((LOST if kind == OLDER else kind, key), detail)
    return [Violation(kind, *key, detail, at) for (kind, key), detail in found.items()]


def _of_gets(ledger: Ledger, observed: Observed) -> Iterator[tuple[Key, str, str]]:
    for key, found in observed.gets.items():
        for kind, detail in ledger.judge_get(key, found):
            yield key, kind, detail
    for key, error in observed.unanswered.items():
        if ledger.standings[key].acknowledged is not None:
            yield key, LOST, f"get: {error}"


def _of_archive(ledger: Ledger, observed: Observed) -> Iterator[tuple[Key, str, str]]:
    for key, standing in ledger.standings.items():
        if key not in observed.archived and standing.verdict(None):
            yield key, LOST, f"not in the archive, but {standing.acknowledged} was acknowledged"
    ids: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for key, found in observed.archived.items():
        for kind, detail in ledger.judge_seen(key.persona, found):
            yield key, kind, f"archive: {detail}"
        if found.word is not None:
            ids[key.persona, found.word].append(key.id)
        got = observed.gets.get(key, found)
        if key not in observed.unanswered and (got is None or got.word != found.word):
            shown = None if got is None else got.word
            kind = RESURRECTED if got is None else LOST
            yield key, kind, f"the archive holds {found.word}, but get returns {shown}"
    for (persona, word), under in ids.items():
        for each in under[1:]:
            yield Key(persona, each), DUPLICATED, f"archive: {word} also stands under {under[0]}"


def _of_vectors(observed: Observed) -> Iterator[tuple[Key, str, str]]:
    for persona, ids in observed.vectors.items():
        for key in (Key(persona, each) for each in ids):
            if key not in observed.archived and observed.gets.get(key) is None:
                yield key, RESURRECTED, "the vector tier still has a vector of it"


def of_clients(violations: Iterable[Violation], away: Sequence[tuple[float, float]]) -> tuple[list[Violation], int]:
    """What the clients saw, each once, and how many older versions were only stale: read while Redis was ``away``."""
    kept: dict[tuple[str, str, str], Violation] = {}
    stale = 0
    for each in violations:
        if each.kind == OLDER:
            if any(start <= each.at <= end for start, end in away):
                stale += 1
                continue
            each = replace(each, kind=LOST)
        kept.setdefault((each.kind, each.persona, each.id), each)
    return list(kept.values()), stale


def together(*lists: Iterable[Violation]) -> list[Violation]:
    """One list, in which a memory stands once under each kind."""
    kept: dict[tuple[str, str, str], Violation] = {}
    for each in (each for some in lists for each in some):
        kept.setdefault((each.kind, each.persona, each.id), each)
    return sorted(kept.values(), key=lambda each: each.at)
