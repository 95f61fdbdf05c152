"""`archive_old`: episodic memories that were not used for days leave the index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from trinitas_tasks.model import MemoryType
from trinitas_tasks.services.life.cooling import cool
from trinitas_tasks.services.life.report import Decision, Report, days
from trinitas_tasks.services.life.sweep import Sweep
from trinitas_tasks.tiers.archive.lives import Choice, Life, Order


def archive_old(personas: Sequence[str], sweep: Sweep) -> Report:
    """Archive the episodic memories of these personas whose last use (their timestamp, or a later access) lies longer
    back than the rules say. Pinned ones stay. Raises: Unavailable."""
    due: list[Life] = []
    decisions: list[Decision] = []
    for persona in personas:
        oldest = sweep.rules(persona).archive_days
        choice = Choice(
            persona=persona,
            types=frozenset({MemoryType.EPISODIC}),
            pinned=False,
            used_before=sweep.now - timedelta(days=oldest),
            order=Order.USE,
        )
        found = sweep.index.archive.chosen(choice, sweep.limit + 1 - len(due))
        due += found
        decisions += [Decision(life.key, "archive", _why(life, sweep.now, oldest)) for life in found]
        if len(due) > sweep.limit:
            break
    more, due = len(due) > sweep.limit, due[: sweep.limit]
    changed = 0 if sweep.dry else cool(due, sweep.index)
    return Report(len(due), tuple(decisions[: sweep.limit]), changed, more=more)


def last_use(life: Life) -> datetime:
    """The timestamp, or a later access."""
    return max(life.record.item.timestamp, life.record.item.last_access)


def unused_days(life: Life, now: datetime) -> float:
    """How long ago that was; 0 of what is dated ahead."""
    return max((now - last_use(life)).total_seconds(), 0.0) / 86_400


def _why(life: Life, now: datetime, oldest: float) -> str:
    return f"not used for {days(unused_days(life, now))}; episodic memories stay in the index for {days(oldest)}"
