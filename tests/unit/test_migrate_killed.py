"""Whoever is killed in a migration, the command or the worker, at any call of anything, costs time and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.legacy import Store, made, timeless
from tests.unit.clients import Bench
from tests.unit.deadly import Deadly, Death, Killed
from tests.unit.test_migrate import ITEMS, Old
from tests.unit.workers import Workers
from tests.unit.world import World
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.interfaces import migrating
from trinitas_tasks.interfaces.migrating import Migration
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.retention import Outlook

TIERS = ("hot", "archive", "vectors")
KILLS = 20
MOST = 60
"""Calls of one run at most; an undisturbed one makes some hundred."""


# One step, killed before each of its calls.


def broken_off(world: World, call: Callable[[], object], at: int) -> bool:
    """Whether it came to that call."""
    death = Death(at)
    whole = {name: getattr(world, name) for name in TIERS}
    for name, tier in whole.items():
        setattr(world, name, Deadly(tier, death))
    try:
        call()
    except Killed:
        return True
    finally:
        for name, tier in whole.items():
            setattr(world, name, tier)
    return False


def test_copying_may_be_killed_before_any_call_of_any_tier() -> None:
    for at in range(1, 1000):
        world = World()
        old = Old(world, *ITEMS)
        if not broken_off(world, old.copy, at):
            break
        steps = old.copy()
        assert sum(step.copied + step.already for step in steps) == len(ITEMS), f"killed before call {at}"
        while world.index_missing():
            pass
        Workers(world).assert_whole(ITEMS)
        assert old.verify() == {"same": 20, "noted": 20}
        assert old.undo() == (20, 0)
    assert at > 50


def test_taking_back_may_be_killed_before_any_call_of_any_tier() -> None:
    for at in range(1, 1000):
        world = World()
        old = Old(world, *ITEMS)
        old.copy()
        if not broken_off(world, old.undo, at):
            break
        old.undo()
        assert world.archive.personas() == [], f"killed before call {at}"
        assert world.archive.migrations() == {}
        assert not any(world.vectors.listed(persona, 0, 100) for persona in ("athena", "hera"))
        assert sum(step.copied for step in old.copy()) == len(ITEMS)
        Workers(world).assert_whole(ITEMS)
    assert at > 30


# The whole command, killed again and again.


class Mortal:
    """A command over stubs whose process, or whose worker's, ends at some call."""

    def __init__(self, bench: Bench, store: Store, home: Path) -> None:
        self._home = home
        self.death = Death()
        self.client = bench.client(TRINITAS_HOME=home)
        self.migration = Migration(self.client, store.base, zone="Asia/Tokyo", home=home)
        dispatcher: Any = self.client._dispatcher
        for name in TIERS:
            dispatcher._runtime.__dict__[name] = Deadly(getattr(bench.world, name), self.death)
        logbook: Any = Deadly(self.migration.logbook, self.death)
        self.migration.logbook = logbook

    def run(self) -> dict[str, Any]:
        """As the command line does it; its report."""
        one = self.migration
        with one.logbook.alone():
            survey = one.survey(self.death.call, foresee=_nothing_awaits)
            one.back_up(self.death.call)
            copied = one.copy(self.death.call)
            found = one.verify(self.death.call)
            report = {"survey": survey.told(), "copied": copied.told(), "verified": asdict(found)}
            one.finish(report, done=True)
        return report

    def killed_after(self, calls: int | None) -> bool:
        """Run it; whether it was killed after so many calls. None: undisturbed."""
        self.death.live(calls)
        try:
            self.run()
        except Killed:
            return True
        finally:
            self.death.live(None)
            self.client.close()
        return False

    def left(self) -> dict[str, Any]:
        """What it left in its folder, with the parts of its report but for their times."""
        folder = self._home / "migrations" / self.migration.name
        found: dict[str, Any] = {
            each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()
        }
        del found["state.json"]  # it tells when it was done
        report = timeless(json.loads(found.pop("report.json")))
        return found | {f"report {name}": value for name, value in report.items()}


def _nothing_awaits(_: MemoryItem) -> Outlook:
    return Outlook(False, False)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made(tmp_path / "store", 120)


def test_a_command_killed_twenty_times_comes_to_what_it_comes_to_undisturbed(store: Store, tmp_path: Path) -> None:
    expected = Mortal(Bench(), store, tmp_path / "undisturbed")
    assert not expected.killed_after(None)
    chance, bench = random.Random(6), Bench()
    for _ in range(KILLS):
        assert Mortal(bench, store, tmp_path / "disturbed").killed_after(chance.randint(1, MOST))
    last = Mortal(bench, store, tmp_path / "disturbed")
    assert not last.killed_after(None)
    assert_same(last, expected, store)


def test_whose_worker_is_killed_twenty_times_comes_to_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "AGAIN_SECONDS", 0)
    expected = Mortal(Bench(), store, tmp_path / "undisturbed")
    assert not expected.killed_after(None)
    chance, kills, whole = random.Random(6), list[str](), MemoryClient.ask
    one = Mortal(Bench(), store, tmp_path / "disturbed")

    def ask(self: MemoryClient, job: str, *arguments: Any, **more: Any) -> Any:
        patience = kills.count(f"{job} {arguments}") < 4
        one.death.live(chance.randint(1, MOST if job == "migrate_step" else 4) if patience else None)
        try:
            return whole(self, job, *arguments, **more)
        except Killed:
            kills.append(f"{job} {arguments}")  # the next worker comes, the command goes on
            raise Unavailable("no worker answered") from None
        finally:
            one.death.live(None)

    monkeypatch.setattr(MemoryClient, "ask", ask)
    assert not one.killed_after(None)
    assert len(kills) >= KILLS
    assert_same(one, expected, store)


def assert_same(disturbed: Mortal, expected: Mortal, store: Store) -> None:
    found = disturbed.left()
    assert found == expected.left()
    copied, verified = found["report copied"], found["report verified"]
    assert copied["copied"] == verified["same"] == verified["noted"] == store.good
    assert verified["differing"] == copied["there"] == 0
    assert found["report survey"]["unreadable"] == store.bad
