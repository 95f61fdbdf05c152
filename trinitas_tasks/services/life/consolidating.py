"""`consolidate`: working memories worth keeping become lasting ones, and what says the same is linked.

Both keep the original: a memory that becomes another type keeps its id, its content and its history, and a link is a
note beside a memory. Each is written down before it is done, with what it changed, and can be taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from typing import Final

from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.model import Key, MemoryItem, MemoryType, Record
from trinitas_tasks.policy import consolidation
from trinitas_tasks.policy.consolidation import Candidate
from trinitas_tasks.policy.diversity import alike, signature
from trinitas_tasks.services.life.cooling import Index
from trinitas_tasks.services.life.neighbours import neighbours
from trinitas_tasks.services.life.report import Decision, Report
from trinitas_tasks.services.life.sweep import Sweep
from trinitas_tasks.tiers.archive.lives import KEPT, LINKED, Choice, Consolidation, Life, Turn

COMPARED: Final = 5
"""With so many of its neighbours a memory is compared."""
WAITING: Final = 1000
"""With so many memories on their way into the vector tier, linking waits for them."""
MARK: Final = "linked"
KEPT_MARK: Final = "kept"
"""How far the working memories were looked through; they are again and again."""

InferType = Callable[[MemoryItem], MemoryType]
"""What a working memory becomes."""


def consolidate(personas: Sequence[str], sweep: Sweep, infer: InferType = consolidation.infer) -> Report:
    """Keep working memories of these personas that are worth it, and link near-duplicates among what came since the
    last run; of either at most ``limit`` are looked at. Raises: Unavailable."""
    asked = set(personas)
    everybody = asked >= set(sweep.index.archive.personas())
    kept = _kept(personas, sweep, infer, everybody=everybody)
    linked = _linked(asked, sweep, everybody=everybody)
    return replace(kept + linked, more=kept.more or linked.more)


# Working memories that become lasting ones.


def _kept(personas: Sequence[str], sweep: Sweep, infer: InferType, *, everybody: bool) -> Report:
    archive, working = sweep.index.archive, frozenset({MemoryType.WORKING})
    if everybody:
        after = 0 if sweep.dry else archive.mark(KEPT_MARK)
        looked = archive.chosen(Choice(types=working, after=after), sweep.limit)
    else:
        looked = [life for persona in personas for life in _working(persona, sweep)]
    due = [each for life in looked if (each := _worth(life, sweep, infer)) is not None]
    decisions = tuple(Decision(each.key, KEPT, each.why) for each in due)
    if sweep.dry:
        return Report(len(looked), decisions)
    changed = _keep(due, looked, sweep)
    more = everybody and len(looked) == sweep.limit
    if everybody:
        archive.put_mark(KEPT_MARK, looked[-1].seq if more else 0)
    return Report(len(looked), decisions, changed, more=more)


def _working(persona: str, sweep: Sweep) -> Iterator[Life]:
    after = 0
    while page := sweep.index.archive.chosen(
        Choice(persona=persona, types=frozenset({MemoryType.WORKING}), after=after), sweep.limit
    ):
        yield from page
        after = page[-1].seq


def _worth(life: Life, sweep: Sweep, infer: InferType) -> Consolidation | None:
    item = life.record.item
    score = item.importance if life.score is None else life.score
    reason = consolidation.worth_keeping(item, score, life.pinned, sweep.rules(item.persona))
    if reason is None or _undone(life.key, KEPT, sweep):
        return None
    kind = infer(item)
    before, after = {"type": item.type.value}, {"type": kind.value}
    return Consolidation(
        0, KEPT, life.key, life.record.version, sweep.now, before, after, f"{reason}: {kind.value} now"
    )


def _keep(due: Sequence[Consolidation], page: Sequence[Life], sweep: Sweep) -> int:
    items = {life.key: life.record.item for life in page}
    sweep.index.archive.consolidate(due, [])
    # also those that were written down before, by a run that was killed: they are still what they were
    return sum(_becomes(items[each.key], each.version, str(each.after["type"]), sweep.index) for each in due)


def _becomes(item: MemoryItem, version: int, kind: str, index: Index) -> bool:
    changed = item.model_copy(update={"type": MemoryType(kind)})
    return index.hot.replace(changed, version).version > 0


def _undone(key: Key, kind: str, sweep: Sweep) -> bool:
    known = sweep.index.archive.consolidations(key=key)
    return any(each.kind == kind and each.undone_at is not None for each in known)


# Memories that say the same.


def _linked(personas: set[str], sweep: Sweep, *, everybody: bool) -> Report:
    report = Report()
    for page in _fresh(personas, sweep, everybody=everybody):
        try:
            links = [each for persona in sorted(personas) for each in _links(persona, page, sweep)]
        except Unavailable as error:  # the mark stays, and so the next run finds them
            return report + Report(len(page), errors=(str(error),))
        decisions = tuple(Decision(each.key, LINKED, each.why) for each in links)
        changed = 0
        if not sweep.dry:
            turns = [Turn(each.key, each.version, representative=str(each.after["representative"])) for each in links]
            changed = len(sweep.index.archive.consolidate(links, turns))
            if everybody:
                sweep.index.archive.put_mark(MARK, page[-1].seq)
        more = everybody and not sweep.dry and len(page) == sweep.limit
        report += Report(len(page), decisions, changed, more=more)
    return report


def _fresh(personas: set[str], sweep: Sweep, *, everybody: bool) -> Iterator[Sequence[Life]]:
    """What came since the last run, as far as the vector tier has it: of what it lacks nobody would be found near."""
    archive = sweep.index.archive
    mark = archive.mark(MARK)
    waiting = {each.key for each in archive.unindexed(sweep.index.spaces.naming, WAITING)}
    if len(waiting) == WAITING:  # an import, say: the next run comes in an hour
        return
    for persona in (None,) if everybody else sorted(personas):
        after = mark
        while page := archive.chosen(Choice(persona=persona, after=after), sweep.limit):
            ready = list(takewhile(lambda life: life.key not in waiting, page))
            if ready:
                yield ready
            if everybody or len(ready) < len(page):
                break
            after = page[-1].seq


def _links(persona: str, fresh: Sequence[Life], sweep: Sweep) -> list[Consolidation]:
    mine = [life for life in fresh if life.key.persona == persona]
    if not mine:
        return []
    least = sweep.rules(persona).duplicate
    near = neighbours(mine, sweep.index, COMPARED)
    close = {key: [each.id for each in its if each.similarity >= least] for key, its in near.items()}
    known = {life.key: life for life in mine}
    others = [Key(persona, id_) for ids in close.values() for id_ in ids]
    found = sweep.index.archive.lives(persona, list(dict.fromkeys(key.id for key in others if key not in known)))
    known |= {life.key: life for life in found if life is not None and not life.cold}
    signatures = {key: signature(life.record.item) for key, life in known.items()}
    pairs = [
        (key, other)
        for key, ids in close.items()
        for id_ in ids
        if (other := Key(persona, id_)) in known and alike(signatures[key], signatures[other])
    ]
    return [each for group in consolidation.groups(pairs) for each in _group(group, known, sweep)]


def _group(keys: Sequence[Key], known: dict[Key, Life], sweep: Sweep) -> list[Consolidation]:
    lives = [known[key] for key in keys]
    # who stands for some of them already stands for all
    standing = sorted({life.representative for life in lives if life.representative is not None})
    chosen = standing[0] if standing else consolidation.representative([_candidate(life) for life in lives]).key.id
    return [
        Consolidation(
            0, LINKED, life.key, life.record.version, sweep.now, {"representative": None}, {"representative": chosen},
            f"says the same as {chosen}",
        )
        for life in lives
        if life.key.id != chosen and life.representative is None and not _undone(life.key, LINKED, sweep)
    ]  # fmt: skip


def _candidate(life: Life) -> Candidate:
    item = life.record.item
    score = item.importance if life.score is None else life.score
    return Candidate(life.key, life.pinned, score, item.access_count, item.timestamp)


# Taking back.


def undo(seq: int, *, index: Index, now: datetime) -> Consolidation:
    """Take a consolidation back: the memory is what it was before, and it is not done again.

    Raises: InvalidQuery (there is none of this number, it was undone before, or the memory is gone), Unavailable.
    """
    found = index.archive.consolidations(seq=seq)
    if not found:
        raise InvalidQuery(f"there is no consolidation {seq}")
    done = found[0]
    life = index.archive.lives(done.key.persona, [done.key.id])[0]
    if life is None:
        raise InvalidQuery(f"{done.key.persona} has no memory {done.key.id} any more")
    item, version = _newest(life, index)
    changed = done.kind == KEPT and item.type == done.after["type"]
    if done.undone_at is not None and not changed:
        raise InvalidQuery(f"consolidation {seq} was undone {done.undone_at:%Y-%m-%d %H:%M} UTC")
    turns = [Turn(life.key, life.record.version, representative="")] if done.kind == LINKED else []
    index.archive.undo(seq, now, turns)  # first: a run of the task in between must not do it again
    if changed and not _becomes(item, version, str(done.before["type"]), index):
        raise InvalidQuery(f"{done.key.id} is just being changed: the same command again finishes it")
    return done._replace(undone_at=done.undone_at or now)


def _newest(life: Life, index: Index) -> Record:
    """What became of it may not have come to the archive yet."""
    standing = index.hot.read(life.key.persona, [life.key.id], touch=False)[0]
    return max(life.record, standing, key=lambda each: each.version) if isinstance(standing, Record) else life.record
