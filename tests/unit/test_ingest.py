"""From the outbox to the archive and the vector tier, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import key_of, memory
from tests.unit.world import Away, Disturbed, World
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import ModelError, Unavailable
from trinitas_tasks.model import MemoryItem, Record
from trinitas_tasks.policy.text import embedding_text
from trinitas_tasks.services.ingest import DEAD_SECONDS, IngestReport
from trinitas_tasks.tiers.hot.interface import Claimed, Gone
from trinitas_tasks.tiers.hot.memory import MemoryHotTier

STEPS = [
    ("hot", "claim"), ("embedder", "encode"), ("archive", "store"), ("vectors", "upsert"),
    ("archive", "mark_indexed"), ("hot", "finish"),
]  # fmt: skip
MOMENTS = [
    pytest.param(part, method, after, id=f"{'after' if after else 'before'} {method}")
    for part, method in STEPS
    for after in (False, True)
]
ITEMS = [memory(f"Note number {number} of the {number}th day.", id=f"m{number}") for number in range(5)]


class Crash(BaseException):
    """The process is gone: nobody catches it."""


@pytest.fixture
def world() -> World:
    return World()


def crash() -> None:
    raise Crash


def disturb(world: World, part: str, method: str, after: bool, event: object) -> Disturbed:
    assert callable(event)
    disturbed = Disturbed(getattr(world, part), method, after=after, event=event)
    setattr(world, part, disturbed)
    return disturbed


def assert_settled(world: World, items: Sequence[MemoryItem]) -> None:
    """Every memory is archived, indexed and only a copy in the hot tier; nothing waits and nothing is dead."""
    assert [world.archived(item) for item in items] == list(items)
    assert not any(world.waits(item) for item in items)
    for item in items:
        near = world.vectors.query(item.persona, world.embedder.encode(["".join(embedding_text(item))])[0], 1)
        assert near[0].id == item.id
        assert near[0].similarity == pytest.approx(1.0)
    stats = world.archive.stats("athena")
    assert (sum(stats.by_type.values()), stats.unindexed, stats.dead_letters) == (len(items), 0, 0)
    assert world.vectors.count("athena") == len(items)
    assert not world.hot.due()


def test_a_batch_is_archived_indexed_and_leaves_the_outbox(world: World) -> None:
    world.remember(*ITEMS)
    assert world.ingest() == IngestReport(claimed=5, archived=5, indexed=5)
    assert_settled(world, ITEMS)
    assert world.ingest() == IngestReport()


def test_no_more_is_claimed_than_asked_for(world: World) -> None:
    world.remember(*ITEMS)
    assert [world.ingest(limit=2).claimed for _ in range(4)] == [2, 2, 1, 0]
    assert_settled(world, ITEMS)


def test_copies_leave_the_hot_tier_when_their_time_is_over(world: World) -> None:
    short = memory("short", id="short", ttl=10)
    world.remember(*ITEMS, short)
    world.ingest()
    world.advance(11)
    assert world.standing(short) is None
    assert isinstance(world.standing(ITEMS[0]), Record)
    world.advance(1000)
    assert world.standing(ITEMS[0]) is None
    assert world.archived(short) == short


@pytest.mark.parametrize(("part", "method", "after"), MOMENTS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(world: World, part: str, method: str, after: bool) -> None:
    world.remember(*ITEMS)
    disturbed = disturb(world, part, method, after, crash)
    with pytest.raises(Crash):
        world.ingest()
    assert disturbed.happened
    assert all(isinstance(world.standing(item), Record) for item in ITEMS)
    world.settle()
    assert_settled(world, ITEMS)


@pytest.mark.parametrize(("part", "method", "after"), MOMENTS)
def test_a_memory_forgotten_at_any_step_stays_forgotten(world: World, part: str, method: str, after: bool) -> None:
    world.remember(*ITEMS)
    disturb(world, part, method, after, lambda: world.forget(ITEMS[0]))
    world.ingest()
    assert isinstance(world.standing(ITEMS[0]), Gone)
    world.settle()
    assert isinstance(world.standing(ITEMS[0]), Gone)
    assert_settled(world, ITEMS[1:])


@pytest.mark.parametrize(("part", "method", "after"), MOMENTS)
def test_a_memory_forgotten_and_buried_at_any_step_is_never_found(
    world: World, part: str, method: str, after: bool
) -> None:
    world.remember(*ITEMS)

    def forget_and_bury() -> None:
        world.forget(ITEMS[0])
        world.bury()

    disturb(world, part, method, after, forget_and_bury)
    world.ingest()
    world.settle()
    assert_settled(world, ITEMS[1:])
    assert "m0" not in world.found("Note number 0")
    world.advance(100_000)
    assert "m0" not in world.found("Note number 0 again")


@pytest.mark.parametrize(("part", "method", "after"), MOMENTS)
def test_a_memory_replaced_at_any_step_is_archived_as_the_newer(
    world: World, part: str, method: str, after: bool
) -> None:
    newer = memory("Something else entirely.", id="m0")
    world.remember(*ITEMS)
    disturb(world, part, method, after, lambda: world.remember(newer))
    world.ingest()
    standing = world.standing(newer)
    assert isinstance(standing, Record)
    assert standing.item == newer
    world.settle()
    assert_settled(world, [newer, *ITEMS[1:]])


def test_a_slow_worker_and_the_next_one_do_the_same_work_once(world: World) -> None:
    world.remember(*ITEMS)

    def meanwhile() -> None:
        world.advance(31)
        assert world.ingest().archived == 5

    disturb(world, "archive", "store", False, meanwhile)
    world.ingest()
    world.settle()
    assert_settled(world, ITEMS)


# The vector tier away.


def test_without_the_vector_tier_memories_are_archived_and_indexed_later(world: World) -> None:
    vectors = world.vectors
    world.remember(*ITEMS, memory("hers", persona="hera"))
    world.vectors = Away(vectors, "upsert")
    report = world.ingest()
    assert (report.archived, report.indexed, len(report.degraded)) == (6, 0, 1)
    assert report.degraded[0].startswith("chroma: ")
    assert world.archive.stats("athena").unindexed == 5
    assert not any(world.waits(item) for item in ITEMS)
    assert world.index_missing() == 0
    world.vectors = vectors
    before = world.hot.probe("athena", "q").generation
    assert [world.index_missing(limit=4) for _ in range(3)] == [4, 2, 0]
    assert world.hot.probe("athena", "q").generation > before
    assert_settled(world, ITEMS)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["unindexed", "mark_indexed"])
def test_a_memory_forgotten_while_it_is_indexed_later_leaves_no_vector(world: World, method: str, after: bool) -> None:
    vectors = world.vectors
    world.remember(*ITEMS)
    world.vectors = Away(vectors, "upsert")
    world.ingest()
    world.vectors = vectors

    def forget_and_bury() -> None:
        world.forget(ITEMS[0])
        world.bury()

    disturb(world, "archive", method, after, forget_and_bury)
    world.index_missing()
    assert_settled(world, ITEMS[1:])


def test_without_the_archive_everything_stays_where_it_is(world: World) -> None:
    archive = world.archive
    world.remember(*ITEMS)
    world.archive = Away(archive, "store")
    with pytest.raises(Unavailable):
        world.ingest()
    assert all(world.waits(item) for item in ITEMS)
    world.archive = archive
    world.settle()
    assert_settled(world, ITEMS)


# Poison.


class Choosy(HashEmbedder):
    """Refuses whole batches for the sake of one text, as models do."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any("poison" in text for text in texts):
            raise ModelError("one of the texts is not to my taste")
        return super().encode(texts)


