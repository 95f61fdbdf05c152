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

    A chunk holds ``seq``, id and vector (see `blobs`, all of one dimension). Of several vectors of a memory the best
    one counts, wherever they stand. Takes memory for one chunk and ``limit`` answers.
    """
    best: dict[int, tuple[float, int, str]] = {}
    for chunk in chunks:
        similarities = _cosines(b"".join(data for _, _, data in chunk), vector)
        firsts, similarities = _best_of_each([seq for seq, _, _ in chunk], similarities)
        for at in _highest(similarities, limit):
            seq, id_, _ = chunk[firsts[at]]
            found = (-float(similarities[at]), seq, id_)
            best[seq] = min(found, best.get(seq, found))
        best = {each[1]: each for each in heapq.nsmallest(limit, best.values())}
    return [Similar(id_, -distance) for distance, _, id_ in best.values()]


def _best_of_each(seqs: Sequence[int], similarities: NDArray[np.float32]) -> tuple[list[int], NDArray[np.float32]]:
    """Where each ``seq`` stands first, and the highest of its values."""
    different, firsts, places = np.unique(np.array(seqs, np.int64), return_index=True, return_inverse=True)
    highest = np.full(len(different), -np.inf, np.float32)
    np.maximum.at(highest, places, similarities)
    return firsts.tolist(), highest


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
