"""Whom a client knows, and what it does where nobody can tell."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import memory
from tests.unit.clients import Bench, Held, Workerless
from tests.unit.fronts import Switch
from tests.unit.world import Away, World
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import ArchiveError, InvalidQuery, TrinitasError, Unavailable, UnknownPersona
from trinitas_tasks.policy.personas import FIVE, Persona, Roster
from trinitas_tasks.services.acquaintance import ASKED_SECONDS, KEPT_SECONDS, MET, Acquaintance
from trinitas_tasks.tasks.jobs import Jobs

ZOE = Persona(name="zoe", about="Says what she sees.", focus=("sights",))


class Machine:
    """One client's acquaintance over stubs, whose workers answer by hand."""

    def __init__(self) -> None:
        self.world = World()
        self.hot = Switch(self.world.hot)
        self.seconds = 0.0
        self.asked = 0
        self.answer: Roster | TrinitasError | str = Roster()
        self.knows = Acquaintance(self.hot, self.world.spool, self.ask, lambda: self.seconds)

    def ask(self) -> str:
        self.asked += 1
        os.sched_yield()  # another thread may come in between
        if isinstance(self.answer, TrinitasError):
            raise self.answer
        return self.answer if isinstance(self.answer, str) else self.answer.to_json()

    def known(self, name: str) -> bool:
        try:
            self.knows.check(name)
        except UnknownPersona:
            return False
        return True


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Over a client.


def tick(client: MemoryClient) -> None:
    jobs = getattr(client._dispatcher, "_jobs", None)
    assert isinstance(jobs, Jobs)
    jobs.tick()


def test_the_five_are_known_from_the_start(bench: Bench) -> None:
    client = bench.client(Workerless)
    for name in FIVE:
        client.check_known(name)
    assert {name: bench.client().personas()[name] for name in FIVE} == FIVE


def test_who_was_defined_is_known_to_every_client_at_once(bench: Bench) -> None:
    one, other = bench.client(), bench.client(Workerless)
    one.define(ZOE)
    for client in (one, other):
        client.check_known("zoe")
        assert client.personas()["zoe"] == ZOE


def test_one_of_the_five_may_be_defined_otherwise(bench: Bench) -> None:
    client = bench.client()
    client.define(Persona(name="athena", about="Rests."))
    assert client.personas()["athena"] == Persona(name="athena", about="Rests.")
    assert set(client.personas()) == set(FIVE)


def test_a_name_that_nobody_has_is_refused_with_the_nearest(bench: Bench) -> None:
    client = bench.client()
    client.define(ZOE)
    for name, nearest in (("athna", "athena"), ("Zoe", "zoe")):
        with pytest.raises(UnknownPersona, match=f"there is no '{name}': did you mean {nearest}"):
            client.check_known(name)
    with pytest.raises(UnknownPersona, match="there are artemis, athena, bellona, hestia, seshat, zoe"):
        client.check_known("xyz")


def test_what_is_no_name_is_never_known(bench: Bench) -> None:
    with pytest.raises(InvalidQuery, match="is not a persona's name"):
        bench.client(Workerless).check_known("no name")


def test_who_has_memories_is_known(bench: Bench) -> None:
    writer, other = bench.client(), bench.client(persona=None)
    writer.remember("The staging database moved.", persona="mnemosyne")
    tick(writer)
    other.check_known("mnemosyne")
    assert other.personas()["mnemosyne"] == Persona(name="mnemosyne")


def test_whoever_remembers_for_somebody_new_knows_them_at_once(bench: Bench) -> None:
    client = bench.client(Workerless)
    client.remember("It is not archived.", persona="nyx")
    client.check_known("nyx")
    bench.world.hot.keep_roster(Roster())
    assert client.personas()["nyx"] == Persona(name="nyx")


def test_others_know_them_too_before_anything_is_archived(bench: Bench) -> None:
    writer, other = bench.client(Held), bench.client(Held)
    writer.remember("It is not archived.", persona="nyx")
    other.check_known("nyx")
    with pytest.raises(UnknownPersona):
        other.check_known("nix")


