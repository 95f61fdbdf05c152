"""Finding memories by meaning and by words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy.diversity import Signature, alike, signature
from trinitas_tasks.policy.fusion import Evidence, boosted, boosts, relevance
from trinitas_tasks.policy.text import matched, query_terms
from trinitas_tasks.query import Query
from trinitas_tasks.services.answer import Answer, Found, digest
from trinitas_tasks.services.hydration import Hydrator, Read
from trinitas_tasks.services.lists import Lists
from trinitas_tasks.services.retrievers import Retrievers, Tiers
from trinitas_tasks.services.scope import Scope

DEPTHS: Final = (100, 400, 1600, 6400)
"""How far down the lists are looked at: to the next depth only where too few of the ones before may be shown."""
COMPARED: Final = 50
"""How many hits another one is compared with, to see whether it says the same."""
ADMITTED: Final = 1.0
"""The score of what is found by filters alone."""
SEARCHING: Final = frozenset({"chroma", "fulltext", "archive"})


def recall(query: Query, *, tiers: Tiers, cache_seconds: int, now: datetime) -> Answer:
    """Search the memories in scope, make sure the hits are in the hot tier, and cache the answer.

    Raises: Unavailable when neither the vector tier nor full text could answer.
    """
    # read first: an answer computed from an older state must not be kept under a newer generation
    generation = tiers.hot.probe(query.persona, digest(query)).generation
    scope = Scope.of(query, tiers.hot)
    hydrator = Hydrator(scope, tiers.hot, tiers.archive, cache_seconds)
    asked = Retrievers(query, scope, tiers, hydrator)
    hits = list(islice(_Search(query, asked, hydrator, query.now or now).hits(), query.skip + query.limit + 1))
    if hydrator.trouble is not None:
        asked.missing("archive", hydrator.trouble)
    if asked.degraded and not SEARCHING & set(asked.answered):
        raise Unavailable("no tier could search: " + "; ".join(sorted(asked.degraded)))
    shown = hits[query.skip : query.skip + query.limit]
    beside = _beside(shown, query.context, asked, hydrator)
    found = tuple(hit.found(*near) for hit, near in zip(shown, beside, strict=True))
    # sorted: which retriever was first is chance
    answered, degraded = tuple(sorted(asked.answered)), tuple(sorted(asked.degraded))
    answer = Answer(found, answered, degraded, more=len(hits) > query.skip + query.limit)
    if not answer.degraded and scope.reader is not None:
        tiers.hot.cache_answer(query.persona, generation, digest(query), answer.to_json(), cache_seconds)
    return answer


@dataclass(frozen=True, slots=True)
class _Scored:
    """A candidate: the logit of its relevance with all boosts, and what it is made of."""

    key: Key
    logit: float
    why: dict[str, Any]


@dataclass(slots=True)
class _Hit:
    """A memory that counts as an answer, and those after it that say the same."""

    key: Key
    tier: str
    score: float
    why: dict[str, Any]
    signature: Signature
    similar: list[Key] = field(default_factory=list)

    def found(self, before: Sequence[Key], after: Sequence[Key]) -> Found:
        """As the client is told."""
        similar = tuple(self.similar)
        return Found(
            self.key.id, self.score, self.why, self.tier, self.key.persona, similar, tuple(before), tuple(after)
        )


@dataclass(frozen=True, slots=True)
class _Search:
    """One search: candidates from the retrievers, depth by depth, and the hits among them."""

    query: Query
    asked: Retrievers
    hydrator: Hydrator
    now: datetime

    def hits(self) -> Iterator[_Hit]:
        """Best first, near-duplicates collapsed, without end but that of the lists."""
        shown: list[_Hit] = []
        for scored, read in self._admitted():
            score = relevance(scored.logit) if self.query.text.strip() else ADMITTED
            hit = _Hit(scored.key, read.tier, score, scored.why, signature(read.item))
            if self.query.collapse and (same := _same(hit, shown)) is not None:
                same.similar.append(hit.key)
                continue
            shown.append(hit)
            yield hit

    def _admitted(self) -> Iterator[tuple[_Scored, Read]]:
        if not self.query.text.strip():
            yield from self._read_on([_Scored(key, 0.0, {}) for key in self.asked.listed()])
            return
        seen: set[Key] = set()
        for depth in DEPTHS:
            if depth < self.query.limit:
                continue
            lists = self.asked.lists(depth)
            new = {key: evidence for key, evidence in lists.evidence().items() if key not in seen}
            seen |= new.keys()
            yield from self._read_on(self._ranked(new, lists))
            if not lists.more:
                return

    def _read_on(self, ranked: Sequence[_Scored]) -> Iterator[tuple[_Scored, Read]]:
        """Those that exist, are in scope and have what is asked for; a few are read at a time."""
        step = self.query.limit + 1
        for start in range(0, len(ranked), step):
            some = ranked[start : start + step]
            read = self.hydrator.read(each.key for each in some)
            hidden = self.asked.hidden(list(read))
            for each in some:
                if each.key in read and each.key not in hidden and self.asked.admits(read[each.key].item):
                    yield self._explained(each, read[each.key].item), read[each.key]

    def _ranked(self, evidence: Mapping[Key, Evidence], lists: Lists) -> list[_Scored]:
        """Best first. Where something counts that only the memories tell, all are read before."""
        relevant = {key: each for key, each in evidence.items() if relevance(each.logit) >= self.query.min_similarity}
        whole = self.hydrator.read(relevant) if boosted(self.query) else {}
        items = {key: read.item for key, read in whole.items()}
        ranks = _ranks(lists)
        scored = [self._scored(key, each, items.get(key), ranks) for key, each in relevant.items()]
        return sorted(scored, key=lambda each: (-each.logit, -relevant[each.key].cosine))

    def _scored(
        self, key: Key, evidence: Evidence, item: MemoryItem | None, ranks: Mapping[str, Mapping[Key, int]]
    ) -> _Scored:
        why: dict[str, Any] = {name: ranked[key] for name, ranked in ranks.items() if key in ranked}
        told = {"fulltext_rank": ("coverage", evidence.coverage), "dense_rank": ("similarity", evidence.cosine)}
        why |= {name: round(value, 4) for ranked, (name, value) in told.items() if ranked in why}
        added = {} if item is None else boosts(item, self.query, self.now)
        why |= {"trust": round(evidence.trust, 4), **{name: round(each, 4) for name, each in added.items()}}
        return _Scored(key, evidence.logit + sum(added.values()), why)

    def _explained(self, scored: _Scored, item: MemoryItem) -> _Scored:
        if not self.query.explain:
            return scored
        return _Scored(scored.key, scored.logit, scored.why | {"words": matched(query_terms(self.query.text), item)})


def _beside(
    hits: Sequence[_Hit], context: int, asked: Retrievers, hydrator: Hydrator
) -> list[tuple[list[Key], list[Key]]]:
    """The neighbours of each in its session, as far as they are in scope."""
    if not context:
        return [([], [])] * len(hits)
    near = asked.around([hit.key for hit in hits], context)
    known = hydrator.read(key for before, after in near for key in (*before, *after))
    return [tuple([key for key in keys if key in known] for keys in pair) for pair in near]  # type: ignore[misc]


def _ranks(lists: Lists) -> dict[str, dict[Key, int]]:
    return {
        name: {key: rank for rank, key in enumerate(keys, 1)}
        for name, keys in (("dense_rank", lists.cosines), ("fulltext_rank", lists.coverages))
    }


def _same(hit: _Hit, shown: Sequence[_Hit]) -> _Hit | None:
    """The hit that says the same already."""
    return next((other for other in shown[-COMPARED:] if alike(hit.signature, other.signature)), None)
