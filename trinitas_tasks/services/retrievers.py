"""The two retrievers of one search: by words and by meaning, each as far down as asked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.embedding.models import Models
from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.policy.fusion import STAND_IN
from trinitas_tasks.policy.text import admits, coverage, query_terms, terms
from trinitas_tasks.query import Query, Ranking
from trinitas_tasks.services import granted
from trinitas_tasks.services.fulltext import FullText
from trinitas_tasks.services.hydration import Hydrator
from trinitas_tasks.services.lists import Lists
from trinitas_tasks.services.scope import Scope
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.hot.interface import HotTier
from trinitas_tasks.tiers.lexical.interface import Wanted
from trinitas_tasks.tiers.vectors.interface import VectorTier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)
T = TypeVar("T")

PENDING: Final = 1000
"""How many of each owner's newest unarchived memories are matched by their words."""
BESIDE: Final = ThreadPoolExecutor(4, thread_name_prefix="recall")
"""Searches by words while the query is embedded."""
LOST: Final = "it has lost vectors of this persona, which are being put back"
VECTOR_SECONDS: Final = 3600
"""How long the vector of a query is kept."""
LISTED: Final = 10_000
"""How many of those that filters alone admit can be paged through."""
FILTERED: Final = 4
"""How many times more is asked of the vector tier, which knows no filters, where some will not be admitted."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """What a search asks."""

    hot: HotTier
    archive: Archive
    vectors: VectorTier
    fulltext: FullText
    models: Models


@dataclass(slots=True)
class Retrievers:
    """Asks the tiers on behalf of one search, and notes which answered and which did not."""

    query: Query
    scope: Scope
    tiers: Tiers
    hydrator: Hydrator
    answered: list[str] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    _pending: list[MemoryItem] = field(init=False)
    _spaces: Spaces = field(init=False)
    _vectors: dict[str, NDArray[np.float32] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._spaces = Spaces(self.tiers.vectors, self.tiers.models.naming)
        # read before the tiers below are asked: what is archived meanwhile must be in one of the lists
        found = [record.item for owner in self._lenders for record in self.tiers.hot.pending(owner, PENDING)]
        self._pending = [item for item in found if self.scope.admits(Key(item.persona, item.id)) and self.admits(item)]

    def admits(self, item: MemoryItem) -> bool:
        """Whether a memory has what is asked of an answer."""
        return admits(self.query, item)

    def hidden(self, keys: Sequence[Key]) -> set[Key]:
        """Those that became cold, though an index still has them: it is told a moment later."""
        if self.query.filters.include_archived:
            return set()
        try:
            return {
                Key(owner, each)
                for owner, group in groupby(sorted(keys), key=lambda key: key.persona)
                for each in self.tiers.archive.cold(owner, [key.id for key in group])
            }
        except TrinitasError as error:  # what is needed of it is asked for elsewhere, and noted there
            logger.debug("what is cold is not known: %s", error)
            return set()

    def lists(self, depth: int) -> Lists:
        """The ``depth`` best of each retriever."""
        by_words = BESIDE.submit(lambda: self._by_words(depth))
        cosines = self._by_meaning(depth) if self.query.ranking != Ranking.FULLTEXT else {}
        coverages = by_words.result() if self.query.ranking != Ranking.DENSE else {}
        more = len(coverages) >= depth or len(cosines) >= depth
        return Lists(coverages, cosines, self._trust(coverages, cosines), self._spaces.naming, more)

    def _trust(self, coverages: Mapping[Key, float], cosines: Mapping[Key, float]) -> dict[str, float]:
        """In each model that found something; where the words find nothing the vectors are all there is."""
        naming, models = self._spaces.naming, self.tiers.models
        found = {naming.of(key.persona): key.persona for key in cosines}
        return {
            model: models.of(persona).fluency(self.query.text) if coverages else 1.0 for model, persona in found.items()
        }

    def listed(self) -> list[Key]:
        """What the filters admit, the newest first; nothing where there are none."""
        query = self.query
        if not query.filters.narrow and not query.phrases:
            return []
        found: dict[Key, None] = {Key(item.persona, item.id): None for item in reversed(self._pending)}
        for owner in self._lenders:
            ids = self.ask("archive", partial(self.tiers.archive.matching, owner, query.filters, LISTED))
            found |= {key: None for each in ids if self.scope.admits(key := Key(owner, each))}
        return list(found)

    def around(self, keys: Sequence[Key], context: int) -> list[tuple[list[Key], list[Key]]]:
        """For each the so many memories before and after it in its session, whoever may see them."""
        found = self.ask("archive", lambda: self.tiers.archive.around(keys, context, context))
        found = found or [([], [])] * len(keys)
        return [([key_of(each) for each in before], [key_of(each) for each in after]) for before, after in found]

    # By words.

    def _by_words(self, depth: int) -> dict[Key, float]:
        if not query_terms(self.query.text):
            return {}
        try:
            found = [match for owner in self._lenders for match in self._matches(owner, depth)]
        except TrinitasError as error:
            self.missing("fulltext", error)
            found = [match for owner in self._lenders for match in self._stand_ins(owner, depth)]
        else:
            _note(self.answered, "fulltext")
        return _best(dict(found))

    @property
    def _lenders(self) -> list[str]:
        """Everybody of whose memories some are in scope."""
        return sorted({*self.scope.owners, *(key.persona for key in self.scope.granted)})

    def _matches(self, owner: str, depth: int) -> Iterator[tuple[Key, float]]:
        query, fulltext = self.query, self.tiers.fulltext
        phrases = tuple(tuple(terms(phrase)) for phrase in query.phrases)
        wanted = Wanted(query_terms(query.text), phrases, query.filters)
        lent = None if owner in self.scope.owners else self.scope.lent_by(owner)
        for cold in (False, True) if query.filters.include_archived else (False,):
            if lent is None:
                found = fulltext.search(owner, wanted, depth, cold=cold)
            else:
                found = fulltext.lent(query.persona, owner, wanted, lent, depth, cold=cold)
            yield from ((Key(owner, match.id), match.coverage) for match in found)
        pending = [item for item in self._pending if item.persona == owner]
        if lent is None:
            found = fulltext.score(owner, wanted, pending)
        else:
            found = fulltext.lent_newly(query.persona, wanted, pending)
        yield from ((Key(owner, match.id), match.coverage) for match in found)

    def _stand_ins(self, owner: str, depth: int) -> Iterator[tuple[Key, float]]:
        """What the archive's own full text finds. Its scores are scaled to the best: they do not tell how much of the
        question that covers. Of another's memories each is looked at by itself."""
        words, filters = query_terms(self.query.text), self.query.filters
        items = [item for item in self._pending if item.persona == owner]
        if owner in self.scope.owners:
            search = lambda: self.tiers.archive.search_text(owner, list(words), depth, filters=filters)  # noqa: E731
            matches = self.ask("archive", search)
            top = max((match.score for match in matches), default=0.0) or 1.0
            yield from ((Key(owner, match.id), STAND_IN * match.score / top) for match in matches)
        else:
            lent = self.hydrator.read(Key(owner, each) for each in self.scope.lent_by(owner))
            items += [read.item for read in lent.values() if self.admits(read.item)]
        for item in items:
            if share := coverage(words, item):
                yield Key(owner, item.id), STAND_IN * share

    # By meaning.

    def _by_meaning(self, depth: int) -> dict[Key, float]:
        if not self.query.text.strip():
            return {}
        found: dict[Key, float] = {}
        for owner in self.scope.owners:
            if (vector := self._embedded(owner)) is None:
                continue
            found |= self._nearest(owner, vector, depth)
            if self.query.filters.include_archived:
                found |= self._scanned(owner, vector, depth, cold=True)
        return _best(found | self._granted(depth))

    def _embedded(self, owner: str) -> NDArray[np.float32] | None:
        """The question as the owner's model has it; None, with the reason noted, where that does not."""
        name = self._spaces.naming.of(owner)
        if name not in self._vectors:
            try:
                self._vectors[name] = _vector(self.query.text, self.tiers.hot, self.tiers.models.of(owner))
            except TrinitasError as error:
                self._vectors[name] = None
                self.missing("model", error)
        return self._vectors[name]

    def _nearest(self, owner: str, vector: NDArray[np.float32], depth: int) -> dict[Key, float]:
        """From the vector tier; by an exact scan of the archive's vectors where that has too few."""
        narrow = self.query.filters.narrow or bool(self.query.phrases)
        reach = depth * FILTERED if narrow else depth
        near = self.ask("chroma", lambda: self._spaces.of(owner).query(owner, vector, reach))
        found = {Key(owner, each.id): each.similarity for each in near}
        if len(near) >= reach:
            if not narrow:
                return found
            admitted = {key for key, read in self.hydrator.read(found).items() if self.admits(read.item)}
            if len(admitted) >= min(depth, 2 * (self.query.skip + self.query.limit)):
                return {key: similarity for key, similarity in found.items() if key in admitted}
        # so few: the persona has no more, and this is quick; or the index was lost, which Chroma does not notice
        scanned = self._scanned(owner, vector, depth)
        if len(near) < len(scanned) / 2 and "chroma" in self.answered and self._lost(owner, len(near), len(scanned)):
            self.answered.remove("chroma")
            _note(self.degraded, f"chroma: {LOST}")
        return scanned or found

    def _scanned(self, owner: str, vector: NDArray[np.float32], depth: int, *, cold: bool = False) -> dict[Key, float]:
        """Exactly, by all vectors in the archive; what is cold is in no index of vectors."""
        archive, model, filters = self.tiers.archive, self._spaces.naming.of(owner), self.query.filters
        scan = lambda: archive.nearest(owner, vector, model, depth, filters=filters, cold=cold)  # noqa: E731
        return {Key(owner, each.id): each.similarity for each in self.ask("archive", scan)}

    def _lost(self, owner: str, near: int, scanned: int) -> bool:
        """Whether the index lacks vectors that it has had, and not only such as are on their way into it."""
        waiting = self.ask("archive", lambda: [self.tiers.archive.stats(owner).unindexed])
        return near < (scanned - sum(waiting)) / 2

    def _granted(self, depth: int) -> dict[Key, float]:
        """Exactly: what was granted is in its owners' spaces, among what was not."""
        by_model: dict[str, tuple[NDArray[np.float32], list[Key]]] = {}
        for key in self.scope.granted:
            if (vector := self._embedded(key.persona)) is not None:
                by_model.setdefault(self._spaces.naming.of(key.persona), (vector, []))[1].append(key)
        cold, archive = self.query.filters.include_archived, self.tiers.archive
        found: list[granted.Close] = []
        for model, (vector, keys) in by_model.items():
            scan = partial(granted.nearest, vector, keys, archive=archive, model=model, limit=depth, cold=cold)
            found += self.ask("archive", scan)
        return {close.key: close.similarity for close in found}

    # What came of asking.

    def ask(self, tier: str, question: Callable[[], list[T]]) -> list[T]:
        """The tier's answer, or nothing with the reason noted: one missing tier is no failure."""
        try:
            answer = question()
        except TrinitasError as error:
            self.missing(tier, error)
            return []
        _note(self.answered, tier)
        return answer

    def missing(self, tier: str, error: TrinitasError) -> None:
        """Note that a tier did not answer."""
        logger.warning("recall without %s: %s", tier, error)
        _note(self.degraded, f"{tier}: {error}")


def key_of(record: Record) -> Key:
    """The record's key."""
    return Key(record.item.persona, record.item.id)


def _note(noted: list[str], what: str) -> None:
    if what not in noted:
        noted.append(what)


def _best(scores: Mapping[Key, float]) -> dict[Key, float]:
    """The highest first."""
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))


def _vector(text: str, hot: HotTier, embedder: Embedder) -> NDArray[np.float32]:
    name = hashlib.blake2b(f"{embedder.name}\0{text}".encode(), digest_size=16).hexdigest()
    if (cached := hot.cached_vector(name)) is not None:
        import numpy as np  # noqa: PLC0415 - beat and lifecycle workers run without it

        return np.frombuffer(cached, np.float32)
    vector: NDArray[np.float32] = embedder.encode([text])[0]
    hot.cache_vector(name, vector.tobytes(), VECTOR_SECONDS)
    return vector
