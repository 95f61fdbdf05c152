"""`archive_old`: episodic memories that were not used for days leave the index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from trinitas_tasks.model import MemoryType
from trinitas_tasks.services.life.cooling import Index, cool
from trinitas_tasks.services.life.report import Decision, Report, RulesOf, days
from trinitas_tasks.tiers.archive.lives import Choice, Life, Order


def archive_old(
    personas: Sequence[str], *, index: Index, rules: RulesOf, now: datetime, limit: int, dry: bool = False
) -> Report:
    """Archive the episodic memories of these personas, at most ``limit``, whose last use (their timestamp, or a later
    access) lies longer back than the rules say. Pinned ones stay. Raises: Unavailable."""
    due: list[Life] = []
    decisions: list[Decision] = []
    for persona in personas:
        oldest = rules(persona).archive_days
        choice = Choice(
            persona=persona,
            types=frozenset({MemoryType.EPISODIC}),
            pinned=False,
            used_before=now - timedelta(days=oldest),
            order=Order.USE,
        )
        found = index.archive.chosen(choice, limit + 1 - len(due))
        due += found
        decisions += [Decision(life.key, "archive", _why(life, now, oldest)) for life in found]
        if len(due) > limit:
            break
    changed = 0 if dry else cool(due[:limit], index)
    return Report(len(due[:limit]), tuple(decisions[:limit]), changed, more=len(due) > limit)


def last_use(life: Life) -> datetime:
    """The timestamp, or a later access."""
    return max(life.record.item.timestamp, life.record.item.last_access)


def unused_days(life: Life, now: datetime) -> float:
    """How long ago that was; 0 of what is dated ahead."""
    return max((now - last_use(life)).total_seconds(), 0.0) / 86_400


def _why(life: Life, now: datetime, oldest: float) -> str:
    return f"not used for {days(unused_days(life, now))}; episodic memories stay in the index for {days(oldest)}"
