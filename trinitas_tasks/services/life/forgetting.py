"""`prune`: what is hardly remembered any more leaves the index; and, only where the rules say so, the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trinitas_tasks.model import Key
from trinitas_tasks.policy import retention
from trinitas_tasks.policy.life import Rules
from trinitas_tasks.services.life.ageing import last_use, unused_days
from trinitas_tasks.services.life.cooling import cool
from trinitas_tasks.services.life.report import Decision, Report, days
from trinitas_tasks.services.life.sweep import Sweep
from trinitas_tasks.tiers.archive.lives import Audit, Choice, Life, Order, Turn

FOREVER_DAYS: Final = 36_500.0


@dataclass(frozen=True, slots=True)
class Retained:
    """How well a memory is remembered now."""

    share: float
    """The retention, 0 to 1."""
    stability_days: float
    fades_at: datetime


def retained(life: Life, rules: Rules, now: datetime) -> Retained:
    """By its importance (the caller's own, before it was computed), its accesses and the time since the last one."""
    item = life.record.item
    score = item.importance if life.score is None else life.score
    stability = retention.stability(item.type, score, life.stability_days, rules)
    fades = retention.fades_after_days(item.type, score, life.stability_days, rules)
    share = retention.retention(unused_days(life, now), stability)
    return Retained(share, stability, fades_at(last_use(life), fades))


def fades_at(used: datetime, fades_days: float) -> datetime:
    """When a memory has faded that was used then."""
    try:
        return used + timedelta(days=min(fades_days, FOREVER_DAYS))
    except OverflowError:
        return datetime.max.replace(tzinfo=used.tzinfo)


def prune(personas: Sequence[str], sweep: Sweep) -> Report:
    """Archive memories of these personas whose retention is below what the rules say, and of those who have more than
    the rules allow the ones that fade first; then delete archived ones past a retention limit, if there is one. Pinned
    ones are exempt from all of it. Raises: Unavailable."""
    report = Report()
    for persona in personas:
        decided: set[Key] = set()
        for part in (_faded, _overflowing, _expired):
            left = replace(sweep, limit=max(sweep.limit - report.examined, 0))
            found = part(persona, left, decided)
            report += found
            decided |= {each.key for each in found.decisions}
            if found.more:
                return report
    return report


def _faded(persona: str, sweep: Sweep, decided: set[Key]) -> Report:  # noqa: ARG001 - it comes first
    choice = Choice(persona=persona, pinned=False, fading_by=sweep.now, order=Order.FADING)
    found = sweep.index.archive.chosen(choice, sweep.limit + 1)
    looked = [(life, retained(life, sweep.rules(persona), sweep.now)) for life in found[: sweep.limit]]
    faded = [life for life, its in looked if its.fades_at <= sweep.now]
    decisions = tuple(
        Decision(life.key, "archive", retention.reason(unused_days(life, sweep.now), its.stability_days))
        for life, its in looked
        if its.fades_at <= sweep.now
    )
    if not sweep.dry:
        later = [Turn(life.key, life.record.version, fades_at=its.fades_at) for life, its in looked]
        sweep.index.archive.turn(later)
    changed = 0 if sweep.dry else cool(faded, sweep.index)
    return Report(len(looked), decisions, changed, more=len(found) > sweep.limit)


def _overflowing(persona: str, sweep: Sweep, decided: set[Key]) -> Report:
    archive, most = sweep.index.archive, sweep.rules(persona).max_memories
    if not most:
        return Report()
    over = archive.active(persona) - most - (len(decided) if sweep.dry else 0)
    wanted = max(min(over, sweep.limit), 0)
    choice = Choice(persona=persona, pinned=False, order=Order.FADING)
    found = [life for life in archive.chosen(choice, wanted + len(decided)) if life.key not in decided][:wanted]
    why = f"{persona} has more than {most:,} memories, and this one fades first"
    changed = 0 if sweep.dry else cool(found, sweep.index)
    return Report(len(found), tuple(Decision(life.key, "archive", why) for life in found), changed, more=over > wanted)


def _expired(persona: str, sweep: Sweep, decided: set[Key]) -> Report:
    """What was only archived now is not deleted in the same run: nobody could have asked for it."""
    report = Report()
    for kind, oldest in sweep.rules(persona).delete_after_days.items():
        left = sweep.limit - len(report.decisions)
        choice = Choice(
            persona=persona,
            types=frozenset({kind}),
            cold=True,
            pinned=False,
            used_before=sweep.now - timedelta(days=oldest),
            order=Order.USE,
        )
        found = [
            life for life in sweep.index.archive.chosen(choice, left + 1 + len(decided)) if life.key not in decided
        ]
        due = _standing(found[:left], sweep)
        report += Report(len(due), _deleted(due, oldest, sweep), 0 if sweep.dry else len(due), more=len(found) > left)
        if report.more:
            break
    return report


def _standing(lives: Sequence[Life], sweep: Sweep) -> list[Life]:
    """Without those that a run before has deleted: the archive is told a moment later."""
    standings = sweep.index.hot.standings([life.key for life in lives])
    return [life for life, each in zip(lives, standings, strict=True) if each is None or not each.gone]


def _deleted(due: Sequence[Life], oldest: float, sweep: Sweep) -> tuple[Decision, ...]:
    decisions = tuple(
        Decision(life.key, "delete", f"not used for {days(unused_days(life, sweep.now))}, more than {days(oldest)}")
        for life in due
    )
    if due and not sweep.dry:
        # told before it is done: the row must outlive the memory
        sweep.index.archive.audit([Audit(sweep.now, "prune", each.action, each.key, each.why) for each in decisions])
        sweep.index.hot.forget([each.key for each in decisions], above=max(each.record.version for each in due))
    return decisions
