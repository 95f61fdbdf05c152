"""`flush_access`: what was read and said of memories goes from the hot tier into the archive, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from trinitas_tasks.model import Key
from trinitas_tasks.policy import retention
from trinitas_tasks.policy.prediction import Follower, followed, transitions
from trinitas_tasks.services.life.ageing import last_use
from trinitas_tasks.services.life.forgetting import fades_at
from trinitas_tasks.services.life.report import Report, RulesOf
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Feedback, Life, Settlement, Use
from trinitas_tasks.tiers.hot.interface import Access, HotTier, Noted, Said, Signal, Step

PINS = {Said.PIN: True, Said.UNPIN: False}
OPINIONS = {Said.USEFUL: True, Said.USELESS: False}


def settle(*, hot: HotTier, archive: Archive, rules: RulesOf, limit: int, dry: bool = False) -> Report:
    """Keep at most ``limit`` accesses (and as many steps and signals): counts, what they make of the memories, which
    memory was read after which, pins and feedback. A cold memory that was read or pinned is active again.

    The hot tier gives the same batch until it is told that the archive has it, and the archive counts no batch twice:
    so a run may end at any point. Raises: Unavailable.
    """
    noted = hot.noted(limit)
    counted = len(noted.accesses) + len(noted.signals)
    if dry or not noted.batch:
        return Report(counted)
    cold, full = set[str](), _is_full(noted, limit)
    if noted.batch > archive.settled():
        lives = _lives([*(each.key for each in noted.accesses), *(each.key for each in noted.signals)], archive)
        lacking = {each.key for each in noted.signals} - lives.keys()
        waiting = {key for key in lacking if hot.unarchived(key)}
        lives |= _lives(lacking - waiting, archive)  # archived meanwhile
        early = [each for each in noted.signals if each.key in waiting]
        hot.postpone(early)  # what was said of a memory that is not archived yet waits for that
        full = full and (len(early) < len(noted.signals) or bool(noted.accesses or noted.steps))  # else it never ends
        settlement = Settlement(
            noted.batch,
            uses=[_use(access, lives[access.key], rules) for access in noted.accesses if access.key in lives],
            followers=_followers(noted.steps, archive),
            pins={each.key: PINS[each.said] for each in noted.signals if each.said in PINS and each.key in lives},
            feedback=_feedback(noted.signals, lives),
        )
        cold = {key.persona for key, life in lives.items() if life.cold}
        archive.settle(settlement)
    hot.settled(noted.batch)
    hot.changed(sorted(cold))
    return Report(counted, changed=counted, more=full)


def _is_full(noted: Noted, limit: int) -> bool:
    return max(len(noted.accesses), len(noted.steps), len(noted.signals)) >= limit


def _lives(keys: Iterable[Key], archive: Archive) -> dict[Key, Life]:
    found: dict[Key, Life] = {}
    for persona, group in groupby(sorted(set(keys)), key=lambda key: key.persona):
        found |= {life.key: life for life in archive.lives(persona, [key.id for key in group]) if life is not None}
    return found


def _use(access: Access, life: Life, rules: RulesOf) -> Use:
    item, its = life.record.item, rules(access.key.persona)
    known = its.stability_days[item.type] if life.stability_days is None else life.stability_days
    gap_days = (access.last - last_use(life)).total_seconds() / 86_400
    grown = retention.strengthened(known, gap_days)
    score = item.importance if life.score is None else life.score
    fades = fades_at(access.last, retention.fades_after_days(item.type, score, grown, its))
    return Use(access.key, access.count, access.last, grown, fades)


def _followers(steps: Sequence[Step], archive: Archive) -> Mapping[Key, Sequence[Follower]]:
    seen: dict[Key, list[tuple[Key, float, datetime]]] = {}
    for _, group in groupby(sorted(steps, key=lambda step: step.persona), key=lambda step: step.persona):
        for before, after, weight, at in transitions(group):
            seen.setdefault(before, []).append((after, weight, at))
    known = archive.followers(list(seen)) if seen else {}
    return {key: followed(known.get(key, ()), its) for key, its in seen.items()}


def _feedback(signals: Iterable[Signal], lives: Mapping[Key, Life]) -> list[Feedback]:
    return [
        Feedback(0, each.key, each.by, OPINIONS[each.said], each.at)
        for each in signals
        if each.said in OPINIONS and each.key in lives
    ]
