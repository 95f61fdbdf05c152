"""The vector tier: finds by meaning. It holds ids and vectors only, and can always be rebuilt from the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32] | Sequence[NDArray[np.float32]]


class Near(NamedTuple):
    """A memory's id and its cosine similarity to the query, -1 to 1."""

    id: str
    similarity: float


class VectorTier(Protocol):
    """One space of vectors a persona; personas never mix. Errors: Unavailable, DeadlineExceeded."""

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Keep the vectors (float32, (dim,) each) under their ids, durably; a known id is overwritten."""

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """The ids nearest to the vector (float32, (dim,)), most similar first; empty for an unknown persona."""

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """Take ids away; unknown ones are ignored."""

    def count(self, persona: str) -> int:
        """How many vectors the persona has."""

    def ping(self) -> None:
        """Return if it answers. Raises: Unavailable."""

    def close(self) -> None:
        """Give the connections back."""
