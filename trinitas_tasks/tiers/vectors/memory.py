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


class Space(dict[str, tuple[NDArray[np.float32], int]]):
    """Unit vectors, (parts, dim), and version by id; and all of them as one matrix, made when it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[list[str], NDArray[np.float32]] | None = None

    def changed(self) -> None:
        """To be called after every change."""
        self._rows = None

    def nearest(self, asked: NDArray[np.float32], limit: int) -> list[list[Near]]:
        """Of each unit vector, (n, dim), the nearest."""
        if self._rows is None:
            self._rows = (
                [id_ for id_, (units, _) in self.items() for _ in units],
                np.concatenate([units for units, _ in self.values()]),
            )
        ids, rows = self._rows
        return [self._best(ids, np.clip(similarities, -1.0, 1.0), limit) for similarities in asked @ rows.T]

    def _best(self, ids: Sequence[str], similarities: NDArray[np.float32], limit: int) -> list[Near]:
        reach = min(limit, len(ids))
        while True:  # memories in parts come several times
            some = np.argpartition(-similarities, reach - 1)[:reach] if reach < len(ids) else np.arange(len(ids))
            best: dict[str, float] = {}
            for place in some[np.argsort(-similarities[some], kind="stable")]:
                best.setdefault(ids[place], float(similarities[place]))
            if len(best) >= limit or reach == len(ids):
                return [Near(*each) for each in best.items()][:limit]
            reach = min(2 * reach, len(ids))


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
        self._others: dict[str, MemoryVectors] = {}

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors, versions: Sequence[int]) -> None:
        """See VectorTier."""
        units = [_units(each) for each in vectors]
        with self._spaces.lock:
            if not ids:
                return
            space = self._found(persona)
            if space is None:
                space = self._spaces.live.setdefault(persona, Space())
            space.update(zip(ids, zip(units, versions, strict=True), strict=True))
            space.changed()

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """See VectorTier."""
        return self.query_many(persona, np.atleast_2d(vector), limit)[0]

    def query_many(self, persona: str, vectors: NDArray[np.float32], limit: int) -> list[list[Near]]:
        """See VectorTier."""
        with self._spaces.lock:
            space = self._found(persona)
            return space.nearest(_units(vectors), limit) if space and len(vectors) else [[] for _ in vectors]

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            space = self._found(persona) or Space()
            for id_ in ids:
                space.pop(id_, None)
            space.changed()

    def count(self, persona: str) -> int:
        """See VectorTier."""
        return len(self._read(persona))

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See VectorTier."""
        space = self._read(persona)
        return [space[id_][1] if id_ in space else None for id_ in ids]

    def parts(self, persona: str, ids: Sequence[str]) -> list[int]:
        """See VectorTier."""
        space = self._read(persona)
        return [len(space[id_][0]) if id_ in space else 0 for id_ in ids]

    def listed(self, persona: str, offset: int, limit: int) -> list[str]:
        """See VectorTier."""
        every = [id_ for id_, (units, _) in self._read(persona).items() for _ in units]
        return every[offset : offset + limit]

    def verify(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """See VectorTier."""
        space = self._read(persona)
        for id_, expected in zip(ids, vectors, strict=True):
            kept = space[id_][0] if id_ in space else ()
            # parts that only one side has are no fault of the vectors
            if not all(np.allclose(*pair, atol=1e-3) for pair in zip(kept, _units(expected), strict=False)):
                raise Torn(f"the vector of {id_} of {persona} is another one")

    def at(self, model: str) -> VectorTier:
        """See VectorTier."""
        with self._spaces.lock:
            return self._others.setdefault(model, MemoryVectors())

    def spare(self) -> VectorTier:
        """See VectorTier."""
        return _Spare(self._spaces)

    def clear(self, persona: str) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            self._spaces.live.pop(persona, None)

    def drop(self, persona: str) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            self._spaces.live.pop(persona, None)
            self._spaces.spare.pop(persona, None)

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

    def _read(self, persona: str) -> dict[str, tuple[NDArray[np.float32], int]]:
        with self._spaces.lock:
            return dict(self._found(persona) or {})

    def _found(self, persona: str) -> Space | None:
        if persona not in self._spaces.live and persona in self._spaces.spare:
            raise Torn(f"the vectors of {persona} are being rebuilt, or a rebuild of them was broken off")
        return self._spaces.live.get(persona)


class _Spare(MemoryVectors):
    """The spaces being filled."""

    def __init__(self, spaces: _Spaces) -> None:
        super().__init__()
        self._spaces = spaces

    def clear(self, persona: str) -> None:
        """See VectorTier."""
        with self._spaces.lock:
            self._spaces.spare[persona] = Space()

    def _found(self, persona: str) -> Space | None:
        if persona not in self._spaces.spare:
            raise Unavailable(f"no spare space of {persona}: clear() makes one")
        return self._spaces.spare[persona]


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows, or the only one, at length 1, float32, (parts, dim); a row of zeros stays one."""
    vectors = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units
