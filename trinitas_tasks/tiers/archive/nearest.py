"""The nearest of many vectors, exactly, a chunk of them at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.tiers.archive.interface import Similar


def nearest(
    vector: NDArray[np.float32], chunks: Iterable[Sequence[tuple[int, str, bytes]]], limit: int
) -> list[Similar]:
    """The memories whose vectors have the highest cosine to this one, best first, of equals the lowest ``seq``.

    A chunk holds ``seq``, id and vector (see `blobs`, all of one dimension). Takes memory for one chunk and
    ``limit`` answers.
    """
    best: list[tuple[float, int, str]] = []
    for chunk in chunks:
        similarities = _cosines(b"".join(data for _, _, data in chunk), vector)
        found = [(-float(similarities[at]), *chunk[at][:2]) for at in _highest(similarities, limit)]
        best = heapq.nsmallest(limit, best + found)
    return [Similar(id_, -distance) for distance, _, id_ in best]


def _cosines(data: bytes, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """To each vector of the data, -1 to 1; 0 where either has no direction."""
    matrix = np.frombuffer(data, dtype="<f4").reshape(-1, len(vector))
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix)) * np.linalg.norm(vector)
        # not `@`: for so little work the threads of BLAS cost more than they save
        cosines: NDArray[np.float32] = np.nan_to_num(np.einsum("ij,j->i", matrix, vector) / lengths, nan=0.0)
    return cosines.clip(-1.0, 1.0)


def _highest(values: NDArray[np.float32], limit: int) -> list[int]:
    """Where the highest stand, at least ``limit`` of them: all that equal the last one too."""
    if limit >= len(values):
        return list(range(len(values)))
    return np.flatnonzero(values >= np.partition(values, -limit)[-limit]).tolist()
