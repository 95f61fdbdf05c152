"""What is likely to be read next: first-order sequences, learned with decay.

Of two steps (what a persona read at one time) that follow each other, each memory of the first is followed by each of
the second; the weights of one such pair of steps add up to 1 at most. They halve with HALF_LIFE_DAYS. From them come
the chances of a Markov chain of the first order; one imaginary follower of weight UNSEEN stands for what was never
seen, so nothing is certain after having been seen once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from trinitas_tasks.model import Key

HALF_LIFE_DAYS: Final = 14.0
"""After how long a sequence counts half."""
WITHIN: Final = timedelta(minutes=30)
"""Steps that are not closer do not follow each other."""
KEPT: Final = 8
"""How many followers of a memory are kept."""
NEGLIGIBLE: Final = 0.005
"""The weight from which a follower is kept."""
UNSEEN: Final = 1.0
"""What weighs as much as having been followed once by something else."""


class Follower(NamedTuple):
    """A memory that was read after another one: how often, as counted at ``at``."""

    key: Key
    weight: float
    at: datetime


class Reading(Protocol):
    """What a persona read at one time."""

    @property
    def at(self) -> datetime:
        """When."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """What."""


class Transition(NamedTuple):
    """That one memory was read after another, with the part that it has in the two steps."""

    before: Key
    after: Key
    weight: float
    at: datetime


def transitions(steps: Iterable[Reading]) -> list[Transition]:
    """What followed what in the steps of one persona."""
    found: list[Transition] = []
    for step, following in pairwise(sorted(steps, key=lambda each: each.at)):
        if following.at - step.at < WITHIN:
            found += _between(dict.fromkeys(step.keys), dict.fromkeys(following.keys), following.at)
    return found


def _between(before: Iterable[Key], after: Iterable[Key], at: datetime) -> list[Transition]:
    pairs = [(one, other) for one in before for other in after]
    return [Transition(one, other, 1 / len(pairs), at) for one, other in pairs if one != other]


def followed(known: Sequence[Follower], seen: Iterable[tuple[Key, float, datetime]]) -> list[Follower]:
    """The followers of one memory after more was seen of them, as (key, weight, at): all counted at the newest of these
    times, the heaviest first, without those that hardly count."""
    counted = [*map(Follower._make, seen), *known]
    if not counted:
        return []
    newest = max(each.at for each in counted)
    weights: defaultdict[Key, list[float]] = defaultdict(list)
    for each in counted:
        weights[each.key].append(_decayed(each, newest))
    summed = [Follower(key, weight, newest) for key, weight in _added(weights).items()]
    heaviest = sorted(summed, key=lambda each: (-each.weight, each.key))[:KEPT]
    return [each for each in heaviest if each.weight >= NEGLIGIBLE]


def likely(
    recent: Sequence[tuple[Key, float]], followers: Mapping[Key, Sequence[Follower]], now: datetime, depth: int = 3
) -> dict[Key, float]:
    """How likely each memory is read within the next ``depth`` steps, 0 to 1, likeliest first.

    ``recent`` says what was just read, with the part that each had in it; parts above 1 in all are scaled down.
    """
    total = math.fsum(part for _, part in recent)
    read: defaultdict[Key, list[float]] = defaultdict(list)
    for key, part in recent:
        read[key].append(part / max(total, 1.0))
    current = _added(read)
    missed: dict[Key, float] = {}
    for _ in range(depth):
        current = _next(current, followers, now)
        for key, chance in current.items():
            missed[key] = missed.get(key, 1.0) * (1 - min(chance, 1.0))
    chances = [(key, 1 - share) for key, share in missed.items() if share < 1]
    return dict(sorted(chances, key=lambda each: (-each[1], each[0])))


def _next(current: Mapping[Key, float], followers: Mapping[Key, Sequence[Follower]], now: datetime) -> dict[Key, float]:
    """The chances of one step further."""
    parts: defaultdict[Key, list[float]] = defaultdict(list)
    for key, chance in current.items():
        weights = [(each.key, _decayed(each, now)) for each in followers.get(key, ())]
        total = math.fsum(weight for _, weight in weights) + UNSEEN
        for other, weight in weights:
            parts[other].append(chance * weight / total)
    return _added(parts)


def _added(parts: Mapping[Key, Sequence[float]]) -> dict[Key, float]:
    """Sums that do not depend on the order of what is added."""
    return {key: math.fsum(each) for key, each in parts.items()}


def _decayed(follower: Follower, now: datetime) -> float:
    days = max((now - follower.at) / timedelta(days=1), 0.0)
    return max(follower.weight, 0.0) * math.pow(0.5, days / HALF_LIFE_DAYS)
