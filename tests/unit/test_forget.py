"""Forgetting reaches every tier, whichever of them is away."""

from __future__ import annotations

import pytest

from tests.support import key_of, memory
from tests.unit.workers import Undisturbed, Workers
from tests.unit.world import HOT_SECONDS, Away, Disturbed, World
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.hot.interface import Gone

ITEMS = [memory(f"Note number {number}.", id=f"m{number}") for number in range(5)]


@pytest.fixture
def world() -> World:
    return World()


def test_forgetting_reaches_every_tier(world: World) -> None:
    world.remember(*ITEMS)
    world.ingest()
    for item in ITEMS[:3]:
        world.forget(item)
    assert [world.bury(limit=2) for _ in range(3)] == [2, 1, 0]
    assert [world.archived(item) is None for item in ITEMS] == [True, True, True, False, False]
    assert world.vectors.count("athena") == 2


def test_without_the_vector_tier_the_grave_stays(world: World) -> None:
    vectors = world.vectors
    world.remember(*ITEMS)
    world.ingest()
    world.vectors = Away(vectors, "delete")
    world.forget(ITEMS[0])
    assert world.bury() == 1
    assert world.archived(ITEMS[0]) is None
    assert world.hot.stats("athena").graves == 1
    world.vectors = vectors
    world.settle()
    assert world.hot.stats("athena").graves == 0
    assert [world.archived(item) for item in ITEMS] == [None, *ITEMS[1:]]
    assert world.vectors.count("athena") == 4


def test_without_the_archive_the_grave_stays(world: World) -> None:
    archive = world.archive
    world.remember(*ITEMS)
    world.ingest()
    world.archive = Away(archive, "erase")
    world.forget(ITEMS[0])
    with pytest.raises(Unavailable):
        world.bury()
    world.archive = archive
    world.settle()
    assert [world.archived(item) for item in ITEMS] == [None, *ITEMS[1:]]


def test_what_never_was_can_be_forgotten(world: World) -> None:
    world.forget(ITEMS[0])
    assert world.bury() == 1
    world.remember(ITEMS[0])
    world.settle()
    assert world.archived(ITEMS[0]) == ITEMS[0]


def test_an_id_remembered_again_before_the_burial_is_kept(world: World) -> None:
    newer = memory("Something else.", id="m0")
    world.remember(*ITEMS)
    world.ingest()
    world.forget(ITEMS[0])
    world.remember(newer)
    world.settle()
    assert world.archived(newer) == newer
    assert world.found("Something else")[0] == "m0"


# Remembered again by somebody else.


@pytest.mark.parametrize("part", ["vectors", "archive"])
@pytest.mark.parametrize("after", [False, True])
def test_what_is_remembered_again_during_the_burial_is_found_by_meaning(world: World, part: str, after: bool) -> None:
    newer = memory("Something else.", id="m0")
    world.remember(*ITEMS)
    world.ingest()
    world.forget(ITEMS[0])
    other = Undisturbed(world)
    method = {"vectors": "delete", "archive": "erase"}[part]

    def remember() -> None:
        other.remember(newer)
        other.ingest()

    setattr(world, part, Disturbed(getattr(world, part), method, after=after, event=remember))
    world.bury()
    other.index_missing()
    other.archive_grants()
    Workers(other).assert_whole([newer, *ITEMS[1:]])
    assert other.found("Something else")[0] == "m0"


def test_a_forget_that_comes_after_something_newer_hides_it_only_until_its_burial(world: World) -> None:
    """It was spooled; somebody has remembered the memory since, and Redis has no copy of that any more."""
    world.remember(*ITEMS)
    world.ingest()
    before = world.hot.standings([key_of(ITEMS[0])])[0].version
    newer = memory("Something else.", id="m0")
    world.remember(newer)
    world.ingest()
    world.advance(HOT_SECONDS + 1)
    world.hot.forget([key_of(newer)], versions=[before + 1])
    assert isinstance(world.standing(newer), Gone)
    assert world.bury() == 1
    assert world.standing(newer) is None
    assert world.archived(newer) == newer
    assert world.found("Something else")[0] == "m0"
    Workers(world).assert_whole([newer, *ITEMS[1:]])


def test_a_replayed_forget_of_something_newer_does_nothing(world: World) -> None:
    world.remember(*ITEMS)
    version = world.hot.standings([key_of(ITEMS[0])])[0].version
    world.hot.forget([key_of(ITEMS[0])], versions=[version - 1])
    assert world.bury() == 0
    world.settle()
    Workers(world).assert_whole(ITEMS)
