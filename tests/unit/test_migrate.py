"""Copying a store of version 3.5, verifying it and taking it back, over stubs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.legacy import made
from tests.support import memory
from tests.unit.workers import Workers
from tests.unit.world import Away, Disturbed, World
from trinitas_tasks.errors import InvalidQuery, ModelError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, MemoryType
from trinitas_tasks.policy.retention import outlook
from trinitas_tasks.query import Filters
from trinitas_tasks.services import migrate, rollback
from trinitas_tasks.tasks import migrating
from trinitas_tasks.tiers.hot.interface import Said, Signal
from trinitas_tasks.tiers.legacy.interface import Found, Place
from trinitas_tasks.tiers.legacy.memory import MemoryLegacy

ITEMS = [memory(f"Note {n} of day {n}.", id=f"m{n}", persona=("athena", "hera")[n % 2]) for n in range(20)]
NAME = "old"
DAY = timedelta(days=1)


def found(*items: MemoryItem) -> list[Found]:
    return [Found(item, "episodes.db", str(number)) for number, item in enumerate(items, 1)]


class Old:
    """A migration of some memories into a world."""

    def __init__(self, world: World, *items: MemoryItem) -> None:
        self.world, self.store = world, MemoryLegacy(found(*items))

    def prepare(self, place: Place, limit: int = 3) -> migrate.Prepared:
        world = self.world
        return migrate.prepare(place, store=self.store, archive=world.archive, models=world.models, limit=limit)

    def settle(self, made: migrate.Prepared) -> migrate.Copied:
        world = self.world
        return migrate.settle(made, migration=NAME, hot=world.hot, archive=world.archive, spaces=world.spaces)

    def copy_step(self, place: Place) -> migrate.Copied:
        return self.settle(self.prepare(place))

    def copy(self, *meanwhile: Callable[[], object]) -> list[migrate.Copied]:
        """All of it, with something happening after each of the first steps."""
        events, steps = list(meanwhile), [self.copy_step(Place())]
        while (place := steps[-1].place) is not None:
            if events:
                events.pop(0)()
            steps.append(self.copy_step(place))
        assert not events
        return steps

    def verify(self) -> dict[str, int]:
        """The counts that are not 0."""
        place: Place | None = Place()
        counts = dict.fromkeys(("same", "changed", "forgotten", "twice", "noted", "differing"), 0)
        while place is not None:
            step = migrate.verify(place, migration=NAME, store=self.store, archive=self.world.archive, limit=3)
            for name in counts:
                value = getattr(step, name)
                counts[name] += value if isinstance(value, int) else len(value)
            place = step.place
        return {name: count for name, count in counts.items() if count}

    def undo(self) -> tuple[int, int]:
        """How many were removed and kept."""
        removed, kept, more = 0, 0, True
        while more:
            world = self.world
            step = rollback.undo(migration=NAME, hot=world.hot, archive=world.archive, spaces=world.spaces, limit=3)
            removed, kept, more = removed + step.removed, kept + step.kept, step.more
        return removed, kept


@pytest.fixture
def world() -> World:
    return World()


def copied(steps: list[migrate.Copied]) -> int:
    return sum(step.copied for step in steps)


def test_what_was_in_the_store_is_archived_indexed_and_found(world: World) -> None:
    old = Old(world, *ITEMS)
    assert copied(old.copy()) == 20
    Workers(world).assert_whole(ITEMS)
    assert world.found("Note 4 of day 4.")[0] == "m4"
    assert old.verify() == {"same": 20, "noted": 20}


def test_accesses_are_kept(world: World) -> None:
    item = memory(id="m1", access_count=7, last_access="2026-03-04T05:06:07Z")
    Old(world, item).copy()
    assert world.archived(item) == item


def test_a_second_run_changes_nothing_and_embeds_nothing(world: World) -> None:
    old = Old(world, *ITEMS)
    old.copy()
    position = world.archive.position()
    world.embedder = Away(world.embedder, "encode")
    steps = old.copy()
    assert (copied(steps), sum(step.already for step in steps), sum(step.there for step in steps)) == (0, 20, 0)
    assert world.archive.position() == position


def test_what_was_written_or_forgotten_here_wins_before_and_after(world: World) -> None:
    old = Old(world, *ITEMS)
    before = memory("Mine.", id="m0")
    world.remember(before, ITEMS[2])
    world.forget(ITEMS[2])
    world.settle()
    after = memory("Mine, too.", id="m4")
    waiting = memory("Not archived yet.", id="m6")
    steps = old.copy(lambda: world.remember(waiting), lambda: world.remember(after))
    world.forget(ITEMS[8])
    world.settle()
    assert sum(step.forgotten for step in steps) == 1
    assert [world.archived(item) for item in (ITEMS[0], ITEMS[4], ITEMS[6])] == [before, after, waiting]
    assert [world.archived(item) for item in (ITEMS[2], ITEMS[8])] == [None, None]
    assert old.verify() == {"same": 15, "changed": 3, "forgotten": 2, "noted": 17}
    position = world.archive.position()
    old.copy()
    assert world.archive.position() == position


@pytest.mark.parametrize("tier", ["archive", "vectors"])
@pytest.mark.parametrize("method", ["note_migrated", "store", "upsert", "mark_indexed"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_anywhere_leaves_what_the_next_run_completes(world: World, tier: str, method: str, after: bool) -> None:
    if not hasattr(getattr(world, tier), method):
        return
    old, whole = Old(world, *ITEMS), getattr(world, tier)

    def crash() -> None:
        raise KeyboardInterrupt

    setattr(world, tier, Disturbed(whole, method, after=after, event=crash))
    with pytest.raises(KeyboardInterrupt):
        old.copy()
    setattr(world, tier, whole)
    old.copy()
    while world.index_missing():
        pass
    Workers(world).assert_whole(ITEMS)
    assert old.verify() == {"same": 20, "noted": 20}
    assert old.undo() == (20, 0)


def test_what_is_prepared_before_the_same_memory_is_stored_counts_once(world: World) -> None:
    """The next step is embedded while one is stored: of two of one key the first counts."""
    rich = ITEMS[0].model_copy(update={"metadata": {"n": 1}})
    old = Old(world, rich, *ITEMS[:5])
    first, second = old.prepare(Place(), 1), old.prepare(Place("list", 1), 9)
    assert old.settle(first).copied == 1
    done = old.settle(second)
    assert (done.copied, done.already, done.there) == (4, 0, 1)
    assert world.archived(rich) == rich
    assert old.verify() == {"same": 5, "twice": 1, "noted": 5}


def test_what_is_forgotten_or_written_between_embedding_and_storing_stays_so(world: World) -> None:
    old = Old(world, *ITEMS[:4])
    made = old.prepare(Place(), 9)
    mine = memory("Mine.", id="m0")
    world.remember(mine, ITEMS[1])
    world.settle()
    world.forget(ITEMS[1])
    world.settle()
    done = old.settle(made)
    assert (done.copied, done.there, done.forgotten) == (2, 1, 1)
    assert [world.archived(item) for item in ITEMS[:2]] == [mine, None]
    assert old.verify() == {"same": 2, "changed": 1, "forgotten": 1, "noted": 2}


def test_what_was_embedded_before_all_was_taken_back_is_not_stored(world: World) -> None:
    old = Old(world, *ITEMS)
    old.copy_step(Place())
    late = old.prepare(Place("list", 3))
    old.undo()
    with pytest.raises(Unavailable, match="taken back"):
        old.settle(late)
    assert world.archive.personas() == []
    assert copied(old.copy()) == 20


def test_without_the_vector_tier_all_is_archived_and_indexed_later(world: World) -> None:
    whole, world.vectors = world.vectors, Away(world.vectors, "upsert")
    old = Old(world, *ITEMS)
    assert sum(step.waiting for step in old.copy()) == 20
    world.vectors = whole
    while world.index_missing():
        pass
    Workers(world).assert_whole(ITEMS)


def test_what_the_model_refuses_is_told_in_full_and_the_rest_is_copied(world: World) -> None:
    class Choosy:
        def __getattr__(self, name: str) -> Any:
            return getattr(world_embedder, name)

        def encode(self, texts: list[str]) -> Any:
            if any("Note 3 " in text for text in texts):
                raise ModelError("no such words")
            return world_embedder.encode(texts)

    world_embedder, world.embedder = world.embedder, Choosy()
    old = Old(world, *ITEMS)
    refused = [each for step in old.copy() for each in step.refused]
    assert [(each.row, each.reason) for each in refused] == [("4", "no such words")]
    assert json.loads(refused[0].raw["memory"])["content"] == ITEMS[3].content
    assert old.verify() == {"same": 19, "noted": 19, "differing": 1}


def test_differences_are_told_with_their_place(world: World) -> None:
    old = Old(world, *ITEMS)
    old.copy()
    old.store.entries += found(memory("New in the store.", id="m99"), memory("Another of this id.", id="m0"))
    place = Place("list", 20)
    step = migrate.verify(place, migration=NAME, store=old.store, archive=world.archive, limit=9)
    assert [(each.key.id, each.what) for each in step.differing] == [("m99", migrate.MISSING), ("m0", migrate.TWICE)]


def test_the_same_memory_with_less_beside_it_is_no_difference(world: World) -> None:
    item = ITEMS[0].model_copy(update={"metadata": {"n": 1}})
    old = Old(world, item, ITEMS[0])
    old.copy()
    assert world.archived(item) == item
    assert old.verify() == {"same": 1, "twice": 1, "noted": 1}


def test_taking_back_removes_exactly_what_came_and_was_not_changed_since(world: World) -> None:
    mine = memory("Mine.", id="mine")
    world.remember(mine)
    world.settle()
    old = Old(world, *ITEMS)
    old.copy()
    changed = memory("Changed.", id="m0")
    world.remember(changed)
    world.forget(ITEMS[1])
    world.hot.refill([(world.archive.load("athena", ["m2"])[0], 100)])
    world.settle()
    assert old.undo() == (18, 1)
    world.settle()
    Workers(world).assert_whole([mine, changed])
    assert world.standing(ITEMS[2]) is None
    assert world.archive.migrations() == {}
    assert old.undo() == (0, 0)


def test_what_was_taken_back_can_be_copied_again_but_what_was_forgotten_stays_away(world: World) -> None:
    old = Old(world, *ITEMS)
    for _ in range(3):
        old.copy()
        world.forget(ITEMS[0])
        world.settle()
        assert old.undo() == (19, 0)
    assert copied(old.copy()) == 19
    Workers(world).assert_whole(ITEMS[1:])


@pytest.mark.parametrize("method", ["erase", "drop_migrated", "put_mark"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_taking_back_leaves_what_the_next_run_completes(world: World, method: str, after: bool) -> None:
    old, whole = Old(world, *ITEMS), world.archive
    old.copy()

    def crash() -> None:
        raise KeyboardInterrupt

    world.archive = Disturbed(whole, method, after=after, event=crash)
    with pytest.raises(KeyboardInterrupt):
        old.undo()
    world.archive = whole
    old.undo()
    for persona in ("athena", "hera"):
        assert not world.vectors.listed(persona, 0, 100)
        assert not world.archive.stats(persona).by_type
    assert copied(old.copy()) == 20


def test_taking_back_waits_for_the_vector_tier(world: World) -> None:
    old = Old(world, *ITEMS)
    old.copy()
    whole, world.vectors = world.vectors, Away(world.vectors, "delete")
    with pytest.raises(Unavailable):
        old.undo()
    world.vectors = whole
    assert old.undo() == (20, 0)


@pytest.fixture
def workers(world: World, tmp_path: Path) -> Workers:
    return Workers(world, TRINITAS_HOME=tmp_path / "home")


def test_the_jobs_copy_a_folder_step_by_step(world: World, workers: Workers, tmp_path: Path) -> None:
    store = made(tmp_path / "store", 500)
    arguments = (str(store.base), NAME, "Asia/Tokyo")
    place: Any = ["", 0]
    count = 0
    while place is not None:
        step = json.loads(json.dumps(workers.jobs.migrate_step(*arguments, place)))
        place, count = step["place"], count + step["copied"]
    assert count == store.good
    place, same, noted = ["", 0], 0, set[tuple[str, ...]]()
    while place is not None:
        step = json.loads(json.dumps(workers.jobs.migrate_verify(*arguments, place)))
        place, same = step["place"], same + step["same"]
        noted |= {tuple(each) for each in step["noted"]}
        assert not step["differing"]
    assert same == store.good
    assert noted == store.there
    notes, after = [], None
    while more := workers.jobs.migrate_notes(NAME, after):
        notes += more
        after = more[-1]
    assert {tuple(each) for each in notes} == store.there
    while workers.jobs.migrate_undo(NAME)["more"]:
        pass
    assert world.archive.personas() == []


@pytest.mark.parametrize("zone", ["Nowhere/Else", "", "../etc/passwd"])
def test_a_zone_that_there_is_not_is_told(zone: str) -> None:
    with pytest.raises(InvalidQuery, match="time zone"):
        migrating.zone_of(zone)


def test_a_name_is_no_way_out_of_the_data_directory(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(InvalidQuery, match="not the name of a migration"):
        workers.jobs.migrate_step(str(tmp_path), "../x", None, ["", 0])


def test_what_is_archived_after_a_migration_was_foreseen_and_can_be_found_read_and_kept(world: World) -> None:
    """As docs/migration.md says."""
    at = world.now()
    items = [
        memory(
            f"Quay {n} of {kind}.", id=f"{kind}{n}", type=kind, importance=n / 4, timestamp=at - timedelta(days=days)
        )
        for kind in MemoryType
        for n, days in enumerate((1, 20, 300, 900))
    ]
    items = [each.model_copy(update={"last_access": each.timestamp}) for each in items]
    Old(world, *items).copy()
    workers = Workers(world, TRINITAS_LIFE={"hera": {"archive_days": 36_500, "forget_below": 0}})
    hot, archive = world.hot, world.archive
    hot.say([Signal(Key("athena", "episodic3"), "athena", Said.PIN, at)])
    rules = workers.runtime.rules_of("athena")
    foreseen = {each.id for each in items if outlook(each, rules, at).archived} - {"episodic3"}
    workers.jobs.archive_old()
    workers.jobs.prune()
    assert archive.cold("athena", [each.id for each in items]) == foreseen
    assert {"episodic1", "episodic2", "semantic2"} <= foreseen != {each.id for each in items}
    assert "episodic2" not in world.found("Quay 2 of episodic.")
    everything = Filters(include_archived=True)
    assert world.found("Quay 2 of episodic.", filters=everything)[0] == "episodic2"
    workers.jobs.fetch("athena", ["episodic2"])
    hot.read("athena", ["episodic2"], touch=True)
    workers.jobs.flush_access()
    world.settle()
    assert world.found("Quay 2 of episodic.")[0] == "episodic2"

    kept = [each.model_copy(update={"persona": "hera"}) for each in items]
    Old(world, *kept).copy()
    workers.jobs.archive_old()
    workers.jobs.prune()
    assert archive.cold("hera", [each.id for each in kept]) == set(), "rules by which nothing is archived"
