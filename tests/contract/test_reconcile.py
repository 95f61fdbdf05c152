"""Comparing and mending over a real Redis and a real archive file: what the stubs promise, these keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.archives import opened, url_of
from tests.contract.benches import RedisBench
from tests.support import Valkey, key_of, memory
from tests.unit.workers import Workers
from tests.unit.world import World
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.services import reconcile
from trinitas_tasks.services.reconcile import Difference
from trinitas_tasks.tasks import mending
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

PERSONAS = ("athena", "hera", "zeus")
ITEMS = [memory(f"Note {n} of day {n}.", id=f"m{n}", persona=PERSONAS[n % 3]) for n in range(120)]
LOST = memory("Lost from the outbox.", id="lost")
COPY = memory("The archive lost it.", id="copy", persona="hera")


class RealWorld(World):
    """Redis and SQL; the clock is made to pass by making everything older."""

    def __init__(self, server: Valkey, namespace: str, path: Path) -> None:
        super().__init__()
        self.namespace, self.path = namespace, path
        self.bench = RedisBench(server, namespace)
        self.redis = self.bench.client
        self.hot = self.bench.tier()
        self.archive = SqlArchive(url_of(path))
        self.archive.migrate()

    def advance(self, seconds: int) -> None:
        self.bench.advance(seconds)

    def record(self, item: MemoryItem) -> str:
        return f"{self.namespace}:rec:{item.persona}:{item.id}"

    def version(self, item: MemoryItem) -> int:
        return int(self.redis.hget(self.record(item), "v") or 0)

    def close(self) -> None:
        self.archive.close()
        self.bench.close()


@pytest.fixture
def world(valkey: Valkey, namespace: str, tmp_path: Path) -> Iterator[RealWorld]:
    made = RealWorld(valkey, namespace, tmp_path / "archive.db")
    yield made
    made.close()


@pytest.fixture
def workers(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Everything is archived, indexed and a copy in Redis; a comparison takes many steps."""
    monkeypatch.setattr(mending, "COMPARED", 20)
    world.remember(*ITEMS)
    made = Workers(world)
    made.jobs.ingest()
    made.assert_whole(ITEMS)
    return made


def unqueued(world: RealWorld) -> Difference:
    world.remember(LOST)
    world.redis.zrem(f"{world.namespace}:outbox", "athena:lost")
    return Difference(reconcile.UNQUEUED, key_of(LOST), world.version(LOST))


def versioned(kind: str, item: MemoryItem, step: int) -> Callable[[RealWorld], Difference]:
    def drift(world: RealWorld) -> Difference:
        world.redis.hincrby(world.record(item), "v", step)
        return Difference(kind, key_of(item), world.version(item))

    return drift


def forgotten(world: RealWorld) -> Difference:
    world.forget(ITEMS[2])
    world.redis.zrem(f"{world.namespace}:graves", "zeus:m2")
    return Difference(reconcile.FORGOTTEN, key_of(ITEMS[2]), world.version(ITEMS[2]))


def forgotten_before(world: RealWorld) -> Difference:
    record, version = world.record(ITEMS[3]), world.version(ITEMS[3]) - 1
    world.redis.delete(record)
    world.redis.hset(record, mapping={"g": 1, "v": version})
    return Difference(reconcile.FORGOTTEN, key_of(ITEMS[3]), version)


def unknown(world: RealWorld) -> Difference:
    world.hot.refill([(Record(COPY, 17), 1000)])
    return Difference(reconcile.UNKNOWN, key_of(COPY), 17)


def unembedded(world: RealWorld) -> Difference:
    with opened(world.path) as connection:
        connection.execute("DELETE FROM vectors WHERE memory = (SELECT seq FROM memories WHERE id = 'm4')")
    return Difference(reconcile.UNEMBEDDED, key_of(ITEMS[4]), world.version(ITEMS[4]))


def unindexed(world: RealWorld) -> Difference:
    world.vectors.delete("zeus", ["m5"])
    return Difference(reconcile.UNINDEXED, key_of(ITEMS[5]), world.version(ITEMS[5]))


def orphan(world: RealWorld) -> Difference:
    world.vectors.upsert("athena", ["stray"], HashEmbedder().encode(["stray"]), [1])
    return Difference(reconcile.ORPHAN, Key("athena", "stray"), 0)


DRIFTS: list[Callable[[RealWorld], Difference]] = [
    unqueued, versioned(reconcile.NEWER, ITEMS[0], 1), versioned(reconcile.OLDER, ITEMS[1], -1), forgotten,
    forgotten_before, unknown, unembedded, unindexed, orphan,
]  # fmt: skip


def test_all_differences_are_found_mended_and_gone(world: RealWorld, workers: Workers) -> None:
    expected = {drift(world) for drift in DRIFTS}
    steps = workers.steps()
    assert len(steps) > 10
    assert workers.compared() == expected
    told: list[Any] = [[each.kind, *each.key, each.version] for each in sorted(expected)]
    assert workers.jobs.mend(told) == len(expected)
    workers.work()
    workers.work()
    workers.assert_whole([*(item for item in ITEMS if item is not ITEMS[2]), LOST, COPY])
    assert world.standing(ITEMS[3]) is None, "nothing hides what was remembered again"


def test_regular_comparisons_mend_while_writes_and_forgets_go_on(world: RealWorld, workers: Workers) -> None:
    for drift in DRIFTS:
        drift(world)
    more = [memory(f"More {n}.", id=f"more{n}", persona=PERSONAS[n % 3]) for n in range(30)]
    for start in range(0, 30, 10):
        world.remember(*more[start : start + 10])
        workers.jobs.reconcile()
        for item in ITEMS[start + 20 : start + 30]:
            world.forget(item)
        workers.jobs.tick()
    workers.reconcile()
    gone = {key_of(item) for item in (ITEMS[2], *ITEMS[20:50])}
    workers.assert_whole([item for item in (*ITEMS, LOST, COPY, *more) if key_of(item) not in gone])


def test_what_redis_has_comes_back_into_a_wiped_archive(world: RealWorld, workers: Workers, tmp_path: Path) -> None:
    world.forget(ITEMS[0])
    workers.jobs.forget()
    world.archive.close()
    archive = workers.use("archive", SqlArchive(url_of(tmp_path / "new.db")))
    archive.migrate()
    workers.reconcile()
    workers.use("vectors", MemoryVectors())
    workers.reconcile()
    workers.assert_whole(ITEMS[1:])
    marks = list(world.redis.scan_iter(f"{world.namespace}:rec:*:m0"))
    assert [world.redis.ttl(name) > 0 for name in marks] == [True]
