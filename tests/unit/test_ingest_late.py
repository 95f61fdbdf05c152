"""Ingests that come late, twice, or in vain: of two states of a memory the newer one wins in every tier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from tests.support import key_of, memory
from tests.unit.workers import Undisturbed, Workers
from tests.unit.world import LEASE_SECONDS, Away, Disturbed, World
from trinitas_tasks.errors import ArchiveError, InvalidMemory, TrinitasError, Unavailable
from trinitas_tasks.model import MemoryItem, Record
from trinitas_tasks.services.ingest import AGAIN_SECONDS, IngestReport
from trinitas_tasks.tiers.archive.interface import Row
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.hot.interface import Write

OLD = memory("Ann drinks green tea.", id="tea")
NEW = memory("Ann drinks coffee.", id="tea")
OTHER = memory("Bob drinks water.", id="water")
MOMENTS = [
    ("hot", "claim"), ("embedder", "encode"), ("archive", "store"), ("vectors", "upsert"), ("archive", "mark_indexed"),
    ("hot", "finish"),
]  # fmt: skip


class Crash(BaseException):
    """The process is gone: nobody catches it."""


def crash() -> None:
    raise Crash


@pytest.fixture
def world() -> World:
    return World()


def disturb(world: World, part: str, method: str, after: bool, *events: Callable[[], object]) -> Disturbed:
    disturbed = Disturbed(getattr(world, part), method, after=after, event=lambda: [event() for event in events])
    setattr(world, part, disturbed)
    return disturbed


# Two ingest workers, one of which takes longer than its lease.


@pytest.mark.parametrize("ends", [True, False], ids=["goes on", "dies"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("part", "method"), MOMENTS, ids=[method for _, method in MOMENTS])
def test_a_late_worker_does_not_bring_an_older_state_back(
    world: World, part: str, method: str, after: bool, ends: bool
) -> None:
    other = Undisturbed(world)
    world.remember(OLD, OTHER)

    def meanwhile() -> None:
        other.remember(NEW)
        other.advance(LEASE_SECONDS + 1)
        other.ingest()
        assert other.archived(NEW) == NEW

    disturb(world, part, method, after, meanwhile, *([] if ends else [crash]))
    with nullcontext() if ends else pytest.raises(Crash):
        world.ingest()
    other.settle()
    workers = Workers(other)
    if ends:
        assert workers.compared() == set(), "nobody needs to compare for this"
    workers.reconcile()
    workers.assert_whole([NEW, OTHER])


def test_a_late_vector_is_replaced_by_the_one_that_belongs_there(world: World) -> None:
    other = Undisturbed(world)
    world.remember(OLD, OTHER)

    def meanwhile() -> None:
        other.remember(NEW)
        other.ingest()

    disturb(world, "vectors", "upsert", False, meanwhile)
    world.ingest()
    late, current = other.vectors.versions("athena", ["tea"]), other.archive.versions("athena", ["tea"])
    assert late[0] < current[0], "the vector of the older state came last"
    assert [each.key for each in other.archive.unindexed(other.models.naming, 10)] == [key_of(NEW)]
    assert other.index_missing() == 1
    Workers(other).assert_whole([NEW, OTHER])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("part", "method"), MOMENTS, ids=[method for _, method in MOMENTS])
def test_what_was_forgotten_while_its_worker_died_leaves_nothing(
    world: World, part: str, method: str, after: bool
) -> None:
    other = Undisturbed(world)
    world.remember(OLD)

    def meanwhile() -> None:
        other.forget(OLD)
        other.bury()

    disturb(world, part, method, after, meanwhile, crash)
    with pytest.raises(Crash):
        world.ingest()
    other.settle()
    Workers(other).reconcile()
    assert (other.archived(OLD), other.vectors.count("athena")) == (None, 0)
    assert Workers(other).compared() == set()


# Older than what the archive has.


def test_an_older_state_leaves_the_hot_tier_at_once(world: World) -> None:
    world.remember(OLD)
    before = world.hot.pending("athena", 1)[0].version
    world.remember(NEW)
    world.settle()
    world.advance(100_000)
    world.hot.write([Write(OLD, version=before), Write(OTHER)])
    assert world.ingest() == IngestReport(claimed=2, archived=1, indexed=1, superseded=1)
    assert world.standing(OLD) is None
    assert world.archived(NEW) == NEW
    assert world.found("What does Ann drink?")[0] == "tea"
    standing = world.standing(NEW)
    assert isinstance(standing, Record)
    assert standing.item == NEW


def test_an_older_state_of_what_was_erased_leaves_the_hot_tier_at_once(world: World) -> None:
    world.remember(OLD)
    before = world.hot.pending("athena", 1)[0].version
    world.forget(OLD)
    world.settle()
    world.advance(100_000)
    assert world.standing(OLD) is None, "its mark is over"
    world.hot.write([Write(OLD, version=before)])
    assert world.ingest() == IngestReport(claimed=1, superseded=1)
    assert (world.standing(OLD), world.archived(OLD), world.vectors.count("athena")) == (None, None, 0)


# In vain.


class Refusing(MemoryArchive):
    """Refuses whole batches for the sake of one record."""

    def __init__(self, error: TrinitasError) -> None:
        super().__init__()
        self.error = error

    def store(self, rows: Sequence[Row]) -> list[int]:
        if any("poison" in str(row.record.item.content) for row in rows):
            raise self.error
        return super().store(rows)


@pytest.mark.parametrize("error", [Unavailable("locked"), ArchiveError("damaged")], ids=["away", "damaged"])
def test_a_batch_that_the_archive_did_not_take_is_due_again_soon(world: World, error: TrinitasError) -> None:
    items = [OTHER, memory("poison", id="poison")]
    world.archive = Refusing(error)
    world.remember(*items)
    with pytest.raises(type(error)):
        world.ingest()
    assert not world.hot.due()
    assert all(world.waits(item) for item in items)
    world.advance(AGAIN_SECONDS + 1)
    assert AGAIN_SECONDS < LEASE_SECONDS
    assert world.hot.due()
    world.archive = MemoryArchive()
    assert world.ingest().archived == 2


def test_what_was_replaced_or_forgotten_is_not_given_back_as_it_was(world: World) -> None:
    world.remember(OLD, OTHER)
    other = Undisturbed(world)
    world.archive = Away(world.archive, "store")
    disturb(world, "embedder", "encode", True, lambda: other.remember(NEW), lambda: other.forget(OTHER))
    with pytest.raises(Unavailable):
        world.ingest()
    assert [each.version for each in other.hot.claim(10, 30)] == [other.hot.pending("athena", 1)[0].version]
    assert len(other.hot.claim_graves(10, 30)) == 1


def test_a_record_that_the_archive_refuses_goes_to_the_dead_letters_alone(world: World) -> None:
    good: list[MemoryItem] = [memory(f"Note number {number}.", id=f"m{number}") for number in range(5)]
    poison = [memory(f"poison {number}", id=f"p{number}") for number in range(2)]
    world.archive = Refusing(InvalidMemory("not to be stored"))
    world.remember(*good[:3], *poison, *good[3:])
    report: Any = world.ingest()
    assert (report.claimed, report.archived, report.indexed, report.dead) == (7, 5, 5, 2)
    letters = world.archive.dead(10)
    assert {(letter.key, letter.body, letter.error) for letter in letters} == {
        (key_of(each), each.to_json(), "not to be stored") for each in poison
    }
    assert [world.archived(item) for item in good] == good
    assert not world.hot.due()
    assert isinstance(world.standing(poison[0]), Record), "it can still be read"
