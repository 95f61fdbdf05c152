"""`why`: what is known of a memory's life, in numbers and in words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trinitas_tasks.errors import NotFound, Unavailable
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.policy.life import Rules
from trinitas_tasks.services.life.ageing import last_use, unused_days
from trinitas_tasks.services.life.forgetting import retained
from trinitas_tasks.services.life.report import days
from trinitas_tasks.services.life.scoring import Assessed, assess
from trinitas_tasks.services.life.sweep import Sweep
from trinitas_tasks.tiers.archive.lives import Consolidation, Life


def explain(key: Key, sweep: Sweep) -> dict[str, Any]:
    """Where a memory is, how important and how well remembered it is and by what, what was done to it, and what comes
    next. Raises: NotFound (the archive has none, or not yet), Unavailable."""
    index, now = sweep.index, sweep.now
    life = index.archive.lives(key.persona, [key.id])[0]
    if life is None:
        raise NotFound(f"{key.persona} has no archived memory {key.id}")
    item, its = life.record.item, sweep.rules(key.persona)
    assessed: Assessed | None
    try:
        assessed = assess([life], sweep)[0]
    except Unavailable:  # everything else is known
        assessed = None
    remembered = retained(life, its, now)
    standing = index.hot.standings([key])[0]
    return {
        "persona": key.persona,
        "id": key.id,
        "type": item.type.value,
        "in_redis": standing is not None and not standing.gone,
        "archived": life.cold,
        "pinned": life.pinned,
        "accesses": item.access_count,
        "last_use": last_use(life).isoformat(),
        "unused_days": round(unused_days(life, now), 3),
        "importance": _importance(life, assessed),
        "retention": {
            "now": round(remembered.share, 4),
            "stability_days": round(remembered.stability_days, 2),
            "forgotten_below": its.forget_below,
            "fades_at": remembered.fades_at.isoformat(),
        },
        "useful": life.useful,
        "useless": life.useless,
        "representative": life.representative,
        "read_next": [
            {**each.key._asdict(), "weight": round(each.weight, 3)}
            for each in index.archive.followers([key]).get(key, ())
            if each.key.persona == key.persona  # others read it too, and their own memories after it
        ],
        "consolidations": [told(each) for each in index.archive.consolidations(key=key)],
        "audit": [
            {**each._asdict(), "at": each.at.isoformat(), "key": each.key.id}
            for each in index.archive.audits(20, key=key)
        ],
        "next": _next(life, its, remembered.fades_at, now),
    }


def _importance(life: Life, assessed: Assessed | None) -> dict[str, Any]:
    stored = {"own": life.record.item.importance, "stored": life.score}
    if assessed is None:
        return {**stored, "now": None, "parts": {}, "features": {}}
    features = {name: round(getattr(assessed.features, name), 4) for name in assessed.features.__dataclass_fields__}
    parts = {name: round(value, 4) for name, value in assessed.scored.parts.items()}
    return {**stored, "now": round(assessed.scored.score, 4), "parts": parts, "features": features}


def _next(life: Life, rules: Rules, fades_at: datetime, now: datetime) -> str:
    """What becomes of it if nobody reads it."""
    if life.pinned:
        return "it is pinned: nothing takes it away but forget()"
    if life.cold:
        return "it is archived: recall with include_archived finds it, and reading it brings it back"
    faded = max((fades_at - now).total_seconds() / 86_400, 0.0)
    aged = max(rules.archive_days - unused_days(life, now), 0.0)
    if life.record.item.type is MemoryType.EPISODIC and aged <= faded:
        return f"unread, it is archived in {days(aged)}: episodic memories stay {days(rules.archive_days)}"
    return f"unread, it is forgotten (archived) in {days(faded)}"


def told(done: Consolidation) -> dict[str, Any]:
    """A consolidation, for people and programs."""
    return {
        "number": done.seq,
        "kind": done.kind,
        **done.key._asdict(),
        "at": done.at.isoformat(),
        "before": dict(done.before),
        "after": dict(done.after),
        "why": done.why,
        "undone_at": done.undone_at and done.undone_at.isoformat(),
    }
