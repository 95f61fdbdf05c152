"""Reading from the archive what the hot tier no longer holds, and telling it what was read."""

from __future__ import annotations

from collections.abc import Sequence

from trinitas_tasks.tiers.archive.interface import Archive, Touch
from trinitas_tasks.tiers.hot.interface import HotTier


def fetch(persona: str, ids: Sequence[str], *, hot: HotTier, archive: Archive, cache_seconds: int) -> list[str]:
    """Bring archived memories back into the hot tier; the ids of those that exist. Raises: Unavailable."""
    records = [record for record in archive.load(persona, ids) if record is not None]
    hot.refill([(record, cache_seconds) for record in records])
    return [record.item.id for record in records]


def flush_access(*, hot: HotTier, archive: Archive, limit: int) -> int:
    """Move counted accesses from the hot tier to the archive, at most ``limit`` memories; how many.

    Counts are estimates: those of a run that fails are lost. Raises: Unavailable.
    """
    taken = hot.take_accesses(limit)
    if taken:
        archive.touch([Touch(access.key, access.count, access.last) for access in taken])
    return len(taken)
