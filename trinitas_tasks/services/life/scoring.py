"""`score_importance`: how important memories are, by what they are, how they are used and what was said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Final

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.policy import importance, retention
from trinitas_tasks.policy.importance import Features, Scored
from trinitas_tasks.services.life.ageing import last_use, unused_days
from trinitas_tasks.services.life.cooling import Index
from trinitas_tasks.services.life.forgetting import fades_at
from trinitas_tasks.services.life.neighbours import neighbours
from trinitas_tasks.services.life.report import Decision, Report
from trinitas_tasks.services.life.sweep import Sweep
from trinitas_tasks.tiers.archive.lives import Choice, Feedback, Life, Order, Turn

NEAREST: Final = 5
"""Of so many nearest neighbours a memory's uniqueness is told."""
FEEDBACK: Final = 500
"""So much of it is learned from in one run."""
MOVED: Final = 0.005
"""A change of the importance by less than this is not worth telling."""


@dataclass(frozen=True, slots=True)
class Assessed:
    """A memory's importance, and the features that it follows from."""

    life: Life
    features: Features
    scored: Scored


def score_importance(personas: Sequence[str], sweep: Sweep) -> Report:
    """Compute the importance of the memories of these personas whose last one is too old or that have none; and learn
    from feedback which features matter to a persona. Raises: Unavailable."""
    archive = sweep.index.archive
    told = archive.feedback(FEEDBACK)
    report = Report(more=len(told) == FEEDBACK and not sweep.dry)
    for persona in personas:
        left = sweep.limit - report.examined
        weights: Mapping[str, float] = {**importance.DEFAULT_WEIGHTS, **archive.weights(persona)}
        mine = [each for each in told if each.key.persona == persona]
        learned, weights = _learned(persona, mine, weights, sweep) if mine else (Report(), weights)
        done = {each.key for each in learned.decisions}
        before = sweep.now - timedelta(hours=sweep.rules(persona).score_hours)
        choice = Choice(persona=persona, scored_before=before, order=Order.SCORING)
        found = archive.chosen(choice, left + 1 + (len(done) if sweep.dry else 0))
        due = [life for life in found if life.key not in done]
        scored = _scored(persona, due[:left], weights, sweep)
        report += replace(learned + scored, more=report.more or len(due) > left)
        if report.examined >= sweep.limit:
            return replace(report, more=report.more or persona != personas[-1])
    return report


def _scored(persona: str, lives: Sequence[Life], weights: Mapping[str, float], sweep: Sweep) -> Report:
    if not lives:
        return Report()
    try:
        assessed = assess(lives, sweep, weights)
    except Unavailable as error:  # the next run finds them
        return Report(len(lives), errors=(f"{persona}: {error}",))
    moved = [each for each in assessed if _moved(each)]
    decisions = tuple(Decision(each.life.key, "score", _why(each)) for each in moved)
    if not sweep.dry:
        sweep.index.archive.turn([_turn(each, sweep) for each in assessed])
    return Report(len(lives), decisions, 0 if sweep.dry else len(moved))


def _moved(assessed: Assessed) -> bool:
    before = assessed.life.score
    return before is None or abs(before - assessed.scored.score) >= MOVED


def _why(assessed: Assessed) -> str:
    """The new importance, and what most speaks for and against it."""
    before = assessed.life.score
    parts = sorted(assessed.scored.parts.items(), key=lambda part: -abs(part[1]))[:3]
    told = ", ".join(f"{name} {value:+.2f}" for name, value in parts)
    return f"{'new' if before is None else f'{before:.2f}'} → {assessed.scored.score:.2f} ({told})"


def _turn(assessed: Assessed, sweep: Sweep) -> Turn:
    life, score = assessed.life, assessed.scored.score
    item = life.record.item
    fades = retention.fades_after_days(item.type, score, life.stability_days, sweep.rules(item.persona))
    return Turn(
        life.key, life.record.version, score=score, scored_at=sweep.now, fades_at=fades_at(last_use(life), fades)
    )


def _learned(
    persona: str, told: Sequence[Feedback], known: Mapping[str, float], sweep: Sweep
) -> tuple[Report, Mapping[str, float]]:
    """Take the feedback on a persona's memories into its weights; they are scored anew on the way."""
    archive = sweep.index.archive
    found = archive.lives(persona, list(dict.fromkeys(each.key.id for each in told)))
    try:
        lives = [life for life in found if life is not None]
        assessed = {each.life.key: each for each in assess(lives, sweep, known)}
    except Unavailable as error:
        return Report(len(told), errors=(f"{persona}: {error}",)), known
    weights = _weights_after(known, told, assessed)
    if not sweep.dry:
        turns = [_turn(each, sweep) for each in assessed.values()]
        archive.learn(turns, {persona: weights}, [each.seq for each in told])
    why = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
    decisions = tuple(Decision(key, "learn", f"weights of {persona}: {why}") for key in assessed)
    return Report(len(told), decisions, 0 if sweep.dry else len(assessed)), weights


def _weights_after(
    known: Mapping[str, float], told: Sequence[Feedback], assessed: Mapping[Key, Assessed]
) -> dict[str, float]:
    weights = dict(known)
    for each in told:
        if (its := assessed.get(each.key)) is not None:
            own = its.life.record.item.importance
            expected = importance.importance(own, its.features, weights, 0, 0).score
            weights = importance.learned(weights, its.features, expected, each.useful)
    return weights


def assess(lives: Sequence[Life], sweep: Sweep, known: Mapping[str, float] | None = None) -> list[Assessed]:
    """The importance of each, in order, by these weights or those of its persona: one query of the vector tier a
    persona. Raises: Unavailable."""
    index = sweep.index
    found: dict[Key, Assessed] = {}
    for persona, group in groupby(sorted(lives, key=lambda life: life.key), key=lambda life: life.key.persona):
        mine = list(group)
        weights = known or {**importance.DEFAULT_WEIGHTS, **index.archive.weights(persona)}
        near = neighbours(mine, index, NEAREST)
        degrees = _degrees(mine, index)
        for life in mine:
            item, key = life.record.item, life.key
            features = Features(
                uniqueness=importance.uniqueness([each.similarity for each in near[key]]),
                recency=importance.recency(
                    unused_days(life, sweep.now), sweep.rules(persona).half_life_days[item.type]
                ),
                frequency=importance.frequency(item.access_count),
                richness=importance.richness(item),
                connectivity=importance.connectivity(degrees[key]),
            )
            scored = importance.importance(item.importance, features, weights, life.useful, life.useless)
            found[key] = Assessed(life, features, scored)
    return [found[life.key] for life in lives]


def _degrees(lives: Sequence[Life], index: Index) -> dict[Key, int]:
    """With how many others each of one persona's memories is connected: what is read after it, whom it is shared with,
    and the one that stands for it."""
    keys = [life.key for life in lives]
    followers = index.archive.followers(keys)
    grants = index.archive.grants(keys[0].persona, [key.id for key in keys])
    return {
        life.key: len(followers.get(life.key, ()))
        + sum(not grant.revoked for grant in its)
        + (life.representative is not None)
        for life, its in zip(lives, grants, strict=True)
    }
