"""Filling the vector tier anew while everything goes on, and being broken off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import memory
from tests.unit.workers import Workers
from tests.unit.world import Disturbed, World
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.services.reconcile import Cursor
from trinitas_tasks.tasks import mending
from trinitas_tasks.tiers.vectors.interface import Torn

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


def rebuild(workers: Workers, personas: list[str] | None, *meanwhile: Callable[[], object]) -> None:
    """Step by step, with something happening after each of the first steps."""
    events, place = list(meanwhile), workers.jobs.rebuild(personas, 0)
    while place is not None:
        if events:
            events.pop(0)()
        place = workers.jobs.rebuild(personas, place)
    assert not events
    assert workers.nudged[-1] == "reconcile"


@pytest.mark.parametrize("personas", [None, ["athena", "zeus"]])
def test_a_rebuild_leaves_what_there_was(workers: Workers, personas: list[str] | None) -> None:
    rebuild(workers, personas)
    workers.assert_whole(ITEMS)


@pytest.mark.parametrize("personas", [None, ["athena", "zeus"]])
def test_what_is_written_and_forgotten_during_a_rebuild_is_right_in_the_end(
    workers: Workers, personas: list[str] | None
) -> None:
    world = workers.world
    hermes = memory("Hermes came meanwhile.", id="m0", persona="hermes")

    def write(*items: MemoryItem) -> Callable[[], object]:
        def change() -> None:
            world.remember(*items)
            workers.jobs.ingest()

        return change

    def forget(*items: MemoryItem) -> Callable[[], object]:
        def change() -> None:
            for item in items:
                world.forget(item)
            workers.jobs.forget()

        return change

    gone = [ITEMS[3], ITEMS[17], *(item for item in ITEMS if item.persona == "zeus")]
    workers.runtime.compared = Cursor("hot")  # a comparison is under way too
    rebuild(workers, personas, write(NEW, NEWER), forget(*gone[:2]), write(hermes), forget(*gone[2:]))
    assert not {item.id for item in gone} & set(world.found("Note of day", limit=100))
    workers.reconcile()
    workers.assert_whole([NEWER, *(item for item in ITEMS[1:] if item not in gone), NEW, hermes])
    assert world.vectors.count("zeus") == 0


def test_a_search_during_a_rebuild_finds_everything(workers: Workers) -> None:
    def search() -> None:
        workers.world.hot.changed(["athena"])
        answer = workers.world.recall("Note of day", limit=100)
        assert {each.id for each in answer.found} == {item.id for item in OF_ATHENA}
        assert answer.degraded == ()

    rebuild(workers, None, search, search, search)
    search()


def test_a_torn_space_answers_nobody_while_it_is_rebuilt(workers: Workers) -> None:
    world = workers.world
    answered: list[tuple[str, ...]] = []
    wrong = world.archive.vectors("athena", ["m3"], world.embedder.name)
    world.vectors.upsert("athena", ["m0"], wrong, world.archive.versions("athena", ["m0"]))
    tier = world.vectors

    def search() -> None:
        with pytest.raises(Torn):
            tier.query("athena", wrong[0], 1)
        answer = world.recall("Note of day", limit=100)
        assert {each.id for each in answer.found} == {item.id for item in OF_ATHENA}
        answered.append(answer.answered)

    workers.use("vectors", Disturbed(tier, "promote", after=False, event=search))
    workers.reconcile()
    assert answered == [("archive", "fulltext")]
    workers.assert_whole(ITEMS)


def test_a_rebuild_that_was_broken_off_is_begun_anew(workers: Workers) -> None:
    place = workers.jobs.rebuild(None, 0)
    assert place is not None
    workers.jobs.rebuild(None, place)
    workers.assert_whole(ITEMS)
    rebuild(workers, None)
    workers.assert_whole(ITEMS)


def test_two_rebuilds_at_once_are_mended(workers: Workers) -> None:
    """The second empties what the first has filled, and the first promotes what is in it."""
    first = workers.jobs.rebuild(["athena"], 0)
    for _ in range(2):
        assert first is not None
        first = workers.jobs.rebuild(["athena"], first)
    second = workers.jobs.rebuild(["athena"], 0)
    while first is not None:
        first = workers.jobs.rebuild(["athena"], first)
    assert second is not None
    with pytest.raises(Unavailable):
        workers.jobs.rebuild(["athena"], second)
    assert workers.world.vectors.count("athena") < len(OF_ATHENA)
    workers.reconcile()
    workers.assert_whole(ITEMS)
