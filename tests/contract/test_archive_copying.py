"""A copy of an archive that is in use: one moment of it, whatever is written meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.archives import opened, row
from trinitas_tasks.errors import ArchiveError, Unavailable
from trinitas_tasks.model import Key, utc_now
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.tiers.archive import copying
from trinitas_tasks.tiers.archive.lives import Feedback, Settlement
from trinitas_tasks.tiers.archive.sql import SqlArchive


def quiet(*_: object) -> None:
    """Nobody watches."""


def test_a_copy_is_one_moment_and_writers_do_not_wait(
    sql: SqlArchive, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PAGES", 5)
    sql.store([row("x" * 5000, id=f"m{each}") for each in range(50)])
    written: list[int] = []

    def write(*_: int) -> None:
        written.extend(sql.store([row("y" * 5000, id=f"w{len(written)}"), row("z", id=f"m{len(written)}", version=2)]))

    copy = database.with_name("copy.db")
    copying.snapshot(database, copy, watch=write)
    assert len(written) > 20
    assert [each.name for each in copy.parent.glob("copy*")] == ["copy.db"]
    facts = copying.examined(copy)
    assert facts.counts["memories"] == 50
    assert (facts.highest, facts.change, len(facts.models)) == (1, 50, 1)
    with copying.opened(copy) as archive:
        assert archive.has(Key("athena", "m1"), 1)
        assert not archive.has(Key("athena", "m1"), 2)
        assert not archive.has(Key("athena", "w0"), 1)


def test_a_copy_tells_what_was_erased_and_said(sql: SqlArchive, database: Path) -> None:
    now = utc_now()
    sql.store([row(id="m1"), row(id="m2")])
    sql.erase([(Key("athena", "m2"), 5)])
    sql.settle(Settlement(1, feedback=[Feedback(0, Key("athena", "m1"), "hera", True, now)]))
    copy = database.with_name("copy.db")
    copying.snapshot(database, copy, watch=quiet)
    with copying.opened(copy) as archive:
        gone = Key("athena", "m2")
        assert (archive.has(gone, 5), archive.has(gone, 6), archive.has_erased(gone, 5)) == (True, False, True)
        assert not archive.has_erased(Key("athena", "m1"), 1)
        said = (Key("athena", "m1"), "hera")
        assert archive.has_heard(*said, "useful", now)
        assert not archive.has_heard(*said, "useless", now)
        assert not archive.has_heard(*said, "pin", now)


def test_what_is_no_archive_is_refused(database: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with pytest.raises(Unavailable, match="missing"):
        copying.snapshot(other, tmp_path / "copy.db", watch=quiet)
    other.write_bytes(b"no database at all" * 100)
    with pytest.raises(ArchiveError):
        copying.examined(other)
    other.write_bytes(b"")
    with pytest.raises(ArchiveError):
        copying.examined(other)
    with opened(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ArchiveError, match="upgrade"):
        copying.examined(database)


def test_what_a_watcher_raises_breaks_off(sql: SqlArchive, database: Path) -> None:
    sql.store([row()])

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.snapshot(database, database.with_name("copy.db"), watch=stop)
    assert sql.store([row(id="m2")]) == [1]


def test_a_copy_that_begins_anew_is_another_archive_without_an_index(sql: SqlArchive) -> None:
    sql.store([row()])
    sql.mark_indexed([(Key("athena", "m1"), 1)], "model-a")
    before = sql.position()
    sql.begin_anew()
    assert sql.position().epoch not in (0, before.epoch)
    assert sql.position().change == before.change
    assert [each.key.id for each in sql.unindexed(Naming("model-a"), 9)] == ["m1"]
