"""Whole tiers that are lost, away, torn or rebuilt, while everything goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import key_of, memory
from tests.unit.workers import Workers
from tests.unit.world import Away, World
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import ModelError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.services import reconcile
from trinitas_tasks.services.reconcile import Cursor
from trinitas_tasks.tasks import mending
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.hot.interface import Gone
from trinitas_tasks.tiers.vectors.interface import Torn
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

PERSONAS = ("athena", "hera", "zeus")
ITEMS = [memory(f"Note {n} of day {n}.", id=f"m{n}", persona=PERSONAS[n % 3]) for n in range(20)]
OF_ATHENA = [item for item in ITEMS if item.persona == "athena"]
NEW = memory("Something else entirely.", id="new")
NEWER = memory("Note 0 was wrong.", id="m0")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def workers(world: World, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Everything is archived, indexed and a copy in the hot tier; all that is done in steps takes several."""
    monkeypatch.setattr(mending, "COMPARED", 3)
    monkeypatch.setattr(mending, "REBUILT", 3)
    made = Workers(world)
    world.remember(*ITEMS)
    made.jobs.ingest()
    made.assert_whole(ITEMS)
    return made


def vector(world: World, item: MemoryItem) -> Any:
    return world.archive.vectors(item.persona, [item.id], world.embedder.name)[0]


