"""Reading from the archive what the hot tier no longer holds, and what will probably be read after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import Key
from trinitas_tasks.policy.prediction import likely
from trinitas_tasks.services import granted
from trinitas_tasks.tiers.archive.interface import Archive, Reader
from trinitas_tasks.tiers.hot.interface import HotTier

logger = logging.getLogger(__name__)

AHEAD: Final = 8
"""So many memories are loaded with one that was missing."""
CHANCE: Final = 0.1
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
    """Copy what was read after these before, as far as two steps, into the hot tier; how many. Never raises: nobody
    waits for it."""
    try:
        followers = archive.followers(keys)
        if not followers:
            return 0
        followers |= archive.followers([each.key for its in followers.values() for each in its])
        chances = likely([(key, 1.0) for key in keys], followers, now)
        best = sorted(chances, key=lambda key: (-chances[key], key))[:AHEAD]
        records = granted.load([key for key in best if chances[key] >= CHANCE and key not in keys], archive)
        hot.refill([(record, seconds) for record in records.values()], asked=False)
    except TrinitasError as error:
        logger.debug("nothing was loaded ahead: %s", error)
        return 0
    return len(records)
