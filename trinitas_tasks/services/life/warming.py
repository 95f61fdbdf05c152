"""`warm_cache`: copies of what will probably be read soon are put into the hot tier before anybody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from trinitas_tasks.model import Key
from trinitas_tasks.policy.importance import frequency, recency
from trinitas_tasks.policy.prediction import likely
from trinitas_tasks.services.life.ageing import unused_days
from trinitas_tasks.services.life.report import Decision, Report
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Choice, Life, Order
from trinitas_tasks.tiers.hot.interface import HotTier

RECENT: Final = 20
"""From so many of the memories that a persona read last it is told what it will read next."""
RECENCY_HALF_LIFE_DAYS: Final = 0.25
"""A memory that was read six hours ago is half as likely to be read as one that was read now."""
OVERHEAD_BYTES: Final = 1000
"""What a copy takes beside its body, roughly: only for the choice; the hot tier counts for itself."""
LEAST: Final = 50
"""So many are looked at for each persona, however many there are."""
MOST: Final = 10_000
"""So many are looked at for all personas together: a second of work."""
TOGETHER: Final = 200
SHARE: Final = 0.8
"""So much of the room is filled with guesses at most: the rest is left to what is really read."""


def warm_cache(
    personas: Sequence[str],
    *,
    hot: HotTier,
    archive: Archive,
    seconds: int,
    now: datetime,
    dry: bool = False,
) -> Report:
    """Load copies for so many seconds, or have those that are there last as long: what is read after what these
    personas read last, then the important, often and recently read ones, as far as they have room.

    Raises: Unavailable.
    """
    room = int(hot.copies().limit * SHARE)
    fit = min(room // OVERHEAD_BYTES, MOST)
    each_has = max(fit // max(len(personas), 1), LEAST)
    examined = 0
    expected: list[tuple[float, Life]] = []
    for persona in personas:
        candidates = _candidates(persona, archive, each_has, now)
        examined += len(candidates)
        expected += [(chance, life) for life, chance in candidates]
    chosen: list[tuple[float, Life]] = []
    for chance, life in sorted(expected, key=lambda each: (-each[0], each[1].key)):
        size = len(life.record.item.to_json()) + OVERHEAD_BYTES
        if size <= room:
            room -= size
            chosen.append((chance, life))
    if not dry:
        for start in range(0, len(chosen), TOGETHER):  # while Redis takes them over, it does nothing else
            hot.refill([(life.record, seconds) for _, life in chosen[start : start + TOGETHER]], asked=False)
    decisions = tuple(Decision(life.key, "warm", f"chance {chance:.3f} to be read soon") for chance, life in chosen)
    return Report(examined, decisions, 0 if dry else len(chosen))


def _candidates(persona: str, archive: Archive, limit: int, now: datetime) -> list[tuple[Life, float]]:
    """The best of a persona, with the chance that each is read soon: that of being next, or what its use and importance
    let expect."""
    recent = archive.chosen(Choice(persona=persona, order=Order.RECENCY), limit)
    important = archive.chosen(Choice(persona=persona, order=Order.SCORE), limit)
    read = [life for life in recent[:RECENT] if life.record.item.access_count]
    following = _following([life.key for life in read], archive, now)
    known = {life.key: life for life in (*recent, *important)}
    lacking = [key for key in following if key not in known and key.persona == persona]
    found = archive.lives(persona, [key.id for key in lacking])
    known |= {life.key: life for life in found if life is not None}
    chances = {key: max(following.get(key, 0.0), _chance(life, now)) for key, life in known.items()}
    best = sorted(known.values(), key=lambda life: (-chances[life.key], life.key))[:limit]
    return [(life, chances[life.key]) for life in best]


def _following(read: Sequence[Key], archive: Archive, now: datetime) -> Mapping[Key, float]:
    """What comes next, by up to three steps from each: the latest weighs most."""
    weights = [(key, 0.5 ** (place / 4)) for place, key in enumerate(read)]
    followers, asked = dict(archive.followers(read)), set(read)
    for _ in range(2):
        ahead = {each.key for its in followers.values() for each in its} - asked
        asked |= ahead
        followers |= archive.followers(sorted(ahead))
    return likely(weights, followers, now)


def _chance(life: Life, now: datetime) -> float:
    """Below 1: nothing that is only expected comes before what was learned to be next for certain."""
    item = life.record.item
    score = item.importance if life.score is None else life.score
    used = recency(unused_days(life, now), RECENCY_HALF_LIFE_DAYS)
    return (2 * frequency(item.access_count) + used + score) / 8
