"""What every archive keeps of definitions of personas."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.archives import opened, row
from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.policy.personas import FIVE, Persona
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.sql import SqlArchive

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
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


def test_a_definition_that_nobody_can_read_is_told(sql: SqlArchive, database: Path) -> None:
    sql.define(ZOE, NOW)
    with opened(database) as connection:
        connection.execute("""UPDATE personas SET body = '{"name": "zoe", "wings": 2}'""")
    with pytest.raises(ArchiveError, match="what it says of zoe is unreadable: wings"):
        sql.defined()
