"""The jobs of one ingest worker over a simulated world, run by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.support import key_of
from tests.unit.world import World
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services.reconcile import Cursor, Difference
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.jobs import Jobs

TIERS = ("hot", "archive", "vectors", "embedder", "lexical", "spool")


class Undisturbed(World):
    """Somebody else at the same tiers and clock, whatever the world's are replaced by later."""

    def __init__(self, world: World) -> None:
        self._world = world
        for name in TIERS:
            setattr(self, name, getattr(world, name))

    def now(self) -> datetime:
        return self._world.now()

    def advance(self, seconds: int) -> None:
        self._world.advance(seconds)


class Workers:
    """Jobs over the world's tiers; ``nudged`` are those that they asked for."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        self.nudged: list[str] = []
        tiers = {name: getattr(world, name) for name in TIERS}
        self.runtime = Runtime(Settings(**settings), clock=world.now, **tiers)
        self.jobs = Jobs(self.runtime, nudge=self.nudged.append)

    def use(self, name: str, tier: Any) -> Any:
        """Another tier takes the place of this one."""
        setattr(self.world, name, tier)
        self.runtime.__dict__[name] = tier
        self.runtime.__dict__.pop("fulltext", None)  # it is over some of them
        return tier

    def steps(self) -> list[dict[str, Any]]:
        """What every step of a whole comparison says, as an operator gets it."""
        steps: list[dict[str, Any]] = []
        cursor = None
        while not steps or cursor is not None:
            steps.append(json.loads(json.dumps(self.jobs.compare(cursor))))
            cursor = steps[-1]["cursor"]
        return steps

    def compared(self) -> set[Difference]:
        """All that differs."""
        told = [each for step in self.steps() for each in step["differences"]]
        return {Difference(kind, Key(persona, each), version) for kind, persona, each, version in told}

    def reconcile(self) -> None:
        """One comparison of everything that mends what it finds, and then what workers do in any case."""
        self.jobs.reconcile()
        while self.runtime.compared != Cursor():
            self.jobs.reconcile()
        self.work()

    def work(self) -> None:
        """What an ingest worker does in time."""
        self.world.advance(self.runtime.settings.lease_seconds + 1)
        self.jobs.tick()

    def assert_whole(self, items: Sequence[MemoryItem]) -> None:
        """These memories and no others are archived, indexed and found, and no tier differs from another."""
        world = self.world
        assert self.compared() == set()
        for persona in {item.persona for item in items}:
            mine = {item.id: item for item in items if item.persona == persona}
            assert {each: world.archived(item) for each, item in mine.items()} == mine
            assert set(world.vectors.listed(persona, 0, 10_000)) == set(mine)
            assert world.vectors.versions(persona, list(mine)) == world.archive.versions(persona, list(mine))
            stats = world.archive.stats(persona)
            assert (sum(stats.by_type.values()), stats.unindexed) == (len(mine), 0)
        assert not world.hot.due()
        assert not any(world.hot.unarchived(key_of(item)) for item in items)