def test_a_redis_that_was_emptied_is_told_again(bench: Bench) -> None:
    client = bench.client()
    client.define(ZOE)
    bench.world.hot = type(bench.world.hot)(clock=bench.world.now)
    after = bench.client()
    assert after.personas()["zoe"] == ZOE, "the workers are asked"
    assert bench.world.hot.roster() is None
    tick(after)
    assert bench.world.hot.roster() == Roster({"zoe": ZOE}, frozenset())


def test_workers_write_only_where_something_changed(bench: Bench) -> None:
    client = bench.client()
    client.define(ZOE)
    kept = bench.world.hot.roster()
    tick(client)
    assert bench.world.hot.roster() is kept


# By hand.


def test_what_is_known_costs_the_workers_nothing(machine: Machine) -> None:
    machine.world.hot.keep_roster(Roster({"zoe": ZOE}, frozenset({"hera"})))
    assert machine.known("zoe")
    assert machine.known("hera")
    assert machine.asked == 0


def test_what_was_read_is_believed_for_some_seconds(machine: Machine) -> None:
    machine.world.hot.keep_roster(Roster({"zoe": ZOE}))
    assert machine.knows.all()["zoe"] == ZOE
    newer = Persona(name="zoe", about="Rests.")
    machine.world.hot.keep_roster(Roster({"zoe": newer}))
    assert machine.knows.all()["zoe"] == ZOE
    machine.seconds += KEPT_SECONDS + 0.1
    assert machine.knows.all()["zoe"] == newer


def test_somebody_new_is_looked_for_whatever_was_read_before(machine: Machine) -> None:
    machine.world.hot.keep_roster(Roster())
    machine.knows.all()
    machine.world.hot.keep_roster(Roster({"zoe": ZOE}))
    assert machine.known("zoe")


def test_the_workers_are_asked_once_for_a_while(machine: Machine) -> None:
    for name in ("nix", "nox", "nix"):
        assert not machine.known(name)
    assert machine.asked == 1
    machine.answer = Roster({}, frozenset({"nyx"}))
    machine.seconds += ASKED_SECONDS + 0.1
    assert machine.known("nyx")
    assert not machine.known("nix")
    assert machine.asked == 2


def test_several_who_ask_at_a_time_have_one_answer(machine: Machine) -> None:
    together = threading.Barrier(4)

    def ask(name: str) -> bool:
        together.wait()
        return machine.known(name)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, ["nix", "nox", "nax", "nux"])) == [False] * 4
    assert machine.asked == 1


def test_where_redis_is_away_a_name_is_taken(machine: Machine) -> None:
    machine.hot.away = True
    assert machine.known("nyx")
    with pytest.raises(Unavailable):
        machine.knows.all()
    machine.hot.away = False
    assert not machine.known("nix")


@pytest.mark.parametrize("answer", [Unavailable("no worker"), ArchiveError("torn"), "of another version"])
def test_where_the_workers_cannot_tell_a_name_is_taken_and_nobody_waits_twice(
    machine: Machine, answer: TrinitasError | str
) -> None:
    machine.answer = answer
    assert machine.known("nyx")
    assert machine.known("nox")
    assert machine.asked == 1
    machine.answer = Roster()
    machine.seconds += KEPT_SECONDS + 0.1
    assert not machine.known("nix")


def test_what_waits_in_the_spool_of_this_machine_counts(machine: Machine) -> None:
    machine.world.spool.write([(memory(persona="nyx"), None)], above=0)
    assert machine.known("nyx")
    assert not machine.known("nix")


def test_a_client_remembers_only_so_many(machine: Machine) -> None:
    machine.knows.met(f"p{n}" for n in range(2 * MET))
    assert not machine.known("p1")
    assert machine.known(f"p{2 * MET - 1}")


def test_a_tier_that_fails_otherwise_is_not_taken_for_an_answer(machine: Machine) -> None:
    machine.knows = Acquaintance(Away(machine.world.hot, "pending"), machine.world.spool, machine.ask)
    assert machine.known("nyx")
    assert machine.asked == 0