class Speechless(HashEmbedder):
    """Whoever embeds fails."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError(f"asked to embed {texts}")


class Broken:
    """A vector tier that answers every call with this error."""

    def __init__(self, tier: Any, error: Unavailable) -> None:
        self._tier, self._error = tier, error

    def __getattr__(self, name: str) -> Any:
        if callable(getattr(self._tier, name)):
            raise self._error
        return getattr(self._tier, name)


# Step by step.


def test_every_step_goes_on_where_the_one_before_ended(workers: Workers) -> None:
    world = workers.world
    lost = [ITEMS[number] for number in (0, 2, 3, 7, 11, 19)]
    for item in lost:
        world.vectors.delete(item.persona, [item.id])
    steps = workers.steps()
    looked_at = dict.fromkeys(reconcile.PHASES, 0)
    for before, step in zip([["archive", 0, ""], *(step["cursor"] for step in steps)], steps, strict=False):
        looked_at[before[0]] += step["examined"]
        assert step["examined"] <= 3 or before[0] == "hot"
    assert looked_at == {"archive": 20, "hot": 20, "vectors": 20 - len(lost)}
    told = sorted(tuple(each) for step in steps for each in step["differences"])
    assert told == sorted(
        (reconcile.UNINDEXED, *key_of(item), world.archive.versions(item.persona, [item.id])[0]) for item in lost
    )
    workers.reconcile()
    workers.assert_whole(ITEMS)


def test_orphans_of_many_steps_go_in_one_comparison(workers: Workers) -> None:
    world = workers.world
    strays = [f"stray{number}" for number in range(10)]
    world.vectors.upsert("hera", strays, [vector(world, ITEMS[0])] * 10, [1] * 10)
    workers.reconcile()
    workers.assert_whole(ITEMS)


def test_a_comparison_goes_on_in_the_next_task(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "COMPARE_SECONDS", -1.0)
    workers.world.vectors.delete("hera", ["m19"])
    runs = 0
    while not runs or workers.runtime.compared != Cursor():
        workers.nudged.clear()
        workers.jobs.reconcile()
        runs += 1
        assert workers.nudged == (["reconcile"] if workers.runtime.compared != Cursor() else [])
    assert runs > 10
    assert len(workers.world.archive.runs("reconcile", 100)) == runs
    assert workers.compared() == set()


def test_personas_that_come_and_go_between_steps_do_not_stop_a_comparison(workers: Workers) -> None:
    world, cursor = workers.world, None
    changes = iter(["aphrodite", "zephyros", None, "hestia"])
    for _ in range(100):
        step = workers.jobs.compare(cursor)
        assert step["differences"] == []
        cursor = step["cursor"]
        if cursor is None:
            break
        if cursor[0] == "vectors":
            if persona := next(changes, None):
                world.remember(memory(id="x", persona=persona))
            else:
                for item in OF_ATHENA:
                    world.forget(item)
            world.ingest()
            world.bury()
    assert cursor is None
    assert list(changes) == []


# A tier away.

CALLS = ("upsert", "query", "delete", "count", "versions", "listed", "verify")


@pytest.mark.parametrize("calls", [CALLS, ("upsert", "versions")], ids=["away", "away at first"])
def test_without_the_vector_tier_the_others_are_compared_and_mended(workers: Workers, calls: tuple[str, ...]) -> None:
    world, vectors = workers.world, workers.world.vectors
    workers.use("vectors", Away(vectors, *calls))
    world.remember(NEW)
    workers.jobs.ingest()
    unindexed = memory("waits for the vector tier", id="unqueued", persona="zeus")
    world.remember(unindexed)
    del world.hot._outbox[key_of(unindexed)]
    world.hot.refill([(Record(memory(id="copy", persona="hera"), 17), 1000)])
    assert {each.kind for each in workers.compared()} == {reconcile.UNQUEUED, reconcile.UNKNOWN}
    done = workers.jobs.reconcile()
    assert done["mended"] == 2
    assert [each.split(":")[0] for each in done["skipped"]] == ["chroma"] * len(done["skipped"]) != []
    assert world.archive.runs("reconcile", 1)[0].errors > 0
    workers.work()
    workers.use("vectors", vectors)
    workers.work()
    workers.assert_whole([*ITEMS, NEW, unindexed, memory(id="copy", persona="hera")])


@pytest.mark.parametrize("part", ["hot", "archive"])
def test_without_the_hot_tier_or_the_archive_nothing_can_be_compared(workers: Workers, part: str) -> None:
    there = getattr(workers.world, part)
    workers.world.vectors.delete("athena", ["m0"])
    workers.use(part, Away(there, "standings", "listed"))
    for job in (workers.jobs.reconcile, lambda: workers.jobs.compare(None)):
        with pytest.raises(Unavailable):
            job()
    workers.use(part, there)
    workers.reconcile()
    workers.assert_whole(ITEMS)


def test_a_tier_torn_as_a_whole_is_left_to_whoever_starts_it_again(workers: Workers) -> None:
    vectors = workers.world.vectors
    workers.use("vectors", Broken(vectors, Torn("the files of everything", whole=True)))
    assert workers.compared() == set()
    assert workers.jobs.reconcile()["skipped"] == ["chroma: the files of everything"]
    workers.use("vectors", MemoryVectors())
    workers.reconcile()
    workers.assert_whole(ITEMS)


def test_one_torn_persona_does_not_hold_up_the_others(workers: Workers) -> None:
    world = workers.world
    away = workers.use("vectors", Away(world.vectors, "upsert"))
    more = [memory(f"more {n}", id=f"more{n}", persona=PERSONAS[n % 3]) for n in range(6)]
    world.remember(*more)
    workers.jobs.ingest()
    workers.use("vectors", away._tier)
    world.vectors.spare().clear("athena")
    world.vectors.clear("athena")
    workers.jobs.ingest()
    assert (world.vectors.count("hera"), world.vectors.count("zeus")) == (9, 8)
    workers.reconcile()
    workers.assert_whole([*ITEMS, *more])


# A tier lost.


def test_an_archive_that_was_wiped_gets_back_what_redis_has(workers: Workers) -> None:
    world = workers.world
    world.remember(NEW)
    world.forget(ITEMS[0])
    workers.jobs.forget()
    workers.use("archive", MemoryArchive())
    workers.reconcile()
    workers.reconcile()
    workers.assert_whole([*ITEMS[1:], NEW])
    assert isinstance(world.standing(ITEMS[0]), Gone)
    assert "new" in world.found("something else")


def test_an_archive_put_back_from_a_backup_gets_the_newer_states(workers: Workers) -> None:
    world = workers.world
    backup = dict(world.archive._memories)
    world.remember(NEW, NEWER)
    workers.jobs.ingest()
    world.forget(ITEMS[3])
    workers.jobs.forget()
    world.archive._memories, world.archive._erased = backup, {}
    workers.reconcile()
    workers.reconcile()
    workers.assert_whole([NEWER, *ITEMS[1:3], *ITEMS[4:], NEW])


def test_a_vector_tier_that_was_wiped_is_refilled_without_embedding(workers: Workers) -> None:
    workers.use("vectors", MemoryVectors())
    embedder = workers.use("embedder", Speechless())
    assert embedder.name == HashEmbedder().name
    workers.reconcile()
    workers.assert_whole(ITEMS)


def test_another_model_embeds_and_indexes_everything_anew(workers: Workers) -> None:
    world = workers.world
    world.advance(2_000_000)  # nothing of it is hot any more
    workers.use("embedder", HashEmbedder(32))
    workers.use("vectors", MemoryVectors())
    assert {each.kind for each in workers.compared()} == {reconcile.UNEMBEDDED}
    workers.reconcile()
    assert workers.compared() == set()
    assert world.recall("Note 3 of day 3", persona="athena").found[0].id == "m3"
    assert world.recall("Note 3 of day 3", persona="athena").degraded == ()
    assert {vector(world, item).shape for item in ITEMS} == {(1, 32)}


class Choosy(HashEmbedder):
    """Another model, that refuses whole batches for the sake of one text."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any("day 4" in text for text in texts):
            raise ModelError("one of the texts is not to my taste")
        return super().encode(texts)


def test_a_text_that_another_model_refuses_stays_behind_alone(workers: Workers) -> None:
    world = workers.world
    workers.use("embedder", Choosy(32))
    workers.use("vectors", MemoryVectors())
    workers.reconcile()
    assert {(each.kind, each.key) for each in workers.compared()} == {(reconcile.UNEMBEDDED, Key("hera", "m4"))}
    assert sum(world.vectors.count(persona) for persona in PERSONAS) == len(ITEMS) - 1
    assert "m4" in world.found("Note 4 of day", persona="hera"), "by its words"
