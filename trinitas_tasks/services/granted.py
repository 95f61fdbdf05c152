"""What was shared with a persona, as its recalls find it: few memories, looked at one by one.

Their owners' indexes are not asked: those know nothing of grants, and would be searched for the sake of a few.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.archive.interface import Archive, Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Close(NamedTuple):
    """A memory and its cosine similarity to the query, -1 to 1."""

    key: Key
    similarity: float


def load(keys: Iterable[Key], archive: Reader) -> dict[Key, Record]:
    """What the archive has of these, whoever owns them. Raises: Unavailable."""
    found: dict[Key, Record] = {}
    for owner, group in groupby(sorted(keys), key=lambda key: key.persona):
        mine = list(group)
        loaded = zip(mine, archive.load(owner, [key.id for key in mine]), strict=True)
        found |= {key: record for key, record in loaded if record is not None}
    return found


def nearest(
    vector: NDArray[np.float32], keys: Collection[Key], *, archive: Archive, model: str, limit: int, cold: bool
) -> list[Close]:
    """Those of them whose vectors are most similar to this one, best first: exactly; the ``cold`` ones only if asked
    for. Raises: Unavailable."""
    close: list[Close] = []
    for owner, group in groupby(sorted(keys), key=lambda key: key.persona):
        mine = list(group)
        if not cold:
            left_out = archive.cold(owner, [key.id for key in mine])
            mine = [key for key in mine if key.id not in left_out]
        vectors = archive.vectors(owner, [key.id for key in mine], model)
        close += [
            Close(key, _cosine(vector, each)) for key, each in zip(mine, vectors, strict=True) if each is not None
        ]
    return sorted(close, key=lambda each: -each.similarity)[:limit]


def _cosine(one: NDArray[np.float32], parts: NDArray[np.float32]) -> float:
    """To the most similar of a memory's parts; 0 where there is no direction to compare."""
    return max((_cosine_of(one, part) for part in parts), default=0.0)


def _cosine_of(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    lengths = float((one @ one) * (other @ other)) ** 0.5 if len(one) == len(other) else 0.0
    return float(one @ other) / lengths if lengths else 0.0
