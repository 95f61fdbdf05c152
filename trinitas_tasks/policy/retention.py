"""How well a memory is still remembered, and when it fades.

    R = exp(-t / S)

t is how many days it was not used, S its stability in days: the curve usually named after Ebbinghaus (Über das
Gedächtnis, 1885), as MemoryBank (Zhong et al., AAAI 2024) uses it for agents. Averaged over people and items forgetting
is nearer to a power of time (Wixted and Carpenter, Psychological Science 18, 2007); one memory whose S grows with its
use comes close to that, and an exponential has one time at which it fades, which an index can be asked for.

S grows with every access by what passed since the last one, at most by itself: repeating at once teaches little,
repeating after a while much (the spacing effect; Cepeda et al., Psychological Bulletin 132, 2006). Importance scales
it from a half to twice.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final, NamedTuple

from trinitas_tasks.model import MemoryItem, MemoryType
from trinitas_tasks.policy.life import Rules

GAIN: Final = 1.0
"""Which part of the gap before an access is added to the stability."""
IMPORTANCE_RATIO: Final = 4.0
"""How many times longer the most important memory is remembered than the least."""
MAX_STABILITY_DAYS: Final = 3650.0
"""What accesses make of it at most."""
MIN_STABILITY_DAYS: Final = 1 / 86_400


def stability(kind: MemoryType, score: float, grown: float | None, rules: Rules) -> float:
    """The effective days S of a memory of this importance, 0 to 1, whose accesses made its stability ``grown`` days."""
    days = rules.stability_days[kind] if grown is None else grown
    return max(days * math.pow(IMPORTANCE_RATIO, score - 0.5), MIN_STABILITY_DAYS)


def strengthened(stability_days: float, gap_days: float) -> float:
    """The stability (without importance) after an access that came ``gap_days`` after the last use.

    >>> strengthened(14, 0), strengthened(14, 7), strengthened(14, 100)
    (14.0, 21.0, 28.0)
    """
    grown = stability_days + GAIN * min(max(gap_days, 0.0), stability_days)
    return max(float(stability_days), min(grown, MAX_STABILITY_DAYS))


def retention(unused_days: float, effective_days: float) -> float:
    """How well it is remembered, 0 to 1; ``effective_days`` is its stability, above 0."""
    return math.exp(-max(unused_days, 0.0) / effective_days)


def fades_after_days(kind: MemoryType, score: float, grown: float | None, rules: Rules) -> float:
    """How many days after its last use its retention falls below what is forgotten; infinite where nothing is."""
    if rules.forget_below == 0:
        return math.inf
    return stability(kind, score, grown, rules) * abs(math.log(rules.forget_below))


class Outlook(NamedTuple):
    """What awaits a memory that comes from elsewhere: whether it is archived at once, by its age or since it is hardly
    remembered, and whether it is deleted after that."""

    archived: bool
    deleted: bool


def outlook(item: MemoryItem, rules: Rules, now: datetime) -> Outlook:
    """By these rules, as long as nobody reads or pins it."""
    unused = (now - max(item.timestamp, item.last_access)).total_seconds() / 86_400
    aged = item.type is MemoryType.EPISODIC and unused > rules.archive_days
    faded = unused > fades_after_days(item.type, item.importance, None, rules)
    limit = rules.delete_after_days.get(item.type, math.inf)
    return Outlook(aged or faded, (aged or faded) and unused > limit)


def reason(unused_days: float, effective_days: float) -> str:
    """Why it is forgotten, for people.

    >>> reason(41, 16)
    'retention 0.08 after 41 days unused (stability 16 days)'
    """
    kept = retention(unused_days, effective_days)
    return f"retention {kept:.2f} after {_told(unused_days)} unused (stability {_told(effective_days)})"


def _told(days: float) -> str:
    amount, unit = (days, "day") if days >= 1 else (max(days, 0.0) * 24, "hour")
    shown = f"{amount:.0f}" if amount >= 10 else f"{amount:.1f}".removesuffix(".0")
    return f"{shown} {unit}" if shown == "1" else f"{shown} {unit}s"
