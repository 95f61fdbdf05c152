"""What is near to many memories at a time: one query of the vector tier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trinitas_tasks.model import Key
from trinitas_tasks.services.life.cooling import Index
from trinitas_tasks.tiers.archive.lives import Life
from trinitas_tasks.tiers.vectors.interface import Near

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def neighbours(lives: Sequence[Life], index: Index, limit: int) -> dict[Key, list[Near]]:
    """The nearest others of each of one persona's memories, by their first parts, nearest first; none where it has no
    vector. Raises: Unavailable."""
    import numpy as np  # noqa: PLC0415 - a client has none

    persona = lives[0].key.persona
    spaces = index.spaces
    vectors = index.archive.vectors(persona, [life.key.id for life in lives], spaces.naming.of(persona))
    known = [(life.key, its[0]) for life, its in zip(lives, vectors, strict=True) if its is not None]
    found: dict[Key, list[Near]] = {life.key: [] for life in lives}
    if known:
        asked: NDArray[np.float32] = np.stack([first for _, first in known])
        near = spaces.of(persona).query_many(persona, asked, limit + 1)
        for (key, _), its in zip(known, near, strict=True):
            found[key] = [each for each in its if each.id != key.id][:limit]
    return found
