"""From a question to hits, in the client: what the workers found, read; and without them, what the words find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy import fusion
from trinitas_tasks.policy.text import admits, coverage, query_terms
from trinitas_tasks.query import Hit, Query, Recall
from trinitas_tasks.services.answer import Answer, Found
from trinitas_tasks.services.cursor import following
from trinitas_tasks.services.front import PENDING, Front
from trinitas_tasks.services.hydration import Hydrator
from trinitas_tasks.services.scope import Scope
from trinitas_tasks.tiers.archive.interface import Reader
from trinitas_tasks.tiers.hot.interface import HotTier

DEPTH: Final = 4
"""How many times what is asked for is asked of full text: some of it was forgotten or changed meanwhile."""

USED: Final = 0.1
"""To be a hit of at least this relevance counts as an access; what is hardly an answer was not used."""

Search = Callable[[], tuple[Answer, bool]]


class Answering:
    """Answers over a front, the hot tier and, where this process can read it, the archive."""

    def __init__(self, front: Front, hot: HotTier, archive: Reader | None, *, cache_seconds: int) -> None:
        self._front = front
        self._hot = hot
        self._archive = archive
        self._cache_seconds = cache_seconds

    def recall(self, query: Query, search: Search, now: datetime) -> Recall:
        """The memories that the workers' answer names, and what waits in the spool and has words of the question.

        ``search`` gives the answer, and whether it was a cached one. Raises: Unavailable, and what ``search`` raises.
        """
        spooled = self._front.spooled(query.among or (query.persona,))  # first: it may be replayed meanwhile
        answer, cached = search()
        named = list(answer.found)
        if not query.skip:
            named = self._with(named, [item for item in spooled if admits(query, item)], query, now)
        used = dict.fromkeys(each.key for each in named if each.score >= USED)
        beside = dict.fromkeys(
            key for each in named for key in (*each.before, each.key, *each.after) if key not in used
        )
        items = {**self._read(list(used), query, touch=True), **self._read(list(beside), query, touch=False)}
        hits = [_hit(each, items) for each in named if each.key in items and admits(query, items[each.key])]
        more = following(query) if answer.more or len(hits) > query.limit else None
        return Recall(tuple(hits[: query.limit]), answer.answered, answer.degraded, cached, more)

    def _read(self, keys: Sequence[Key], query: Query, *, touch: bool) -> dict[Key, MemoryItem]:
        if not keys:
            return {}
        if query.among or query.everybody:
            records = self._front.read_whole(keys, touch=touch)
        else:
            records = self._front.read_scoped(query.persona, keys, touch=touch)
        return {key: record.item for key, record in zip(keys, records, strict=True) if record is not None}

    @staticmethod
    def _with(named: list[Found], items: Iterable[MemoryItem], query: Query, now: datetime) -> list[Found]:
        known = {each.key for each in named}
        words = query_terms(query.text)
        shares = {Key(item.persona, item.id): (coverage(words, item), item) for item in items}
        added = [
            Found(
                key.id, round(_score(share, item, query, now), 6), {"coverage": round(share, 4)}, "spool", key.persona
            )
            for key, (share, item) in shares.items()
            if key not in known and (share or not words)
        ]
        return sorted(named + added, key=lambda each: -each.score) if added else named

    def by_words(self, query: Query, away: Unavailable, now: datetime) -> Recall:
        """What holds words of the question, without the workers: full text, and what is not archived yet.

        While the hot tier is away too, grants cannot be looked up: only the persona's own memories are found.
        Raises: ``away`` where the archive cannot be read from here.
        """
        if self._archive is None or query.everybody or query.among:
            raise away
        spooled = self._front.spooled([query.persona])  # first, as above
        try:
            hot: HotTier | None = self._hot
            pending = [record.item for record in self._hot.pending(query.persona, PENDING)]
            shared = self._shared(query, self._archive)
            degraded = f"search: {away}"
        except Unavailable as error:
            hot, pending, shared, degraded = None, [], {}, f"redis: {error}"
        words = query_terms(query.text)
        shares = {key: coverage(words, item) for key, item in shared.items()}
        shares |= {Key(query.persona, id_): share for id_, share in self._archived(query, list(words)).items()}
        shares |= {Key(query.persona, item.id): coverage(words, item) for item in (*pending, *spooled)}
        wanted = [key for key, share in shares.items() if share or not words]
        mine = self._front.standing(query.persona, [key.id for key in wanted if key.persona == query.persona], hot)
        items = shared | {Key(query.persona, id_): item for id_, item in mine.items()}
        hits = sorted(
            (
                Hit(item=items[key], score=score, why={"coverage": round(shares[key], 4)}, tier="archive")
                for key in wanted
                if key in items and admits(query, items[key])
                for score in [_score(shares[key], items[key], query, now)]
                if score >= query.min_similarity
            ),
            key=lambda hit: -hit.score,
        )
        more = following(query) if len(hits) > query.skip + query.limit else None
        page = tuple(hits[query.skip : query.skip + query.limit])
        return Recall(page, ("archive", "redis") if hot else ("archive",), (degraded,), next=more)

    def _shared(self, query: Query, archive: Reader) -> dict[Key, MemoryItem]:
        scope = Scope.of(query, self._hot)
        found = Hydrator(scope, self._hot, archive, self._cache_seconds).read(scope.granted)
        return {key: read.item for key, read in found.items()}

    def _archived(self, query: Query, words: Sequence[str]) -> dict[str, float]:
        """Shares of the best match, since nobody knows what the best possible is."""
        assert self._archive is not None
        limit = (query.skip + query.limit) * DEPTH
        if not words:
            if not query.filters.narrow and not query.phrases:
                return {}
            return dict.fromkeys(self._archive.matching(query.persona, query.filters, limit), 0.0)
        matches = self._archive.search_text(query.persona, words, limit, filters=query.filters)
        top = max((match.score for match in matches), default=0.0) or 1.0
        return {match.id: match.score / top for match in matches}


def _score(share: float, item: MemoryItem, query: Query, now: datetime) -> float:
    logit = fusion.by_words_alone(share).logit + sum(fusion.boosts(item, query, query.now or now).values())
    return fusion.relevance(logit)


def _hit(found: Found, items: Mapping[Key, MemoryItem]) -> Hit:
    before, after = (tuple(items[key] for key in keys if key in items) for keys in (found.before, found.after))
    return Hit(
        item=items[found.key],
        score=found.score,
        why=dict(found.why),
        tier=found.tier,
        similar=found.similar,
        before=before,
        after=after,
    )
