"""The vector tier on a Chroma server: ids, versions and vectors, one space a persona and embedding model."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.policy.text import MAX_PARTS
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.vectors import parts
from trinitas_tasks.tiers.vectors.connection import Connection
from trinitas_tasks.tiers.vectors.interface import Near, Torn
from trinitas_tasks.tiers.vectors.spaces import Collections, Live, Space, Spare

if TYPE_CHECKING:
    from uuid import UUID

    from chromadb.api.types import Metadata
    from numpy.typing import NDArray

    from trinitas_tasks.tiers.vectors.interface import Vectors, VectorTier

AGAIN: Final = 4
"""So many times as many are asked for where too few memories came."""

ALIKE: Final = 0.999
"""The least cosine of a vector with itself after float32 and back."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class ChromaVectors:
    """The vectors of an embedding model at a Chroma server, and of others beside it; safe to share between threads.

    Nothing is connected before the first call. ``deadline_ms`` (``query_ms`` for a query) bounds every operation; one
    on more than `parts.CHUNK` vectors is several operations. Where the server is found away, the ``breaker`` opens. A
    stopped server is found again when it is back, and so is one that lost its files. Which collection answers, and how
    a rebuilt one takes its place: see `Collections`. One process must not rebuild a persona twice at a time; of two
    processes the later rebuild wins, and the other one fails.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        namespace: str,
        model: str,
        deadline_ms: int,
        query_ms: int | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._connection = Connection(host, port, deadline_ms=deadline_ms, query_ms=query_ms, breaker=breaker)
        self._namespace = namespace
        self._others: dict[str, ChromaVectors] = {}
        self._adding = threading.Lock()
        self._use_model(model)

    def _use_model(self, model: str) -> None:
        self._collections = Collections(self._connection, self._namespace, model)
        self._live, self._spare = Live(self._collections), Spare(self._collections)
        self._space: Space = self._live

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors, versions: Sequence[int]) -> None:
        """See VectorTier. Of an id that is given twice the last vectors count.

        Parts that older versions had more are taken away last. So a memory can always be found by its first part, and
        whoever is cut off in between has not told that it was stored, so it is stored again; the other order would
        for a moment find less of it.
        """
        memories = parts.wholes(ids, vectors, versions)
        for some in parts.requests(memories):
            self._use("upsert", persona, partial(_put, some), create=True)
        for chunk in parts.chunks(memories):
            sizes = {each.id: len(each.vectors) for each in chunk}
            beside = self._use("upsert", persona, partial(_beside, list(sizes))) or []
            stale = [each for each in beside if parts.part(each) >= sizes[parts.owner(each)]]
            self._delete(persona, stale)

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """See VectorTier."""
        asked = np.asarray(vector, dtype=np.float32)[np.newaxis]
        return _near(self._use("query", persona, partial(_nearest, asked, limit)) or {})

    def query_many(self, persona: str, vectors: NDArray[np.float32], limit: int) -> list[list[Near]]:
        """See VectorTier."""
        asked = np.asarray(vectors, dtype=np.float32)
        if not len(asked):
            return []
        found = self._use("query", persona, partial(_nearest_of_each, asked, limit))
        return [[] for _ in asked] if found is None else [_near(each) for each in found]

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """See VectorTier."""
        for chunk in parts.chunks(list(dict.fromkeys(ids))):
            # the first parts last: a memory of which only others were left could be found, but not seen to be here
            self._delete(persona, self._use("delete", persona, partial(_beside, chunk)) or [])
            self._delete(persona, chunk)

    def _delete(self, persona: str, stored: Sequence[str]) -> None:
        for some in parts.chunks(stored):
            self._use("delete", persona, partial(Collection.delete, ids=list(some)))

    def count(self, persona: str) -> int:
        """See VectorTier."""
        return self._use("count", persona, _count) or 0

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See VectorTier. What was stored without a version has version 0."""
        known: dict[str, int] = {}
        for chunk in parts.chunks(list(dict.fromkeys(ids))):
            found = self._use("read versions", persona, partial(Collection.get, ids=list(chunk), include=["metadatas"]))
            if found is None:
                break
            known.update(zip(found["ids"], map(_version, found["metadatas"] or []), strict=True))
        return [known.get(id_) for id_ in ids]

    def parts(self, persona: str, ids: Sequence[str]) -> list[int]:
        """See VectorTier."""
        here: Counter[str] = Counter()
        for chunk in parts.chunks(list(dict.fromkeys(ids))):
            here.update(map(parts.owner, self._use("count parts", persona, partial(_stored, chunk)) or []))
        return [here[id_] for id_ in ids]

    def listed(self, persona: str, offset: int, limit: int) -> list[str]:
        """See VectorTier."""
        found = self._use("list", persona, partial(Collection.get, offset=offset, limit=limit, include=[]))
        return [] if found is None else [parts.owner(stored) for stored in found["ids"]]

    def verify(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """See VectorTier."""
        wholes = parts.wholes(ids, vectors, [0] * len(ids))
        expected = {stored: vector for each in wholes for stored, vector in zip(each.ids(), each.vectors, strict=True)}
        for chunk in parts.chunks(list(expected)):
            found = self._use("verify", persona, partial(Collection.get, ids=list(chunk), include=["embeddings"]))
            if found is None or found["embeddings"] is None:
                return
            for stored, kept in zip(found["ids"], found["embeddings"], strict=True):
                if not _alike(np.asarray(kept, dtype=np.float32), expected[stored]):
                    where = f"{self._connection.where} has another vector of {parts.owner(stored)} of {persona}"
                    raise Torn(f"{where}: rebuild them")

    def at(self, model: str) -> VectorTier:
        """See VectorTier."""
        with self._adding:
            if model not in self._others:
                self._others[model] = other = copy(self)
                other._use_model(model)
            return self._others[model]

    def spare(self) -> VectorTier:
        """See VectorTier."""
        twin = copy(self)
        twin._space = self._spare
        return twin

    def clear(self, persona: str) -> None:
        """See VectorTier."""
        with self._connection.bounded("clear"):
            self._space.clear(persona)

    def drop(self, persona: str) -> None:
        """See VectorTier."""
        with self._connection.bounded("drop"):
            self._collections.drop(persona)
        self._live.forget(persona)
        self._spare.forget(persona)

    def promote(self, persona: str) -> None:
        """See VectorTier."""
        with self._connection.bounded("promote"):
            try:
                self._spare.promote(persona)
            except NotFoundError as error:
                raise Unavailable(f"the spare space of {persona} was taken by another rebuild") from error
        self._live.forget(persona)
        try:
            with self._connection.bounded("delete the replaced space"):
                self._spare.sweep(persona)
        except Unavailable as error:
            logger.warning("the replaced space of %s is left until its next rebuild: %s", persona, error)

    def ping(self) -> None:
        """See VectorTier."""
        self._connection.ping()

    def close(self) -> None:
        """See VectorTier."""
        self._connection.close()
        for each in (self, *self._others.values()):
            each._live.close()

    def _use(self, what: str, persona: str, call: Callable[[Collection], T], *, create: bool = False) -> T | None:
        """The call's result, or None where the persona has no collection."""
        refused: UUID | None = None
        with self._connection.bounded(what):
            for _ in range(3):
                collection = self._space.at(persona, create=create)
                if collection is None:
                    return None
                with self._connection.suspected(f"{what} {persona}"):
                    try:
                        return call(collection)
                    except (NotFoundError, Torn) as error:  # promoted, deleted or lost: look again
                        if isinstance(error, Torn) and refused == collection.id:
                            raise
                        refused = collection.id
                        self._space.forget(persona)
        raise Unavailable(f"{self._connection.where} failed to {what}: it loses the space of {persona} again and again")


def _put(memories: Sequence[parts.Whole], collection: Collection) -> None:
    collection.upsert(
        ids=[stored for each in memories for stored in each.ids()],
        embeddings=np.concatenate([each.vectors for each in memories]),
        metadatas=[mark for each in memories for mark in each.marks()],
    )


def _beside(ids: Sequence[str], collection: Collection) -> list[str]:
    """Under which ids the parts of these memories are kept, without the first ones."""
    return collection.get(where=parts.beside(ids), include=[])["ids"]


def _stored(ids: Sequence[str], collection: Collection) -> list[str]:
    """Under which ids the parts of these memories are kept."""
    return collection.get(ids=list(ids), include=[])["ids"] + _beside(ids, collection)


def _count(collection: Collection) -> int:
    """Of memories."""
    return collection.count() - len(collection.get(where=parts.BESIDE, include=[])["ids"])


def _nearest(asked: NDArray[np.float32], limit: int, collection: Collection) -> Mapping[str, float]:
    """So many memories with the distances of their best parts; fewer only where there are no more.

    Memories in parts come several times: where too few different ones come, ask for more, up to what would be enough
    if all had as many parts as there can be.
    """
    wanted = limit
    while True:
        found = collection.query(query_embeddings=asked, n_results=wanted, include=["distances"])
        ids, distances = found["ids"][0], (found["distances"] or [[]])[0]
        best = parts.best_of_each(ids, distances)
        if len(best) >= limit or len(ids) < wanted or wanted >= limit * MAX_PARTS:
            return dict(islice(best.items(), limit))
        wanted = min(wanted * AGAIN, limit * MAX_PARTS)


def _nearest_of_each(asked: NDArray[np.float32], limit: int, collection: Collection) -> list[Mapping[str, float]]:
    found = collection.query(query_embeddings=asked, n_results=limit, include=["distances"])
    distances = found["distances"] or [[] for _ in found["ids"]]
    return [parts.best_of_each(*each) for each in zip(found["ids"], distances, strict=True)]


def _near(distances: Mapping[str, float]) -> list[Near]:
    return [Near(id_, max(-1.0, min(1.0, 1.0 - distance))) for id_, distance in distances.items()]


def _version(mark: Metadata | None) -> int:
    version = (mark or {}).get("version")
    return version if isinstance(version, int) else 0


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether they point the same way; two vectors of zeros do."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return bool(one @ other >= ALIKE * lengths) if lengths else not (one.any() or other.any())
