"""What a migration brought goes, with all that became of it; everything else is as if it had never come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support import memory
from tests.unit.lives import EPISODIC, SEMANTIC, WORKING, Still, lived, read, said, state
from tests.unit.test_migrate import NAME, Old
from tests.unit.world import Away
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.hot.interface import Said

DAY = 86_400
TASKS = ("flush_access", "consolidate", "score_importance", "archive_old", "prune", "detect_anomalies", "warm_cache")
COMPUTED = {"score", "scored_at", "fades_at"}
"""What a task computes of a memory, also by what is near to it."""


def old_items(begin: Still) -> list[MemoryItem]:
    """What comes: of old days, worth keeping, the same as what is here, under ids that are here, and of others."""
    at = {"timestamp": begin.now(), "last_access": begin.now()}
    items = [memory(f"Dock {n} was painted in spring", id=f"dock{n}", type=EPISODIC) for n in range(6)]
    items += [
        memory(f"The lock {n} is opened by key {n}", id=f"lock{n}", type=WORKING, importance=0.9, **at)
        for n in range(4)
    ]
    items += [
        memory("The harbour opens at nine o'clock every morning", id=f"a{n}", type=SEMANTIC, **at) for n in range(2)
    ]
    items += [memory("Fact 5 about the moon", id="a-moon", type=SEMANTIC, importance=1.0, access_count=90, **at)]
    items += [
        memory(f"Not what is here {n}", id=name, type=SEMANTIC) for n, name in enumerate(("fact0", "twin1", "old1"))
    ]
    items += [memory(f"Hera saw swan {n}", id=f"swan{n}", persona="hera", type=SEMANTIC, **at) for n in range(3)]
    return items


class Home:
    """A home that has lived for a while, to which memories come, or do not."""

    def __init__(self, folder: Path, kind: str, most: int = 0) -> None:
        world = Still()
        if kind == "sql":
            world.archive = SqlArchive(f"sqlite:///{folder / 'archive.db'}")
            world.archive.migrate()
        rules = {"*": {"delete_after_days": {"procedural": 300}, "max_memories": most}}
        self.workers = lived(world, TRINITAS_HOME=folder, TRINITAS_LIFE=rules)
        self.world = world
        self.old = Old(world, *old_items(world))
        world.hot.share(Key("athena", "fact5"), ["hera"])
        self.world.forget(memory(id="dock5"))
        self.settle()

    def settle(self) -> None:
        """What workers do in time, before anything is looked at."""
        self.world.settle()
        self.workers.jobs.flush_access()
        self.world.settle()

    def migrate(self) -> int:
        """How many came."""
        return sum(step.copied for step in self.old.copy())

    def roll_back(self) -> tuple[int, int]:
        """How many went and stayed; nothing that is due comes after it."""
        removed, kept, more = 0, 0, True
        while more:
            step = json.loads(json.dumps(self.workers.jobs.migrate_undo(NAME)))
            removed, kept, more = removed + step["removed"], kept + step["kept"], step["more"]
        return removed, kept

    def a_day(self) -> None:
        """Passes, and every task runs."""
        self.world.advance(DAY + 60)
        for _ in range(2):
            for task in TASKS:
                getattr(self.workers.jobs, task)()
                self.world.settle()

    def exported(self) -> bytes:
        """As `trinitas export` writes it."""
        lines, after = list[str](), cast("list[str] | None", ["", ""])
        while after is not None:
            step = self.workers.jobs.export_step(after, 7, {})
            lines += step["lines"]
            after = step["after"]
        return "\n".join(lines).encode()

    def told(self) -> dict[Key, dict[str, Any]]:
        """The lines of an export."""
        found = map(json.loads, self.exported().decode().split("\n"))
        return {Key(each["persona"], each["id"]): each for each in found}


@pytest.fixture(params=["memory", "sql"])
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Home, Home]]:
    """One to which memories come, and its twin, to which none ever come."""
    made = []
    for name in ("home", "twin"):
        (tmp_path / name).mkdir()
        made.append(Home(tmp_path / name, request.param))
    yield made[0], made[1]
    for each in made:
        each.world.archive.close()


def test_an_export_is_the_same_byte_for_byte(homes: tuple[Home, Home]) -> None:
    home, twin = homes
    before = home.exported()
    assert before == twin.exported()
    assert home.migrate() == 15, "three have the ids of others, one was forgotten here"
    assert home.exported() != before
    assert home.roll_back() == (15, 0)
    assert home.exported() == before
    assert state(home.workers) == state(twin.workers)
    home.workers.reconcile()
    assert home.exported() == before
    assert home.workers.compared() == set()


def test_what_was_read_said_and_granted_of_it_meanwhile_goes_with_it(homes: tuple[Home, Home]) -> None:
    home, twin = homes
    before = home.exported()
    home.migrate()
    for settled in (True, False):  # some of it is in Redis only
        read(home.workers, "lock0", "lock1", "dock2", "lock0")
        said(home.workers, "lock0", Said.PIN)
        said(home.workers, "dock1", Said.USEFUL)
        home.world.hot.share(Key("athena", "lock2" if settled else "lock3"), ["hera"])
        home.world.hot.share(Key("hera", "swan0"), ["athena"])
        if settled:
            home.settle()
    assert home.roll_back() == (15, 0)
    assert home.exported() == before
    first = home.migrate()  # before anybody looks at what Redis has of it
    home.settle()
    again = {key: each for key, each in home.told().items() if key not in twin.told()}
    assert len(again) == first == 15
    assert not any(each["pinned"] or each["useful"] or each["grants"] for each in again.values())
    assert {each["access_count"] for each in again.values()} == {0, 90}
    assert not set(home.workers.runtime.archive.followers(list(again)))
    home.roll_back()
    home.settle()
    assert home.exported() == before
    assert state(home.workers) == state(twin.workers)
    assert home.world.hot.granted("hera", 9) == [Key("athena", "fact5")]
    assert home.world.hot.granted("athena", 9) == []


def test_what_is_granted_anew_under_an_id_that_was_taken_back_holds(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    home.migrate()
    home.world.hot.share(Key("athena", "lock0"), ["hera"])
    home.settle()
    home.roll_back()
    mine = memory("The lock is mine now.", id="lock0")
    home.world.remember(mine)
    home.settle()
    assert home.world.hot.granted("hera", 9) == [Key("athena", "fact5")], "the new one was never shared"
    home.world.hot.share(Key("athena", "lock0"), ["hera"])
    home.settle()
    assert set(home.world.hot.granted("hera", 9)) == {Key("athena", "fact5"), Key("athena", "lock0")}


def test_what_tasks_did_meanwhile_is_as_if_it_had_never_come(homes: tuple[Home, Home]) -> None:
    home, twin = homes
    home.migrate()
    for each in homes:
        each.a_day()
    kinds = {each.key.id: each.kind for each in home.world.archive.consolidations(limit=1000)}
    assert "lock0" in kinds, "some of what came was consolidated"
    links = [each.after for each in home.world.archive.consolidations(limit=1000) if each.key.id.startswith("twin")]
    assert {"representative": "a-moon"} in [
        each.after for each in home.world.archive.consolidations(limit=1000) if each.key.id == "fact5"
    ], "what is here was linked to what came"
    assert links
    removed, kept = home.roll_back()
    assert (removed, kept) == (15, 0)
    now, expected = home.told(), twin.told()
    assert set(now) == set(expected)
    for key in now:
        assert _without(now[key], COMPUTED) == _without(expected[key], COMPUTED), key
    twin.world.passed = home.world.passed
    for each in homes:
        each.a_day()
    now, expected = home.told(), twin.told()
    active = {key for key in now if not now[key]["cold"]}
    assert len(active) > 20
    assert {key: now[key] for key in active} == {key: expected[key] for key in active}, "all was computed anew"
    assert state(home.workers) == state(twin.workers)


def test_what_was_archived_since_there_was_too_much_stays_so_until_it_is_read(tmp_path: Path) -> None:
    home, twin = Home(tmp_path, "memory", most=30), Home(tmp_path, "memory", most=30)
    home.migrate()
    for each in (home, twin):
        each.a_day()
    home.roll_back()
    now, expected = home.told(), twin.told()
    pushed = [key for key, line in now.items() if line["cold"] and not expected[key]["cold"]]
    assert pushed
    assert [_without(line, {"cold", *COMPUTED}) for line in now.values()] == [
        _without(line, {"cold", *COMPUTED}) for line in expected.values()
    ]
    read(home.workers, *(key.id for key in pushed))
    home.settle()
    assert not any(home.told()[key]["cold"] for key in pushed)


def _without(line: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}


def test_what_was_consolidated_comes_again_as_it_was(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    home.migrate()
    lines = {key: each for key, each in home.told().items() if key.id.startswith("lock")}
    home.a_day()
    assert {each["type"] for key, each in home.told().items() if key in lines} != {"working"}
    home.roll_back()
    assert home.migrate() == 15
    assert {key: each for key, each in home.told().items() if key in lines} == lines
    assert home.old.verify()["same"] == 15
    home.world.forget(memory(id="lock0"))
    home.settle()
    home.roll_back()
    assert home.migrate() == 14, "what was forgotten stays away"


def test_a_consolidation_that_is_not_archived_yet_is_waited_for(homes: tuple[Home, Home]) -> None:
    home, twin = homes
    home.migrate()
    home.world.advance(DAY)
    archive = home.workers.runtime.archive
    home.workers.use("archive", Away(archive, "store"))
    home.workers.jobs.consolidate()
    home.workers.use("archive", archive)
    home.old.world.archive = archive
    with pytest.raises(Unavailable, match="archived first"):
        home.workers.jobs.migrate_undo(NAME)
    home.world.settle()
    assert home.roll_back() == (15, 0)
    assert set(home.told()) == set(twin.told())


def test_what_was_written_meanwhile_stays_and_so_does_what_was_said_of_it(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    home.migrate()
    mine = memory("The lock is open.", id="lock0", type=WORKING, importance=0.9)
    home.world.remember(mine)
    home.world.hot.share(Key("athena", "lock0"), ["hera"])
    said(home.workers, "lock0", Said.PIN)
    home.settle()
    assert home.roll_back() == (14, 1)
    line = home.told()[Key("athena", "lock0")]
    assert (line["content"], line["pinned"], line["grants"]) == ("The lock is open.", True, ["hera"])
