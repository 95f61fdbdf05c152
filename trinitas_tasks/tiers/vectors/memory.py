"""The vector tier in this process's memory, exact: for tests and for trying things out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.vectors.interface import Near, Torn

if TYPE_CHECKING:
    from trinitas_tasks.tiers.vectors.interface import Vectors, VectorTier

Space = dict[str, tuple[NDArray[np.float32], int]]
"""Unit vector and version by id."""


@dataclass
class _Spaces:
    """What a tier and its spare share: the spaces that answer, and those being filled."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    live: dict[str, Space] = field(default_factory=dict)
    spare: dict[str, Space] = field(default_factory=dict)


class MemoryVectors:
    """A vector tier of dictionaries; safe to share between threads."""

    def __init__(self) -> None:
        self._spaces = _Spaces()

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors, versions: Sequence[int]) -> None:
        """See VectorTier."""
        units = _units(np.asarray(vectors, dtype=np.float32))
        with self._spaces.lock:
            if not ids:
                return
            space = self._found(persona)
            if space is None:
                space = self._spaces.live.setdefault(persona, {})
            space.update(zip(ids, zip(units, versions, strict=True), strict=True))

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """See VectorTier."""
        space = self._read(persona)
        if not space:
            return []
        asked = _units(np.asarray(vector, dtype=np.float32)[np.newaxis])[0]
        similarities = np.clip(np.stack([unit for unit, _ in space.values()]) @ asked, -1.0, 1.0)
        near = zip(space, similarities.tolist(), strict=True)
        return [Near(*each) for each in sorted(near, key=lambda each: -each[1])[:limit]]

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            space = self._found(persona) or {}
            for id_ in ids:
                space.pop(id_, None)

    def count(self, persona: str) -> int:
        """See VectorTier."""
        return len(self._read(persona))

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See VectorTier."""
        space = self._read(persona)
        return [space[id_][1] if id_ in space else None for id_ in ids]

    def listed(self, persona: str, offset: int, limit: int) -> list[str]:
        """See VectorTier."""
        return list(self._read(persona))[offset : offset + limit]

    def verify(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """See VectorTier."""
        space = self._read(persona)
        units = _units(np.asarray(vectors, dtype=np.float32))
        for id_, unit in zip(ids, units, strict=True):
            if id_ in space and not np.allclose(space[id_][0], unit, atol=1e-3):
                raise Torn(f"the vector of {id_} of {persona} is another one")

    def spare(self) -> VectorTier:
        """See VectorTier."""
        return _Spare(self._spaces)

    def clear(self, persona: str) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            self._spaces.live.pop(persona, None)

    def promote(self, persona: str) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            if persona not in self._spaces.spare:
                raise Unavailable(f"no spare space of {persona} to promote: clear() makes one")
            self._spaces.live[persona] = self._spaces.spare.pop(persona)

    def ping(self) -> None:
        """See VectorTier."""

    def close(self) -> None:
        """See VectorTier."""

    def _read(self, persona: str) -> Space:
        with self._spaces.lock:
            return dict(self._found(persona) or {})

    def _found(self, persona: str) -> Space | None:
        if persona not in self._spaces.live and persona in self._spaces.spare:
            raise Torn(f"the vectors of {persona} are being rebuilt, or a rebuild of them was broken off")
        return self._spaces.live.get(persona)


class _Spare(MemoryVectors):
    """The spaces being filled."""

    def __init__(self, spaces: _Spaces) -> None:
        self._spaces = spaces

    def clear(self, persona: str) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            self._spaces.spare[persona] = {}

    def _found(self, persona: str) -> Space | None:
        if persona not in self._spaces.spare:
            raise Unavailable(f"no spare space of {persona}: clear() makes one")
        return self._spaces.spare[persona]


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units
