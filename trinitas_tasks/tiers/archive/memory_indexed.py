"""The vectors of memories, as `MemoryArchive` keeps them, and of which of them the vector tier was told."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.model import Key
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.blobs import to_blob
from trinitas_tasks.tiers.archive.interface import UNFILTERED, Similar, Unindexed
from trinitas_tasks.tiers.archive.memory_definitions import MemoryDefinitions
from trinitas_tasks.tiers.archive.memory_held import Held
from trinitas_tasks.tiers.archive.nearest import nearest


class MemoryIndexed(MemoryDefinitions):
    """That part of the contract of Archive over dictionaries."""

    def mark_indexed(self, keys: Sequence[tuple[Key, int]], model: str, *, cold: bool = False) -> None:
        """See Archive."""
        with self._lock:
            for key, version in keys:
                held = self._memories.get(key)
                if held and (held.version, held.cold) == (version, cold) and model in held.vectors:
                    held.indexed.add(model)

    def mark_unindexed(self, keys: Sequence[tuple[Key, int]], model: str) -> None:
        """See Archive."""
        with self._lock:
            for key, version in keys:
                held = self._memories.get(key)
                if held is not None and held.version == version:
                    held.indexed.discard(model)

    def unindexed(self, naming: Naming, limit: int) -> list[Unindexed]:
        """See Archive."""
        with self._lock:
            waiting = (
                Unindexed(key, held.version, held.vectors[model].copy(), held.cold)
                for key, held in self._by_seq()
                if (model := naming.of(key.persona)) in held.vectors and model not in held.indexed
            )
            return list(itertools.islice(waiting, limit))

    def vectors(self, persona: str, ids: Sequence[str], model: str) -> list[NDArray[np.float32] | None]:
        """See Archive."""
        with self._lock:
            held = [self._memories.get(Key(persona, id_)) for id_ in ids]
            found = [memory.vectors.get(model) if memory else None for memory in held]
            return [vectors if vectors is None else vectors.copy() for vectors in found]

    def nearest(
        self,
        persona: str,
        vector: NDArray[np.float32],
        model: str,
        limit: int,
        *,
        filters: Filters = UNFILTERED,
        cold: bool | None = None,
    ) -> list[Similar]:
        """See Archive."""
        if cold is not None:
            filters = filters.model_copy(update={"include_archived": True})
        with self._lock:
            mine = [
                (held.seq, key.id, to_blob(part))
                for key, held in self._memories.items()
                if key.persona == persona and held.admitted(filters) and cold in (None, held.cold)
                for part in held.vectors.get(model, ())
                if len(part) == len(vector)
            ]
        return nearest(vector, [mine], limit)

    def _by_seq(self) -> list[tuple[Key, Held]]:
        return sorted(self._memories.items(), key=lambda pair: pair[1].seq)
