"""What is defined of a persona is what its memories live by, whichever worker it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support import memory
from tests.unit.lives import EPISODIC, SEMANTIC, Still, life, made, remembered
from tests.unit.workers import Workers
from tests.unit.world import Away
from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.personas import FIVE, Persona, Roster
from trinitas_tasks.policy.ttl import Stay
from trinitas_tasks.services.defined import KEPT_SECONDS, Defined

ZOE = Persona(name="zoe", about="Sees.")


class Book:
    """Definitions to be looked up, while they can be."""

    def __init__(self) -> None:
        self.seconds, self.looked = 0.0, 0
        self.holds: Mapping[str, Persona] | Unavailable = {}
        self.defined = Defined(self.look, lambda: self.seconds)

    def look(self) -> Mapping[str, Persona]:
        self.looked += 1
        if isinstance(self.holds, Unavailable):
            raise self.holds
        return self.holds


def test_a_change_is_known_within_seconds_and_seldom_looked_for() -> None:
    book = Book()
    assert [book.defined.of("zoe") for _ in range(100)] == [Persona(name="zoe")] * 100
    book.holds = {"zoe": ZOE}
    assert book.looked == 1
    book.seconds = KEPT_SECONDS + 0.1
    assert book.defined.of("zoe") == ZOE
    assert book.looked == 2


def test_what_was_known_last_counts_while_nothing_can_be_looked_up() -> None:
    book = Book()
    book.holds = Unavailable("locked")
    with pytest.raises(Unavailable):
        book.defined.of("zoe")
    book.holds = {"zoe": ZOE}
    assert book.defined.of("zoe") == ZOE
    book.holds = Unavailable("locked")
    book.defined.changed()
    assert book.defined.of("zoe") == ZOE
    assert book.defined.of("zoe") == ZOE
    assert book.looked == 3, "nor is it looked for by every call"


def test_a_worker_without_the_archive_goes_by_what_clients_read() -> None:
    workers = Workers(Still())
    workers.use("archive", Away(workers.world.archive, "defined"))
    with pytest.raises(Unavailable):
        workers.runtime.personas.of("zoe")
    workers.world.hot.keep_roster(Roster({"zoe": ZOE}))
    assert workers.runtime.personas.of("zoe") == ZOE


# Rules.


def defined(workers: Workers, **fields: Any) -> None:
    workers.jobs.define(Persona.build(**fields).to_dict())


def test_rules_of_a_persona_hold_for_its_memories_and_for_no_others() -> None:
    workers = Workers(Still())
    ages = [3.0, 20.0]
    for persona in ("zoe", "hera"):
        remembered(workers, *(made(workers.world, f"Day {n}", id=f"m{n}", persona=persona, age_days=n) for n in ages))
    defined(workers, name="zoe", rules={"archive_days": 2})
    defined(workers, name="hera", rules={"archive_days": 30})
    assert workers.jobs.archive_old()["changed"] == 2
    cold = {persona: [life(workers, f"m{n}", persona).cold for n in ages] for persona in ("zoe", "hera")}
    assert cold == {"zoe": [True, True], "hera": [False, False]}


def test_settings_that_name_a_persona_beat_its_definition_which_beats_those_of_all() -> None:
    life_of = {"*": {"keep_reads": 8, "keep_score": 0.8, "duplicate": 0.8}, "zoe": {"keep_score": 0.9}}
    workers = Workers(Still(), TRINITAS_LIFE=life_of, SQLITE_ARCHIVE_DAYS=5)
    defined(workers, name="zoe", rules={"keep_score": 0.1, "keep_reads": 1})
    defined(workers, name="nyx", rules={"archive_days": 1})
    zoe, nyx, hera = (workers.runtime.rules_of(name) for name in ("zoe", "nyx", "hera"))
    assert (zoe.keep_score, zoe.keep_reads, zoe.duplicate, zoe.archive_days) == (0.9, 1, 0.8, 5)
    assert (nyx.keep_score, nyx.keep_reads, nyx.archive_days) == (0.8, 8, 1)
    assert (hera.keep_score, hera.keep_reads, hera.archive_days) == (0.8, 8, 5)


def test_why_tells_by_the_rules_of_the_persona() -> None:
    workers = Workers(Still())
    remembered(workers, made(workers.world, "A day", id="m1", persona="zoe", age_days=1))
    before = workers.jobs.why("zoe", "m1")["next"]
    defined(workers, name="zoe", rules={"archive_days": 500, "stability_days": {"episodic": 5000}})
    assert workers.jobs.why("zoe", "m1")["next"] != before


def test_a_definition_that_says_what_cannot_be_is_refused_and_changes_nothing() -> None:
    workers = Workers(Still())
    defined(workers, name="zoe", about="Sees.")
    for wrong in ({"name": "zoe", "rules": {"forget_below": 7}}, {"name": "z z"}, {"name": "zoe", "wings": 2}):
        with pytest.raises(InvalidQuery):
            workers.jobs.define(wrong)
    assert workers.world.archive.defined() == {"zoe": ZOE}


# Routing.


def left_seconds(workers: Workers, item: MemoryItem) -> int | None:
    """How long a copy that nobody reads stays in the hot tier, to within 100 seconds; None: for more than a day."""
    for seconds in range(0, 90_000, 100):
        if workers.world.standing(item) is None:
            return seconds
        workers.world.advance(100)
    return None


def test_routing_of_a_persona_decides_how_long_its_memories_stay_hot() -> None:
    workers = Workers(Still(), REDIS_TTL_EPISODIC=2000, REDIS_TTL_CACHE=500)
    defined(workers, name="zoe", routing={"episodic": "chromadb", "semantic": "redis"})
    stay, usual = workers.runtime.stays_of("zoe"), workers.runtime.stays_of("hera")
    assert (stay[EPISODIC], stay[SEMANTIC]) == (Stay(500, slides=True), Stay(2000))
    assert (usual[EPISODIC], usual[SEMANTIC]) == (Stay(2000), Stay(500, slides=True))
    items = [memory(f"Of {name}.", id="m1", persona=name) for name in ("zoe", "hera")]
    remembered(workers, *items)  # one batch
    assert [left_seconds(workers, item) for item in items] == [500, 1500]


def test_the_five_can_be_routed_otherwise() -> None:
    workers = Workers(Still(), REDIS_TTL_CACHE=500)
    workers.jobs.define(FIVE["athena"].to_dict() | {"routing": {"episodic": "chromadb"}})
    item = memory("Of athena.", id="m1")
    remembered(workers, item)
    assert left_seconds(workers, item) == 500
