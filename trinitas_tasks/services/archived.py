"""Reading from the archive what the hot tier no longer holds, and what will probably be read after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import Key
from trinitas_tasks.policy.prediction import Follower, likely
from trinitas_tasks.services import granted
from trinitas_tasks.tiers.archive.interface import Archive, Reader
from trinitas_tasks.tiers.hot.interface import HotTier

logger = logging.getLogger(__name__)

AHEAD: Final = 12
"""So many memories are loaded with one that was missing."""
STEPS: Final = 10
"""So far it is foreseen: each step is one question to the archive, 0.2 ms."""
WIDTH: Final = 3
"""Of so many followers of each memory, the likeliest, what follows on them is looked for."""
CHANCE: Final = 0.03
"""What is less likely to follow is not loaded."""


def fetch(
    persona: str, ids: Sequence[str], *, hot: HotTier, archive: Archive, cache_seconds: int, now: datetime
) -> list[str]:
    """Bring archived memories back into the hot tier; the ids of those that exist. Raises: Unavailable."""
    records = [record for record in archive.load(persona, ids) if record is not None]
    hot.refill([(record, cache_seconds) for record in records])
    load_ahead(
        [Key(persona, record.item.id) for record in records], hot=hot, archive=archive, seconds=cache_seconds, now=now
    )
    return [record.item.id for record in records]


def load_ahead(keys: Sequence[Key], *, hot: HotTier, archive: Reader, seconds: int, now: datetime) -> int:
    """Copy what was read after these before, some steps far, into the hot tier; how many. Never raises: what was asked
    for is there without it."""
    followers: dict[Key, list[Follower]] = {}
    try:
        ahead, asked = list(keys), set(keys)
        for _ in range(STEPS):
            found = archive.followers(ahead) if ahead else {}
            followers |= found
            ahead = [each.key for its in found.values() for each in its[:WIDTH] if each.key not in asked][
                : WIDTH * AHEAD
            ]
            asked.update(ahead)
            if not ahead:
                break
        chances = likely([(key, 1.0) for key in keys], followers, now, depth=STEPS)
        best = sorted(chances, key=lambda key: (-chances[key], key))[:AHEAD]
        records = granted.load([key for key in best if chances[key] >= CHANCE and key not in keys], archive)
        hot.refill([(record, seconds) for record in records.values()], asked=False)
    except TrinitasError as error:
        logger.debug("nothing was loaded ahead: %s", error)
        return 0
    return len(records)
