"""`archive_expiring`: what is about to leave the hot tier is proven to be in the archive, or stays."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from trinitas_tasks.model import Key
from trinitas_tasks.services.life.report import Decision, Report
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.hot.interface import HotTier, Standing

WITHIN_SECONDS: Final = 180
"""Three runs before the end of their time."""


def archive_expiring(*, hot: HotTier, archive: Archive, limit: int, dry: bool = False) -> Report:
    """Look for copies, at most ``limit``, that leave soon; those whose version the archive lacks (it was restored from
    an older state, say) become the only copies again and are archived anew. Raises: Unavailable."""
    leaving = hot.leaving(WITHIN_SECONDS, limit)
    proven: list[tuple[Key, int]] = []
    lacking: list[tuple[Key, int]] = []
    for persona, group in groupby(sorted(leaving, key=lambda each: each.key), key=lambda each: each.key.persona):
        mine = list(group)
        versions = archive.versions(persona, [each.key.id for each in mine])
        for each, archived in zip(mine, versions, strict=True):
            (proven if _is_safe(each, archived) else lacking).append((each.key, each.version))
    if not dry:
        hot.prove(proven)
        hot.requeue(lacking)
    why = "the archive lacks it: it stays in Redis and is archived again"
    decisions = tuple(Decision(key, "keep", why) for key, _ in lacking)
    return Report(len(leaving), decisions, 0 if dry else len(lacking), more=len(leaving) == limit and not dry)


def _is_safe(standing: Standing, archived: int | None) -> bool:
    return archived is not None and archived >= standing.version