class Spoilt(MemoryHotTier):
    """Gives back unreadable bytes for some memories."""

    def claim(self, limit: int, lease_seconds: int) -> list[Claimed]:
        spoilt = {"empty": b"", "other": memory(id="m0").to_json(), "later": b'{"id":"later","colour":"red"}'}
        return [replace(each, body=spoilt.get(each.key.id, each.body)) for each in super().claim(limit, lease_seconds)]


def test_a_text_that_the_model_refuses_goes_to_the_dead_letters_alone(world: World) -> None:
    poison = [memory(f"poison {number}", id=f"p{number}") for number in range(3)]
    world.embedder = Choosy()
    world.remember(*ITEMS[:2], *poison, *ITEMS[2:])
    report = world.ingest()
    assert (report.claimed, report.archived, report.indexed, report.dead) == (8, 5, 5, 3)
    letters = world.archive.dead(10)
    assert {letter.key for letter in letters} == {key_of(each) for each in poison}
    assert all("taste" in letter.error for letter in letters)
    assert {letter.body for letter in letters} == {each.to_json() for each in poison}
    assert [world.archived(item) for item in ITEMS] == ITEMS
    world.advance(31)
    assert world.ingest() == IngestReport()


def test_an_unreadable_record_goes_to_the_dead_letters_alone(world: World) -> None:
    world.hot = Spoilt(clock=world.now)
    world.remember(*ITEMS, *(memory("x", id=name) for name in ("empty", "other", "later")))
    report = world.ingest()
    assert (report.archived, report.dead) == (5, 3)
    errors = {letter.key.id: letter.error for letter in world.archive.dead(10)}
    assert errors.keys() == {"empty", "other", "later"}
    assert "calls itself athena:m0" in errors["other"]
    assert "colour" in errors["later"]
    assert [world.archived(item) for item in ITEMS] == ITEMS


def test_a_batch_of_poison_alone_is_no_trouble(world: World) -> None:
    world.embedder = Choosy()
    world.remember(memory("poison"))
    assert world.ingest() == IngestReport(claimed=1, dead=1)
    world.advance(DEAD_SECONDS - 10)
    assert isinstance(world.standing(memory()), Record)


def test_a_mended_record_leaves_the_dead_letters(world: World) -> None:
    world.embedder = Choosy()
    world.remember(memory("poison"))
    world.ingest()
    world.remember(memory("mended"))
    world.ingest()
    assert world.archive.dead(10) == []
    assert world.archived(memory()) == memory("mended")
