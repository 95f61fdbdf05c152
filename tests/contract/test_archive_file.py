"""What the SQL archive does when its file is missing, replaced, damaged or out of room, and when its process forks."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.archives import loaded, opened, row, url_of
from trinitas_tasks.errors import ArchiveError, Unavailable
from trinitas_tasks.model import Record
from trinitas_tasks.tiers.archive import sql as sql_module
from trinitas_tasks.tiers.archive.engines import Engines
from trinitas_tasks.tiers.archive.interface import Row
from trinitas_tasks.tiers.archive.schema import HEAD, memories
from trinitas_tasks.tiers.archive.sql import SqlArchive

IDS = [f"m{n}" for n in range(500)]


def backed_up(archive: SqlArchive, database: Path) -> Path:
    """A copy of the file as it is now; what is stored from now on is in the write-ahead log."""
    archive.close()
    return Path(shutil.copy(database, database.with_name("backup.db")))


def move_away_and_restore(database: Path, backup: Path) -> None:
    database.rename(database.with_name("away.db"))
    shutil.copy(backup, database)


def move_all_away_and_restore(database: Path, backup: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.rename(path.with_name(path.name.replace(database.name, "away.db")))
    shutil.copy(backup, database)


def move_over(database: Path, backup: Path) -> None:
    backup.rename(database)


def overwrite(path: Path, start: int, data: bytes) -> None:
    """By another process: one that closes a file drops its own locks on it."""
    script = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(int(sys.argv[2])); f.write(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", script, str(path), str(start)], input=data, check=True)


def sound(database: Path) -> bool:
    with opened(database) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])


def in_file(database: Path) -> set[str]:
    """The ids that another program finds at this path."""
    with opened(database) as connection:
        return {id_ for (id_,) in connection.execute("SELECT id FROM memories")}


def test_a_file_that_is_moved_away_is_missing_until_it_is_back(sql: SqlArchive, database: Path) -> None:
    sql.store([row()])
    away = database.rename(database.with_name("away.db"))
    for call in (sql.ping, sql.highest, lambda: sql.store([row("new", 2)])):
        with pytest.raises(Unavailable, match="it is missing"):
            call()
    assert not database.exists()
    away.rename(database)
    assert sql.store([row("new", 2)]) == [2]
    assert sound(database)


@pytest.mark.parametrize("replace", [move_away_and_restore, move_all_away_and_restore, move_over])
def test_after_a_restore_writes_are_in_the_file_at_the_path(
    sql: SqlArchive, database: Path, replace: Callable[[Path, Path], None]
) -> None:
    other = SqlArchive(url_of(database))
    sql.store([row(id="before")])
    backup = backed_up(sql, database)
    sql.store([row("after " * 50, id=id_) for id_ in IDS])
    assert loaded(other, "m7") is not None
    replace(database, backup)
    assert sql.store([row(id="restored")]) == [1]
    assert loaded(other, "m7") is None
    assert other.store([row(id="too")]) == [1]
    assert in_file(database) == {"before", "restored", "too"}
    assert sound(database)
    sql.close()
    other.close()
    assert in_file(database) == {"before", "restored", "too"}


def test_the_file_that_was_replaced_keeps_its_newest_changes(
    sql: SqlArchive, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sql.store([row(id="before")])
    backup = backed_up(sql, database)
    sql.store([row(id="after")])
    move_away_and_restore(database, backup)
    assert loaded(sql, "after") is None
    [aside] = database.parent.glob(f"{database.name}-wal-*")
    assert f"The newest changes to the file before are in {aside}" in caplog.text
    aside.rename(database.with_name("away.db-wal"))
    former = SqlArchive(url_of(database.with_name("away.db")))
    assert loaded(former, "after") == row(id="after").record
    former.close()


def test_a_write_into_a_file_that_is_replaced_meanwhile_is_not_acknowledged(database: Path, sql: SqlArchive) -> None:
    engines = Engines(url_of(database), busy_timeout_ms=300)
    sql.store([row()])
    backup = backed_up(sql, database)

    def touch_while_it_is_replaced() -> None:
        with engines.write("touch everything") as connection:
            connection.execute(memories.update().values(access_count=7))
            move_away_and_restore(database, backup)

    with pytest.raises(Unavailable, match="was replaced by another file meanwhile: try again"):
        touch_while_it_is_replaced()
    engines.close()
    record = loaded(sql)
    assert record is not None
    assert record.item.access_count == 0


def test_a_damaged_file_is_refused_and_read_anew_when_it_was_mended(sql: SqlArchive, database: Path) -> None:
    sql.store([row(f"text {n}", id=f"m{n}") for n in range(500)])
    sql.close()
    whole = database.read_bytes()
    middle = slice(len(whole) // 4096 // 4 * 4096, len(whole) // 4096 // 4 * 3 * 4096)
    assert loaded(sql, "m0") is not None
    overwrite(database, middle.start, b"\xa5" * (middle.stop - middle.start))
    with pytest.raises(ArchiveError, match="malformed; the file is damaged: move it away, then restore a backup"):
        sql.load("athena", IDS)
    with pytest.raises(ArchiveError, match="malformed"):
        sql.store([row(f"text {n}", 2, id=f"m{n}") for n in range(500)])
    overwrite(database, middle.start, whole[middle])
    assert None not in sql.load("athena", IDS)
    assert sql.store([row("mended", 3)]) == [3]
    assert sound(database)


def test_a_damaged_file_is_replaced_by_a_backup_without_a_restart(sql: SqlArchive, database: Path) -> None:
    sql.store([row(id=id_) for id_ in IDS])
    backup = backed_up(sql, database)
    assert sql.store([row("newer", 2)]) == [2]
    overwrite(database, 0, b"minutes of a meeting" * 1000)
    sql.close()  # a page that is in memory would still answer
    with pytest.raises(ArchiveError):
        sql.load("athena", IDS)
    move_all_away_and_restore(database, backup)
    assert sql.store([row("restored", 3)]) == [3]
    assert in_file(database) == {*IDS, "m1"}


@pytest.mark.parametrize("room", [0, 10_000, 100_000, 1_000_000, 5_000_000])
def test_a_full_disk_is_unavailable_and_loses_nothing(sql: SqlArchive, database: Path, room: int) -> None:
    acknowledged: list[Record] = []

    def store(each: Row) -> None:
        sql.store([each])
        acknowledged.append(each.record)

    def fill() -> None:
        for n in range(1000, 2000):
            store(row("x" * 20_000, id=f"m{n}"))

    store(row("kept"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (database.stat().st_size + room, limits[1]))
    try:
        with pytest.raises(Unavailable, match="check its disk: space, quota and health"):
            fill()
        with pytest.raises(Unavailable, match="check its disk"):
            store(row("y" * 5_000_000, id="large"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    ids = [record.item.id for record in acknowledged]
    assert sql.load("athena", [*ids, "large"]) == [*acknowledged, None]
    store(row("new", 2, id="new"))
    sql.close()
    assert sound(database)
    assert sql.load("athena", [*ids, "new"]) == acknowledged


def test_a_doctor_learns_the_state_of_the_file(
    sql: SqlArchive, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.store([row("x" * 3_000_000)])
    facts = sql.facts()
    assert facts.keys() == {
        "where", "sqlite_version", "size_mb", "wal_mb", "free_mb", "journal_mode", "revision", "full"
    }  # fmt: skip
    assert (facts["where"], facts["journal_mode"], facts["revision"]) == (str(database), "wal", HEAD)
    assert facts["full"] is False
    for name in ("size_mb", "wal_mb", "free_mb"):
        assert isinstance(facts[name], float)
    assert sum(float(str(facts[name])) for name in ("size_mb", "wal_mb")) > 2.5
    monkeypatch.setattr(sql_module, "FULL_MB", 1 << 50)
    assert sql.facts()["full"] is True


def test_a_disk_with_little_room_left_is_told_before_it_is_full(database: Path) -> None:
    archive = SqlArchive(url_of(database), reserve_mb=1 << 50)
    with pytest.raises(Unavailable, match=r"has only [\d.]+ MB left on its disk: make room there"):
        archive.ping()
    archive.close()


def test_a_process_may_fork_between_its_calls(database: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.contract.archives", "fork", str(database)], check=True, timeout=60)
    assert in_file(database) == {"before", "parent", "child"}
    assert sound(database)
