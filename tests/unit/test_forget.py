"""Forgetting reaches every tier, whichever of them is away."""

from __future__ import annotations

import pytest

from tests.support import memory
from tests.unit.world import Away, World
from trinitas_tasks.errors import Unavailable

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
