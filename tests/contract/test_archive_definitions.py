"""What every archive keeps of definitions of personas, and of the models that they have and had."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.contract.archives import MODEL, opened, row
from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.model import Key
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.personas import FIVE, Persona
from trinitas_tasks.tiers.archive.definitions import Abandoned, Move
from trinitas_tasks.tiers.archive.interface import Archive, Row
from trinitas_tasks.tiers.archive.sql import SqlArchive

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
LATER = NOW + timedelta(seconds=1)
ZOE = Persona(
    name="zoe",
    about='Writes 日本語 and "quotes".',
    focus=("words", "言葉"),
    routing={"episodic": "chromadb"},
    rules={"forget_below": 0.5, "delete_after_days": {"working": 3}},
)


def test_what_is_defined_is_kept_by_name(archive: Archive) -> None:
    assert archive.defined() == {}
    archive.define(ZOE, NOW)
    archive.define(FIVE["athena"], NOW)
    assert archive.defined() == {"athena": FIVE["athena"], "zoe": ZOE}
    assert list(archive.defined()) == ["athena", "zoe"]


def test_the_last_definition_of_a_name_counts_whole(archive: Archive) -> None:
    archive.define(ZOE, NOW)
    archive.define(Persona(name="zoe", about="Rests."), NOW)
    assert archive.defined() == {"zoe": Persona(name="zoe", about="Rests.")}


def test_no_more_is_kept_than_was_said(archive: Archive) -> None:
    """What was not said is left to the settings, which may change."""
    archive.define(ZOE, NOW)
    assert archive.defined()["zoe"].to_dict() == ZOE.to_dict()
    kept = archive.defined()["zoe"].rules
    assert kept is not None
    assert kept.model_fields_set == {"forget_below", "delete_after_days"}


def test_a_definition_is_no_memory_and_memories_define_nobody(archive: Archive) -> None:
    archive.define(ZOE, NOW)
    archive.store([row(persona="hera")])
    assert archive.personas() == ["hera"]
    assert list(archive.defined()) == ["zoe"]


def test_everybody_s_memories_are_counted(archive: Archive) -> None:
    archive.define(ZOE, NOW)
    assert archive.tally() == {}
    archive.store([row(id=f"m{n}", persona=persona) for persona in ("zoe", "hera") for n in range(3)])
    archive.erase([(Key("hera", "m1"), 1)])
    assert archive.tally() == {"hera": 2, "zoe": 3}


def test_a_definition_that_nobody_can_read_is_told(sql: SqlArchive, database: Path) -> None:
    sql.define(ZOE, NOW)
    with opened(database) as connection:
        connection.execute("""UPDATE personas SET body = '{"name": "zoe", "wings": 2}'""")
    with pytest.raises(ArchiveError, match="what it says of zoe is unreadable: wings"):
        sql.defined()


# Models that personas have no more.


def test_a_model_is_abandoned_until_nothing_is_left_of_it(archive: Archive) -> None:
    archive.define(ZOE, NOW, Move("a", "b"))
    archive.define(Persona(name="hera"), NOW, Move("a", "c"))
    archive.define(ZOE, LATER, Move("b", "c"))
    left = [Abandoned("hera", "a", NOW), Abandoned("zoe", "a", NOW), Abandoned("zoe", "b", LATER)]
    assert archive.abandoned() == left
    archive.cleared(left[1])
    archive.cleared(left[1])
    assert archive.abandoned() == [left[0], left[2]]


def test_whoever_comes_back_to_a_model_has_not_abandoned_it(archive: Archive) -> None:
    archive.define(ZOE, NOW, Move("a", "b"))
    archive.define(ZOE, LATER, Move("b", "a"))
    assert archive.abandoned() == [Abandoned("zoe", "b", LATER)]


def test_a_model_that_was_abandoned_again_meanwhile_is_not_cleared(archive: Archive) -> None:
    archive.define(ZOE, NOW, Move("a", "b"))
    [before] = archive.abandoned()
    archive.define(ZOE, LATER, Move("b", "a"))
    archive.define(ZOE, LATER, Move("a", "b"))
    archive.cleared(before)
    assert Abandoned("zoe", "a", LATER) in archive.abandoned()


def test_vectors_of_one_persona_and_model_are_dropped_some_at_a_time(archive: Archive) -> None:
    rows = [row(id=f"m{n}", parts=2, persona=persona) for persona in ("zoe", "hera") for n in range(5)]
    archive.store(rows)
    archive.store([row(id=f"m{n}", parts=1, persona="zoe", model="other") for n in range(5)])
    ids = [f"m{n}" for n in range(5)]
    assert [archive.drop_vectors("zoe", MODEL, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert archive.vectors("zoe", ids, MODEL) == [None] * 5
    assert [each is not None and len(each) for each in archive.vectors("zoe", ids, "other")] == [1] * 5
    assert [each is not None and len(each) for each in archive.vectors("hera", ids, MODEL)] == [2] * 5
    assert archive.versions("zoe", ids) == [1] * 5


# Which model is whose.

NAMES = Naming(MODEL, {"zoe": "own", "nyx": "own", "iris": "third"})


def test_each_persona_s_memories_are_listed_and_indexed_by_its_own_model(archive: Archive) -> None:
    archive.store([row(id="1", persona="zoe"), row(id="2", persona="hera"), row(id="3", persona="nyx", model="own")])
    archive.store([row(id="4", persona="hera", model="own"), row(id="5", persona="iris", model="third")])
    archive.store([row(id="6", persona="zoe", model="own", parts=3)])
    listed = {each.key.id: (each.embedded, each.parts) for each in archive.listed(0, 100, NAMES)}
    assert listed == {"1": (False, 0), "2": (True, 1), "3": (True, 1), "4": (False, 0), "5": (True, 1), "6": (True, 3)}
    waiting = archive.unindexed(NAMES, 100)
    assert [(each.key.id, len(each.vectors)) for each in waiting] == [("2", 1), ("3", 1), ("5", 1), ("6", 3)]
    assert [each.key.id for each in archive.unindexed(NAMES, 2)] == ["2", "3"]
    archive.mark_indexed([(Key("zoe", "6"), 1)], "own")
    assert [each.key.id for each in archive.unindexed(NAMES, 100)] == ["2", "3", "5"]
    assert [each.key.id for each in archive.listed(0, 100, NAMES) if each.indexed] == ["6"]


def test_a_memory_without_vectors_is_kept_and_gets_them_later(archive: Archive) -> None:
    bare = Row(row().record, np.empty((0, 0), np.float32), MODEL, ("staging",))
    assert archive.store([bare]) == [1]
    [listed] = archive.listed(0, 10, NAMES)
    assert (listed.embedded, listed.indexed, listed.parts) == (False, False, 0)
    assert archive.unindexed(NAMES, 10) == []
    assert archive.vectors("athena", ["m1"], MODEL) == [None]
    assert [match.id for match in archive.search_text("athena", ["staging"], 10)] == ["m1"]
    assert archive.store([row(parts=2)]) == [1]
    assert [len(each.vectors) for each in archive.unindexed(NAMES, 10)] == [2]
