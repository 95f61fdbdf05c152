"""A small world that has lived for a while: memories of every kind of which the tasks find something to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import memory
from tests.unit.workers import Workers
from tests.unit.world import World
from trinitas_tasks.model import Key, MemoryItem, MemoryType
from trinitas_tasks.tiers.archive.lives import Life
from trinitas_tasks.tiers.hot.interface import Said, Signal

LEASE_SECONDS = 61
BEGIN = datetime(2026, 5, 1, 12, tzinfo=UTC)
WORKING, EPISODIC, SEMANTIC = MemoryType.WORKING, MemoryType.EPISODIC, MemoryType.SEMANTIC


class Still(World):
    """Its clock stands still unless it is advanced."""

    begin = BEGIN

    def now(self) -> datetime:
        return self.begin + self.passed


def made(world: World, text: str, *, age_days: float = 0.0, **fields: Any) -> MemoryItem:
    """A memory of the world that happened so many days ago."""
    at = world.now() - timedelta(days=age_days)
    return memory(text, **{"timestamp": at, **fields})


def remembered(workers: Workers, *items: MemoryItem) -> None:
    """Archived and indexed."""
    workers.world.remember(*items)
    workers.jobs.ingest()


def life(workers: Workers, memory_id: str, persona: str = "athena") -> Life:
    """What the archive knows of it."""
    found = workers.runtime.archive.lives(persona, [memory_id])[0]
    assert found is not None
    return found


def said(workers: Workers, memory_id: str, said: Said, persona: str = "athena") -> None:
    """A persona says something of its memory."""
    workers.runtime.hot.say([Signal(Key(persona, memory_id), persona, said, workers.world.now())])


def read(workers: Workers, *memory_ids: str, persona: str = "athena") -> None:
    """A persona reads memories, one after the other."""
    for each in memory_ids:
        if workers.runtime.hot.read(persona, [each], touch=True)[0] is None:
            workers.jobs.fetch(persona, [each])
            workers.runtime.hot.read(persona, [each], touch=True)


RULES = {"TRINITAS_LIFE": {"*": {"delete_after_days": {"procedural": 300}, "max_memories": 30}}}


def lived(world: World | None = None, **settings: Any) -> Workers:
    """The world. Some of its memories are old, forgotten, worth keeping, double, read in turn, pinned or commented."""
    workers = Workers(world or Still(), **{**RULES, **settings})
    world = workers.world
    gone = [
        made(world, f"How to tie knot {n}", id=f"gone{n}", type=MemoryType.PROCEDURAL, age_days=3000) for n in range(2)
    ]
    remembered(workers, *gone)
    workers.jobs.prune()  # they are archived: the next time they may be deleted
    items = [made(world, f"An old walk number {n} by the river", id=f"old{n}", age_days=8 + n) for n in range(4)]
    items += [made(world, f"A new walk number {n} by the sea", id=f"new{n}", age_days=n) for n in range(4)]
    items += [
        made(world, f"Thought {n}: buy paper", id=f"faded{n}", type=WORKING, age_days=30, importance=0.2)
        for n in range(3)
    ]
    items += [
        made(world, f"The port of service {n} is 54{n}2", id=f"kept{n}", type=WORKING, importance=0.9) for n in range(3)
    ]
    items += [
        made(world, "The harbour opens at nine o'clock every morning", id=f"twin{n}", type=SEMANTIC, age_days=3 - n)
        for n in range(3)
    ]
    items += [made(world, f"Fact {n} about the moon", id=f"fact{n}", type=SEMANTIC) for n in range(16)]
    remembered(workers, *items, made(world, "Of somebody else", id="old0", persona="hera", age_days=20))
    for _ in range(2):
        read(workers, "fact0", "fact1", "fact2")
    said(workers, "old1", Said.PIN)
    said(workers, "fact3", Said.USEFUL)
    said(workers, "fact4", Said.USELESS)
    world.advance(60)
    return workers


def state(workers: Workers) -> dict[str, Any]:
    """What must be the same however often a task was broken off."""
    run = workers.runtime
    keys = [change.key for change in run.archive.changes(0, 10_000) if change.record is not None]
    found = [each for key in keys for each in run.archive.lives(key.persona, [key.id])]
    lives = {
        each.key: (
            each.record.item.type, each.cold, each.pinned, each.useful, each.useless, each.representative,
            each.record.item.access_count, each.score is None,
        )
        for each in found if each is not None
    }  # fmt: skip
    personas = sorted({key.persona for key in keys})
    return {
        "lives": lives,
        "vectors": {persona: sorted(run.vectors.listed(persona, 0, 10_000)) for persona in personas},
        "consolidated": sorted(
            (each.kind, each.key, str(each.after)) for each in run.archive.consolidations(limit=10_000)
        ),
        "deleted": {each.key for each in run.archive.audits(10_000)},
        "followers": {
            key: sorted((each.key, round(each.weight, 6)) for each in its)
            for key, its in run.archive.followers(keys).items()
        },
        "feedback": run.archive.feedback(1000),
        "waits": run.hot.due(),
    }


def figures(workers: Workers) -> dict[str, float]:
    """What was computed, and depends on when."""
    run = workers.runtime
    keys = [change.key for change in run.archive.changes(0, 10_000) if change.record is not None]
    found = [each for key in keys for each in run.archive.lives(key.persona, [key.id]) if each is not None]
    scores = {":".join(each.key): each.score for each in found if each.score is not None}
    return {**scores, **run.archive.weights("athena")}
