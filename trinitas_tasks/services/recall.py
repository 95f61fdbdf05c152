"""Finding memories by meaning and by words."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.errors import TrinitasError, Unavailable
from trinitas_tasks.model import Query, Record
from trinitas_tasks.policy import fusion
from trinitas_tasks.policy.text import sharing_words, terms
from trinitas_tasks.services.answer import Answer, Found, digest
from trinitas_tasks.tiers.archive.interface import Archive, Match, Similar
from trinitas_tasks.tiers.hot.interface import Gone, HotTier
from trinitas_tasks.tiers.vectors.interface import Near, VectorTier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)
T = TypeVar("T")

CANDIDATES = 100
"""How many of each list are fused, at least."""
PENDING = 1000
"""How many of the persona's newest unarchived memories are matched by their words."""
BESIDE = ThreadPoolExecutor(4, thread_name_prefix="recall")
"""Searches by words while the query is embedded."""
LOST = "it has lost vectors of this persona, which are being put back"
VECTOR_SECONDS = 3600
"""How long the vector of a query is kept."""


@dataclass(slots=True)
class _Lists:
    """The ranked lists of one search and what came of asking for them."""

    ranked: dict[str, list[str]] = field(default_factory=dict)
    similarities: dict[str, float] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)

    def ask(self, tier: str, question: Callable[[], T], otherwise: T) -> T:
        """The tier's answer, or ``otherwise`` with the reason noted: one missing tier is no failure."""
        try:
            answer = question()
        except TrinitasError as error:
            logger.warning("recall without %s: %s", tier, error)
            _note(self.degraded, f"{tier}: {error}")
            return otherwise
        _note(self.answered, tier)
        return answer


def _note(noted: list[str], what: str) -> None:
    if what not in noted:
        noted.append(what)


def recall(
    query: Query,
    *,
    hot: HotTier,
    archive: Archive,
    vectors: VectorTier,
    embedder: Embedder,
    cache_seconds: int,
) -> Answer:
    """Search the persona's memories, make sure the hits are in the hot tier, and cache the answer.

    Raises: Unavailable when neither the vector tier nor full text could answer.
    """
    # read first: an answer computed from an older state must not be kept under a newer generation
    generation = hot.probe(query.persona, digest(query)).generation
    lists = _lists(query, hot=hot, archive=archive, vectors=vectors, embedder=embedder)
    if not {"chroma", "archive"} & set(lists.answered):
        raise Unavailable("no tier could search: " + "; ".join(lists.degraded))
    fused = fusion.fuse(lists.ranked, fusion.weights(query.text))
    tiers = _present(query, [each for each, _ in fused], lists, hot, archive, cache_seconds)
    ranks = {name: {each: rank for rank, each in enumerate(ids, 1)} for name, ids in lists.ranked.items()}
    found = tuple(
        Found(each, round(score, 6), _why(each, ranks, lists.similarities), tiers[each])
        for each, score in fused
        if each in tiers
    )
    answer = Answer(found, tuple(lists.answered), tuple(lists.degraded))
    if not answer.degraded:
        hot.cache_answer(query.persona, generation, digest(query), answer.to_json(), cache_seconds)
    return answer


def _lists(query: Query, *, hot: HotTier, archive: Archive, vectors: VectorTier, embedder: Embedder) -> _Lists:
    lists = _Lists()
    # read before the tiers below are asked: what is archived meanwhile must be in one of the lists
    pending = hot.pending(query.persona, PENDING)
    wanted = terms(query.text)
    # a type is looked at only after the ranking: look further down for it
    depth = max(CANDIDATES, 2 * query.limit) * (4 if query.types else 1)
    by_words = BESIDE.submit(lambda: archive.search_text(query.persona, wanted, depth, types=query.types))
    if query.text.strip():
        near = _nearest(query, depth, lists, hot=hot, archive=archive, vectors=vectors, embedder=embedder)
        lists.similarities = {each.id: round(each.similarity, 4) for each in near}
        lists.ranked["dense"] = [each.id for each in near]
    matches: list[Match] = lists.ask("archive", by_words.result, [])
    lists.ranked["fulltext"] = [match.id for match in matches]
    lists.ranked["pending"] = sharing_words(wanted, (record.item for record in pending))
    return lists


def _nearest(
    query: Query,
    depth: int,
    lists: _Lists,
    *,
    hot: HotTier,
    archive: Archive,
    vectors: VectorTier,
    embedder: Embedder,
) -> Sequence[Near | Similar]:
    """By meaning: from the vector tier, else by an exact scan of the archive's vectors."""
    nothing: Sequence[Near | Similar] = []
    try:
        vector = _vector(query.text, hot, embedder)
    except TrinitasError as error:
        _note(lists.degraded, f"model: {error}")
        return nothing
    near: Sequence[Near | Similar] = lists.ask("chroma", lambda: vectors.query(query.persona, vector, depth), nothing)
    if len(near) >= depth:
        return near
    # so few: the persona has no more, and this is quick; or the index was lost, which Chroma does not notice
    scanned = lists.ask("archive", lambda: archive.nearest(query.persona, vector, embedder.name, depth), nothing)
    if len(near) < len(scanned) / 2 and "chroma" in lists.answered:
        lists.answered.remove("chroma")
        _note(lists.degraded, f"chroma: {LOST}")
    return scanned if len(scanned) > len(near) else near


def _vector(text: str, hot: HotTier, embedder: Embedder) -> NDArray[np.float32]:
    name = hashlib.blake2b(f"{embedder.name}\0{text}".encode(), digest_size=16).hexdigest()
    if (cached := hot.cached_vector(name)) is not None:
        import numpy as np  # noqa: PLC0415 - beat and lifecycle workers run without it

        return np.frombuffer(cached, np.float32)
    vector: NDArray[np.float32] = embedder.encode([text])[0]
    hot.cache_vector(name, vector.tobytes(), VECTOR_SECONDS)
    return vector


def _present(
    query: Query,
    ids: Sequence[str],
    lists: _Lists,
    hot: HotTier,
    archive: Archive,
    cache_seconds: int,
) -> dict[str, str]:
    """The first ``limit`` ids that exist, are the persona's and of the types asked for, with the tier that had each;
    all of them are in the hot tier afterwards."""
    tiers: dict[str, str] = {}
    for start in range(0, len(ids), query.limit):
        if len(tiers) >= query.limit:
            break
        some = ids[start : start + query.limit]
        standing = hot.read(query.persona, some, touch=False)
        missing = [each for each, record in zip(some, standing, strict=True) if record is None]
        loaded = _loaded(query.persona, missing, lists, archive) if missing else {}
        refills = []
        for each, record in zip(some, standing, strict=True):
            known = record if record is not None else loaded.get(each)
            if known is None or isinstance(known, Gone) or len(tiers) >= query.limit:
                continue
            if query.types and known.item.type not in query.types:
                continue
            tiers[each] = "redis" if record is not None else "archive"
            if record is None:
                refills.append((known, cache_seconds))
        hot.refill(refills)
    return tiers


def _loaded(persona: str, ids: list[str], lists: _Lists, archive: Archive) -> dict[str, Record | None]:
    nothing: list[Record | None] = [None] * len(ids)
    return dict(zip(ids, lists.ask("archive", lambda: archive.load(persona, ids), nothing), strict=True))


def _why(each: str, ranks: Mapping[str, Mapping[str, int]], similarities: Mapping[str, float]) -> dict[str, Any]:
    why: dict[str, Any] = {f"{name}_rank": ranked[each] for name, ranked in ranks.items() if each in ranked}
    if each in similarities:
        why["similarity"] = similarities[each]
    return why
