"""Comparing the tiers: every real difference is found and mended, and what is only on its way is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support import key_of, memory
from tests.unit.workers import Undisturbed, Workers
from tests.unit.world import Away, Disturbed, World
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.services import reconcile
from trinitas_tasks.services.reconcile import Difference
from trinitas_tasks.tiers.hot.interface import Gone

ITEMS = [memory(f"Note number {number} of the {number}th day.", id=f"m{number}") for number in range(5)]
HERS = memory("Hera keeps bees.", id="m0", persona="hera")
NEW = memory("Something else entirely.", id="new")
NEWER = memory("Note number 0 was wrong.", id="m0")
KEY = key_of(ITEMS[0])


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def workers(world: World) -> Workers:
    """Everything is archived, indexed and only a copy in the hot tier."""
    made = Workers(world)
    world.remember(*ITEMS, HERS)
    made.jobs.ingest()
    made.assert_whole([*ITEMS, HERS])
    return made


def version(world: World, item: MemoryItem) -> int:
    found: int = world.archive.versions(item.persona, [item.id])[0]
    return found


def vector(world: World, item: MemoryItem) -> Any:
    return world.archive.vectors(item.persona, [item.id], world.embedder.name)[0]


# What differs. Each drift returns what it is found as.


def unqueued(world: World) -> set[Difference]:
    world.remember(NEW)
    del world.hot._outbox[key_of(NEW)]
    return {Difference(reconcile.UNQUEUED, key_of(NEW), world.standing(NEW).version)}  # type: ignore[union-attr]


def newer(world: World) -> set[Difference]:
    """As after the archive was put back from a backup."""
    kept = world.hot._kept[KEY]
    world.hot._kept[KEY] = replace(kept, version=kept.version + 1, body=NEWER.to_json())
    return {Difference(reconcile.NEWER, KEY, kept.version + 1)}


def older(world: World) -> set[Difference]:
    """As after Redis was put back from a backup."""
    kept = world.hot._kept[KEY]
    world.hot._kept[KEY] = replace(kept, version=kept.version - 1, body=NEWER.to_json())
    return {Difference(reconcile.OLDER, KEY, kept.version - 1)}


def forgotten(world: World) -> set[Difference]:
    world.forget(ITEMS[0])
    del world.hot._graves[KEY]
    return {Difference(reconcile.FORGOTTEN, KEY, world.hot.standings([KEY])[0].version)}


def forgotten_before(world: World) -> set[Difference]:
    """A mark that came back from a backup of Redis hides what was remembered since."""
    kept = world.hot._kept[KEY]
    world.hot._kept[KEY] = replace(kept, version=kept.version - 1, body=None, until=None)
    return {Difference(reconcile.FORGOTTEN, KEY, kept.version - 1)}


def unknown(world: World) -> set[Difference]:
    world.hot.refill([(Record(NEW, 17), 1000)])
    return {Difference(reconcile.UNKNOWN, key_of(NEW), 17)}


def unembedded(world: World) -> set[Difference]:
    held = world.archive._memories[KEY]
    held.vectors.clear()
    held.indexed.clear()
    return {Difference(reconcile.UNEMBEDDED, KEY, held.version)}


def unindexed(world: World) -> set[Difference]:
    world.vectors.delete("athena", ["m0"])
    return {Difference(reconcile.UNINDEXED, KEY, version(world, ITEMS[0]))}


def indexed_before(world: World) -> set[Difference]:
    """A late worker put an older vector in the place of the newer one, and died."""
    world.vectors.upsert("athena", ["m0"], [vector(world, ITEMS[1])], [version(world, ITEMS[0]) - 1])
    return {Difference(reconcile.UNINDEXED, KEY, version(world, ITEMS[0]))}


def orphan(world: World) -> set[Difference]:
    world.vectors.upsert("athena", ["stray"], [vector(world, ITEMS[0])], [1])
    return {Difference(reconcile.ORPHAN, Key("athena", "stray"), 0)}


def torn(world: World) -> set[Difference]:
    """The index gives another vector than it was given."""
    world.vectors.upsert("athena", ["m0"], [vector(world, ITEMS[1])], [version(world, ITEMS[0])])
    return {Difference(reconcile.TORN, Key("athena", ""), 0)}


def half_rebuilt(world: World) -> set[Difference]:
    world.vectors.spare().clear("athena")
    world.vectors.clear("athena")
    return {Difference(reconcile.TORN, Key("athena", ""), 0)}


def never_readable(world: World) -> set[Difference]:
    """Torn before anything was found in it."""
    world.archive.mark_unindexed([(key_of(item), version(world, item)) for item in ITEMS], world.embedder.name)
    return half_rebuilt(world)


Drift = Callable[[World], set[Difference]]
DRIFTS: dict[Drift, list[MemoryItem]] = {
    unqueued: [*ITEMS, NEW],
    newer: [NEWER, *ITEMS[1:]],
    older: ITEMS,
    forgotten: ITEMS[1:],
    forgotten_before: ITEMS,
    unknown: [*ITEMS, NEW],
    unembedded: ITEMS,
    unindexed: ITEMS,
    indexed_before: ITEMS,
    orphan: ITEMS,
    torn: ITEMS,
    half_rebuilt: ITEMS,
    never_readable: ITEMS,
}
"""With what there is in the end."""


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.__name__)
def test_a_difference_is_found_mended_and_gone(workers: Workers, drift: Drift) -> None:
    expected = drift(workers.world)
    found = workers.compared()
    assert found == expected
    assert workers.compared() == expected, "comparing changes nothing"
    assert workers.jobs.mend([[each.kind, *each.key, each.version] for each in found]) == len(found)
    workers.work()
    workers.assert_whole([*DRIFTS[drift], HERS])
    for item in DRIFTS[drift]:
        standing = workers.world.standing(item)
        assert standing is None or (isinstance(standing, Record) and standing.item == item)


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.__name__)
def test_the_regular_comparison_mends_by_itself(workers: Workers, drift: Drift) -> None:
    expected = drift(workers.world)
    workers.reconcile()
    workers.assert_whole([*DRIFTS[drift], HERS])
    run = workers.world.archive.runs("reconcile", 10)[-1]
    assert (run.changed, run.errors, run.detail) == (run.changed, 0, {each.kind: 1 for each in expected})


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.__name__)
def test_a_repair_that_comes_too_late_does_nothing(workers: Workers, drift: Drift) -> None:
    """Told, mended, changed by somebody, and then mended once more as it was told."""
    told = [[each.kind, *each.key, each.version] for each in drift(workers.world)]
    workers.jobs.mend(told)
    workers.work()
    kept = [memory(f"Changed: {item.content}", id=item.id) for item in DRIFTS[drift][:-1]]
    workers.world.remember(*kept)
    workers.world.forget(DRIFTS[drift][-1])
    workers.work()
    workers.jobs.mend(told)
    workers.work()
    workers.assert_whole([*kept, HERS])
    assert isinstance(workers.world.standing(DRIFTS[drift][-1]), Gone)


def test_a_vector_that_has_a_memory_by_now_is_no_orphan(workers: Workers) -> None:
    (told,) = orphan(workers.world)
    stray = memory("It was only on its way.", id="stray")
    workers.world.remember(stray)
    workers.work()
    workers.jobs.mend([[told.kind, *told.key, told.version]])
    workers.assert_whole([*ITEMS, stray, HERS])


HEALING: dict[Drift, tuple[str, str]] = {
    unqueued: ("hot", "scan"),
    newer: ("archive", "versions"),
    older: ("hot", "standings"),
    forgotten: ("archive", "versions"),
    unindexed: ("vectors", "versions"),
    orphan: ("vectors", "listed"),
}
"""What is read where the difference shows."""


@pytest.mark.parametrize("drift", HEALING, ids=lambda drift: drift.__name__)
def test_a_second_look_drops_what_healed_meanwhile(world: World, workers: Workers, drift: Drift) -> None:
    other = Workers(world)
    expected = drift(world)

    def heal() -> None:
        other.jobs.mend([[each.kind, *each.key, each.version] for each in expected])
        other.work()

    part, method = HEALING[drift]
    disturbed = workers.use(part, Disturbed(getattr(world, part), method, after=True, event=heal))
    found = workers.compared()
    assert disturbed.happened
    assert found == set()


# What is on its way.


def away(world: World) -> None:
    """Archived, and the vector tier took none of it."""
    there, world.vectors = world.vectors, Away(world.vectors, "upsert")
    world.remember(NEW, NEWER)
    world.ingest()
    world.vectors = there


def remember(world: World) -> None:
    world.remember(NEW, NEWER)


def forget(world: World) -> None:
    world.forget(ITEMS[0])


Change = Callable[[World], object]
ON_THE_WAY: dict[str, list[Change]] = {
    "written": [remember],
    "leased": [remember, lambda world: world.hot.claim(10, 30)],
    "forgotten": [forget],
    "being buried": [forget, lambda world: world.hot.claim_graves(10, 30)],
    "erased below": [forget, lambda world: world.bury()],
    "forgotten and remembered": [forget, remember],
    "not indexed yet": [away],
    "left the hot tier": [lambda world: world.advance(100_000)],
}


@pytest.mark.parametrize("changes", ON_THE_WAY.values(), ids=ON_THE_WAY)
def test_what_is_on_its_way_is_no_difference(workers: Workers, changes: list[Change]) -> None:
    for change in changes:
        change(workers.world)
    assert workers.compared() == set()


READS = [
    ("archive", "listed"), ("hot", "standings"), ("vectors", "versions"), ("archive", "vectors"),
    ("vectors", "verify"), ("hot", "scan"), ("archive", "versions"), ("vectors", "listed"),
]  # fmt: skip
CHANGES: dict[str, list[Change]] = {
    "written and archived": [remember, lambda world: world.ingest()],
    "archived, and not indexed": [away],
    "forgotten and buried": [forget, lambda world: world.bury()],
    "out of its time": [lambda world: world.advance(100_000)],
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("part", "method"), READS, ids=[method for _, method in READS])
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_what_changes_during_a_comparison_is_no_difference(
    workers: Workers, changes: list[Change], part: str, method: str, after: bool
) -> None:
    world, other = workers.world, Undisturbed(workers.world)

    def change() -> None:
        for each in changes:
            each(other)

    disturbed = workers.use(part, Disturbed(getattr(world, part), method, after=after, event=change))
    assert workers.compared() == set()
    assert disturbed.happened
