"""The vector tier in this process's memory, exact: for tests and for trying things out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.tiers.vectors.interface import Near

if TYPE_CHECKING:
    from trinitas_tasks.tiers.vectors.interface import Vectors


class MemoryVectors:
    """A vector tier of dictionaries; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spaces: dict[str, dict[str, NDArray[np.float32]]] = {}

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """See VectorTier."""
        units = _units(np.asarray(vectors, dtype=np.float32))
        with self._lock:
            self._spaces.setdefault(persona, {}).update(zip(ids, units, strict=True))

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """See VectorTier."""
        with self._lock:
            space = dict(self._spaces.get(persona, {}))
        if not space:
            return []
        asked = _units(np.asarray(vector, dtype=np.float32)[np.newaxis])[0]
        similarities = np.clip(np.stack(list(space.values())) @ asked, -1.0, 1.0)
        near = zip(space, similarities.tolist(), strict=True)
        return [Near(*each) for each in sorted(near, key=lambda each: -each[1])[:limit]]

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """See VectorTier."""
        with self._lock:
            space = self._spaces.get(persona, {})
            for id_ in ids:
                space.pop(id_, None)

    def count(self, persona: str) -> int:
        """See VectorTier."""
        with self._lock:
            return len(self._spaces.get(persona, {}))

    def ping(self) -> None:
        """See VectorTier."""

    def close(self) -> None:
        """See VectorTier."""


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units
