"""The vector tier on a Chroma server: ids, versions and vectors, one space a persona and embedding model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.vectors.connection import Connection
from trinitas_tasks.tiers.vectors.interface import Near, Torn
from trinitas_tasks.tiers.vectors.spaces import Collections, Live, Space, Spare

if TYPE_CHECKING:
    from uuid import UUID

    from chromadb.api.types import Metadata
    from numpy.typing import NDArray

    from trinitas_tasks.tiers.vectors.interface import Vectors, VectorTier

CHUNK: Final = 200
"""Ids in one request. A server takes 0.1 s to insert so many, but 0.7 s to overwrite them (measured on 2 cores)."""

ALIKE: Final = 0.999
"""The least cosine of a vector with itself after float32 and back."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class ChromaVectors:
    """The vectors of one embedding model at a Chroma server; safe to share between threads.

    Nothing is connected before the first call. ``deadline_ms`` (``query_ms`` for a query) bounds every operation; one
    on more than `CHUNK` ids is several operations. Where the server is found away, the ``breaker`` opens. A stopped
    server is found again when it is back, and so is one that lost its files. Which collection answers, and how a
    rebuilt one takes its place: see `Collections`. One process must not rebuild a persona twice at a time; of two
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
        collections = Collections(self._connection, namespace, model)
        self._live, self._spare = Live(collections), Spare(collections)
        self._space: Space = self._live

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors, versions: Sequence[int]) -> None:
        """See VectorTier. Of an id that is given twice the last vector counts."""
        last = {id_: place for place, id_ in enumerate(ids)}
        for chunk in _chunks(list(last)):
            places = [last[id_] for id_ in chunk]
            rows = np.asarray(vectors, dtype=np.float32)[places]
            marks: list[Metadata] = [{"version": versions[place]} for place in places]
            call = partial(Collection.upsert, ids=chunk, embeddings=rows, metadatas=marks)
            self._use("upsert", persona, call, create=True)

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """See VectorTier."""
        asked = np.asarray(vector, dtype=np.float32)[np.newaxis]
        found = self._use(
            "query",
            persona,
            partial(Collection.query, query_embeddings=asked, n_results=limit, include=["distances"]),
        )
        if found is None or found["distances"] is None:
            return []
        near = zip(found["ids"][0], found["distances"][0], strict=True)
        return [Near(id_, max(-1.0, min(1.0, 1.0 - distance))) for id_, distance in near]

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """See VectorTier."""
        for chunk in _chunks(list(dict.fromkeys(ids))):
            self._use("delete", persona, partial(Collection.delete, ids=chunk))

    def count(self, persona: str) -> int:
        """See VectorTier."""
        return self._use("count", persona, Collection.count) or 0

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See VectorTier. What was stored without a version has version 0."""
        known: dict[str, int] = {}
        for chunk in _chunks(list(dict.fromkeys(ids))):
            found = self._use("read versions", persona, partial(Collection.get, ids=chunk, include=["metadatas"]))
            if found is None:
                break
            known.update(zip(found["ids"], map(_version, found["metadatas"] or []), strict=True))
        return [known.get(id_) for id_ in ids]

    def listed(self, persona: str, offset: int, limit: int) -> list[str]:
        """See VectorTier."""
        found = self._use("list", persona, partial(Collection.get, offset=offset, limit=limit, include=[]))
        return [] if found is None else found["ids"]

    def verify(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """See VectorTier."""
        expected = dict(zip(ids, np.asarray(vectors, dtype=np.float32), strict=True))
        for chunk in _chunks(list(expected)):
            found = self._use("verify", persona, partial(Collection.get, ids=chunk, include=["embeddings"]))
            if found is None or found["embeddings"] is None:
                return
            for id_, kept in zip(found["ids"], found["embeddings"], strict=True):
                if not _alike(np.asarray(kept, dtype=np.float32), expected[id_]):
                    raise Torn(f"{self._connection.where} has another vector of {id_} of {persona}: rebuild them")

    def spare(self) -> VectorTier:
        """See VectorTier."""
        twin = copy(self)
        twin._space = self._spare
        return twin

    def clear(self, persona: str) -> None:
        """See VectorTier."""
        with self._connection.bounded("clear"):
            self._space.clear(persona)

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
        self._live.close()

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


def _version(mark: Metadata | None) -> int:
    version = (mark or {}).get("version")
    return version if isinstance(version, int) else 0


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether they point the same way; two vectors of zeros do."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return bool(one @ other >= ALIKE * lengths) if lengths else not (one.any() or other.any())


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
