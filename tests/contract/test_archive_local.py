"""What only the reader of the archive's file does; what it finds is told by the contracts of every archive."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.archives import found, loaded, opened, row, unprivileged
from trinitas_tasks.errors import ArchiveError, DeadlineExceeded, Unavailable
from trinitas_tasks.tiers.archive.local import LocalArchive
from trinitas_tasks.tiers.archive.sql import SqlArchive


@pytest.fixture
def local(database: Path) -> LocalArchive:
    """A reader of the file that ``sql`` writes, impatient with locks."""
    return LocalArchive(database, deadline_ms=300)


def test_it_loads_neither_sqlalchemy_nor_numpy(sql: SqlArchive, database: Path) -> None:
    sql.store([row()])
    script = """if True:
        import sys
        from trinitas_tasks.tiers.archive.local import LocalArchive
        archive = LocalArchive(sys.argv[1])
        assert archive.load("athena", ["m1"])[0] and archive.search_text("athena", ["staging"], 1)
        print({"sqlalchemy", "numpy", "alembic", "pydantic_settings"} & sys.modules.keys())
    """
    answer = subprocess.run(
        [sys.executable, "-c", script, str(database)], check=True, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout.strip() == "set()"


def test_a_missing_file_is_unavailable_and_not_made(tmp_path: Path) -> None:
    archive = LocalArchive(tmp_path / "folder" / "archive.db")
    assert not archive.readable
    for call in (lambda: loaded(archive), lambda: found(archive, "word")):
        with pytest.raises(Unavailable, match="unable to open database file; it is missing"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_replaced_is_read_at_once(sql: SqlArchive, database: Path, local: LocalArchive) -> None:
    readable = [local.readable]
    sql.store([row("one")])
    sql.close()
    other = SqlArchive(f"sqlite:///{database.with_name('other.db')}")
    other.migrate()
    other.store([row("two", 2)])
    other.close()
    assert loaded(local) == row("one").record
    database.with_name("other.db").rename(database)
    assert loaded(local) == row("two", 2).record
    assert found(local, "one", "two") == ["m1"]
    database.unlink()
    assert [*readable, local.readable] == [True, False]
    with pytest.raises(Unavailable, match="it is missing"):
        loaded(local)


def test_reading_changes_nothing(sql: SqlArchive, database: Path, local: LocalArchive) -> None:
    sql.store([row(f"text {n}", id=f"m{n}") for n in range(100)])
    sql.close()
    before = database.read_bytes(), database.stat().st_mtime_ns
    assert len(found(local, "text")) == 100
    assert (database.read_bytes(), database.stat().st_mtime_ns) == before
    assert sql.store([row("new", 2)]) == [2]
    assert loaded(local) == row("new", 2).record


def test_whole_batches_are_read_while_the_worker_writes_and_after_it_is_killed(
    sql: SqlArchive, database: Path, local: LocalArchive
) -> None:
    def whole(batch: int) -> bool:
        ids = [f"{batch}-{n}" for n in range(20)]
        records = [record for record in local.load("athena", ids) if record is not None]
        assert len(records) in (0, 20)
        return len(records) == 20

    command = [sys.executable, "-m", "tests.contract.archives", "store", str(database), "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(10):
            batch = int(child.stdout.readline())
            assert whole(batch)
            whole(batch + 1)
            assert len(found(local, f"batch{batch}")) == 20
        child.kill()
        acknowledged = [int(line) for line in child.stdout if line.endswith("\n")]
    log = database.with_name(f"{database.name}-wal")
    left, shared = log.read_bytes(), database.with_name(f"{database.name}-shm")
    assert left
    assert shared.exists()
    assert all(whole(batch) for batch in (0, *acknowledged[-3:]))
    assert log.read_bytes() == left
    assert sql.store([row("the next worker")]) == [1]
    assert loaded(local) == row("the next worker").record
    assert whole(0)


def test_a_locked_file_is_unavailable_within_the_deadline(sql: SqlArchive, database: Path, local: LocalArchive) -> None:
    sql.store([row()])
    sql.close()
    with opened(database) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="database is locked"):
            loaded(local)
    assert loaded(local) == row().record


def test_a_search_that_takes_too_long_is_given_up(sql: SqlArchive, database: Path) -> None:
    sql.store([row("word", id=f"m{n}") for n in range(5000)])
    with pytest.raises(DeadlineExceeded, match="it took too long"):
        LocalArchive(database, deadline_ms=0).search_text("athena", ["word"], 100)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    path.write_bytes(b"these are the minutes of a meeting\n" * 1000)
    with pytest.raises(ArchiveError, match=r"not a database; .*restore a backup"):
        loaded(LocalArchive(path))
    path.write_bytes(b"")
    with pytest.raises(ArchiveError, match="its schema is missing: run `trinitas up`"):
        found(LocalArchive(path), "word")


def test_a_damaged_file_is_refused(sql: SqlArchive, database: Path, local: LocalArchive) -> None:
    ids = [f"m{n}" for n in range(500)]
    sql.store([row(id=id_) for id_ in ids])
    sql.close()
    whole = database.read_bytes()
    database.write_bytes(whole[:16384] + b"\xa5" * (len(whole) - 16384))
    with pytest.raises(ArchiveError, match="malformed; the file is damaged"):
        local.load("athena", ids)
    database.write_bytes(whole)
    assert None not in local.load("athena", ids)


def test_a_damaged_row_is_named(sql: SqlArchive, database: Path, local: LocalArchive) -> None:
    sql.store([row()])
    with opened(database) as other:
        other.execute("UPDATE memories SET content = '{oops'")
    with pytest.raises(ArchiveError, match="athena/m1 is damaged"):
        loaded(local)


def test_a_newer_schema_is_refused(database: Path, local: LocalArchive) -> None:
    with opened(database) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ArchiveError, match=r"at revision 9999, newer than .*upgrade trinitas-tasks"):
        loaded(local)


def test_threads_share_a_reader(sql: SqlArchive, local: LocalArchive) -> None:
    ids = [f"m{n}" for n in range(200)]

    def read(_: int) -> int:
        records = local.load("athena", ids)
        return sum(record is not None for record in records) + len(found(local, "shared"))

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(read, range(100))
        for id_ in ids:
            sql.store([row("shared words", id=id_)])
        assert all(0 <= answer <= 300 for answer in answers)
    assert read(0) == 300


def test_a_file_of_somebody_else_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "archive.db").touch(mode=0o600)
    with unprivileged(), pytest.raises(Unavailable, match="not open to this user"):
        loaded(LocalArchive(tmp_path / "archive.db"))
