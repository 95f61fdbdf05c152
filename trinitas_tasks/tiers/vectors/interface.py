"""The vector tier: finds by meaning. Ids, versions and vectors only; it can always be rebuilt from the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from trinitas_tasks.errors import Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32] | Sequence[NDArray[np.float32]]
    """For each memory those of its parts, (parts, dim); or (dim,) where there is one."""


class Torn(Unavailable):
    """The tier answers, but its files are broken: waiting does not help.

    Those of one space are, and a rebuild of it helps; or, ``whole``, those of everything: then the server must be
    started again, over an empty folder, before anything can be rebuilt.
    """

    def __init__(self, message: str, *, whole: bool = False) -> None:
        super().__init__(message)
        self.whole = whole


class Near(NamedTuple):
    """A memory's id and its cosine similarity to the query, -1 to 1."""

    id: str
    similarity: float


class VectorTier(Protocol):
    """One space of vectors a persona, of one model; personas never mix, nor do models.
    Errors: Unavailable, DeadlineExceeded, Torn.

    A space is rebuilt beside the one that answers: ``spare().clear(persona)``, ``spare().upsert(...)`` for all there
    is, ``promote(persona)``. What others upsert or delete during that time may go with the replaced space: compare
    afterwards. A torn space is best cleared as soon as its rebuild has begun: where one is being filled and none
    answers, every call raises Torn, so nobody takes an answer from half an index, and a rebuild that was broken off
    is not forgotten.
    """

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors, versions: Sequence[int]) -> None:
        """Keep the vectors (float32, (parts, dim) of each memory) and versions under their ids, durably; a known id is
        overwritten with all its parts."""

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """The memories nearest to the vector (float32, (dim,)), each once by its best part, most similar first; empty
        for an unknown persona."""

    def query_many(self, persona: str, vectors: NDArray[np.float32], limit: int) -> list[list[Near]]:
        """The ``limit`` nearest parts to each vector (float32, (n, dim)), as memories, each once, in one request: so it
        may be fewer of memories in parts."""

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """Take ids away with all their parts; unknown ones are ignored."""

    def count(self, persona: str) -> int:
        """How many memories of the persona are here."""

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """The version of each id; None for what is not here."""

    def parts(self, persona: str, ids: Sequence[str]) -> list[int]:
        """How many vectors of each id are here."""

    def listed(self, persona: str, offset: int, limit: int) -> list[str]:
        """Some of all ids, each once for every vector it has; the order stays while nothing is deleted."""

    def verify(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Return if of these ids the parts that are here still have these vectors. Raises: Torn.

        Only this notices an index that lost vectors: counts, versions and a ping do not read it.
        """

    def at(self, model: str) -> VectorTier:
        """The spaces of the vectors of another model, by its name; always the same ones."""

    def spare(self) -> VectorTier:
        """A second set of spaces, that nobody else sees."""

    def clear(self, persona: str) -> None:
        """Take all vectors of the persona away without reading them; a spare space begins with this."""

    def drop(self, persona: str) -> None:
        """Take all vectors of the persona away, also of a spare space."""

    def promote(self, persona: str) -> None:
        """Let the spare space answer from now on, in one step for all. Raises: Unavailable if there is none."""

    def ping(self) -> None:
        """Return if it answers. Raises: Unavailable."""

    def close(self) -> None:
        """Give the connections back."""
