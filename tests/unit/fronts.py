"""One machine of a deployment over stubs: what a client has of it, with Redis and the spool to be switched off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.support import key_of, memory
from tests.unit.workers import Workers
from tests.unit.world import World
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.query import Query, Recall
from trinitas_tasks.services.answer import Answer
from trinitas_tasks.services.answering import Answering
from trinitas_tasks.services.front import Front
from trinitas_tasks.services.replay import replay
from trinitas_tasks.tiers.hot.interface import Write, Written

OLD = memory("Ann drinks green tea.", id="tea")
NEW = memory("Ann drinks coffee.", id="tea")
OTHER = memory("Bob drinks water.", id="water")
KEY = key_of(OLD)


class Switch:
    """A tier that is away whenever it is told to be: then it has not got what it was told."""

    fence = 0

    def __init__(self, tier: Any) -> None:
        self.tier, self.away = tier, False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise Unavailable(f"{name}: nobody there")
        return getattr(self.tier, name)


class Site:
    """One machine: a front whose Redis and spool can be switched off, and the workers behind them."""

    def __init__(self) -> None:
        self.world = World()
        self.hot, self.spool = Switch(self.world.hot), Switch(self.world.spool)
        self.workers = Workers(self.world)
        self.fetched: list[str] = []
        self.replayed = 0
        self.fronts: list[Front] = []
        self.front = self.make()

    def make(self, *, near: bool = True, retry_seconds: float = 3600, **parts: Any) -> Front:
        """``near``: it can read the archive by itself. It replays in the background only if that is soon enough."""
        given: dict[str, Any] = {
            "hot": self.hot, "spool": self.spool, "archive": self.world.archive if near else None,
            "fetch": self.fetch, "replayed": self.count, "retry_seconds": retry_seconds,
        }  # fmt: skip
        front = Front(**(given | parts), cache_seconds=100)
        self.fronts.append(front)
        return front

    def fetch(self, persona: str, ids: Sequence[str]) -> list[str]:
        self.fetched += ids
        return self.workers.jobs.fetch(persona, list(ids))

    def count(self) -> int:
        self.replayed += 1
        return self.replayed

    def close(self) -> None:
        for front in self.fronts:
            front.close()

    def write(self, *items: MemoryItem, dedup: str | None = None) -> Written:
        return self.front.write([Write(item, dedup) for item in items])

    def forget(self, *items: MemoryItem) -> None:
        self.front.forget([key_of(item) for item in items])

    def get(self, item: MemoryItem = OLD) -> object:
        """What it says."""
        record = self.front.get(key_of(item))
        return None if record is None else record.item.content

    def replay(self) -> None:
        replay(hot=self.world.hot, spool=self.world.spool)

    def settle(self) -> None:
        self.hot.away = False
        self.replay()
        self.world.settle()

    def search(self, text: str, **fields: Any) -> Callable[[], tuple[Answer, bool]]:
        return lambda: (self.world.recall(text, **fields), False)

    def answering(self, front: Front) -> Answering:
        return Answering(front, self.hot, front._archive, cache_seconds=100)

    def recall(self, text: str, **fields: Any) -> Recall:
        query = Query.build(text=text, persona="athena", **fields)
        return self.answering(self.front).recall(query, self.search(text, **fields), self.world.now())

    def by_words(self, text: str, **fields: Any) -> Recall:
        query = Query.build(text=text, persona="athena", **fields)
        return self.answering(self.front).by_words(query, Unavailable("no worker"), self.world.now())


def found(recall: Recall) -> dict[str, object]:
    ids = [hit.item.id for hit in recall]
    scores = [hit.score for hit in recall]
    assert len(ids) == len(set(ids))
    assert scores == sorted(scores, reverse=True)
    return {hit.item.id: hit.item.content for hit in recall}
