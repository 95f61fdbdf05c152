"""What the SQL archive does when its file, its lock, its disk or its schema is not as it should be."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from tests.contract import archives
from tests.contract.archives import found, loaded, row, url_of
from trinitas_tasks.errors import ArchiveError, InvalidMemory, SettingsError, Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.engines import sqlite_driver
from trinitas_tasks.tiers.archive.schema import HEAD, metadata
from trinitas_tasks.tiers.archive.sql import MIGRATIONS, SqlArchive


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A connection past the archive; only by the archive's own driver may this process open its file."""
    connection = sqlite_driver().connect(str(path), isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user for whom permissions count: root may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def in_processes(work: Any, *calls: tuple[Any, ...]) -> list[Any]:
    """The answers of calls made at once, each by a process of its own."""
    with ProcessPoolExecutor(len(calls), mp_context=get_context("spawn")) as pool:
        return [each.result() for each in [pool.submit(work, *call) for call in calls]]


def test_a_locked_database_is_unavailable_for_writers_only(sql: SqlArchive, database: Path) -> None:
    sql.store([row("kept")])
    with opened(database) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match=r"archive\.db failed to store memories: database is locked; .*try again"):
            sql.store([row("new", 2)])
        assert loaded(sql) == row("kept").record
        assert found(sql, "kept") == ["m1"]
        other.execute("ROLLBACK")
    assert sql.store([row("new", 2)]) == [True]


def test_a_folder_that_may_not_be_written_is_unavailable() -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own is closed to other users
    folder.chmod(0o755)
    archive = SqlArchive(url_of(folder / "archive.db"))
    try:
        archive.migrate()
        archive.store([row()])
        archive.close()
        for path in (*folder.iterdir(), folder):
            path.chmod(path.stat().st_mode & ~0o222 | 0o444)
        with unprivileged():
            with pytest.raises(Unavailable, match="writable"):
                archive.store([row("new", 2)])
            with pytest.raises(Unavailable, match="cannot be created: Permission denied"):
                SqlArchive(url_of(folder / "deeper" / "archive.db")).migrate()
    finally:
        archive.close()
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_full_disk_is_unavailable_and_loses_nothing(sql: SqlArchive, database: Path) -> None:
    sql.store([row("kept")])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (database.stat().st_size + 100_000, limits[1]))
    try:
        with pytest.raises(Unavailable, match="check its disk"):
            sql.store([row("x" * 5_000_000, 2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert loaded(sql) == row("kept").record
    assert sql.store([row("new", 2)]) == [True]


def test_a_missing_file_is_unavailable_and_not_made(tmp_path: Path) -> None:
    archive = SqlArchive(url_of(tmp_path / "archive.db"))
    with pytest.raises(Unavailable, match="run `trinitas up`, or start an ingest worker"):
        archive.ping()
    with pytest.raises(Unavailable, match="unable to open"):
        archive.store([row()])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["ping", "migrate", "store", "load", "search_text"])
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, call: str) -> None:
    path = tmp_path / "archive.db"
    path.write_bytes(b"these are the minutes of a meeting\n" * 1000)
    archive = SqlArchive(url_of(path))
    arguments = {"store": ([row()],), "load": ("athena", ["m1"]), "search_text": ("athena", ["word"], 1)}
    with pytest.raises(ArchiveError, match=r"not a database; .*restore a backup"):
        getattr(archive, call)(*arguments.get(call, ()))
    archive.close()
    assert path.read_bytes().startswith(b"these are the minutes")


def test_a_damaged_file_is_refused(sql: SqlArchive, database: Path) -> None:
    sql.store([row(f"text {n}", id=f"m{n}") for n in range(200)])
    sql.close()
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (database.stat().st_size - 4096))
    with pytest.raises(ArchiveError, match="malformed; the file is damaged"):
        sql.load("athena", [f"m{n}" for n in range(200)])


def test_a_damaged_row_is_named(sql: SqlArchive, database: Path) -> None:
    sql.store([row()])
    with opened(database) as other:
        other.execute("UPDATE memories SET content = '{oops'")
    with pytest.raises(ArchiveError, match="athena/m1 is damaged"):
        loaded(sql)


def test_without_a_schema_the_archive_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    path.touch()
    archive = SqlArchive(url_of(path))
    with pytest.raises(ArchiveError, match="no schema yet: run `trinitas up`, or start an ingest worker"):
        archive.ping()
    with pytest.raises(ArchiveError, match="no such table"):
        archive.store([row()])
    archive.close()


def test_an_older_schema_is_refused_until_migrated(sql: SqlArchive, database: Path) -> None:
    with opened(database) as other:
        other.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(ArchiveError, match=rf"at revision 0000, not {HEAD}"):
        sql.ping()


def test_a_newer_schema_is_refused(sql: SqlArchive, database: Path) -> None:
    with opened(database) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    for call in (sql.ping, sql.migrate):
        with pytest.raises(ArchiveError, match=r"at revision 9999, newer than .*upgrade trinitas-tasks"):
            call()


def test_migrating_again_keeps_everything(sql: SqlArchive) -> None:
    sql.store([row()])
    sql.migrate()
    sql.ping()
    assert loaded(sql) == row().record


def test_the_file_is_closed_to_other_users(database: Path) -> None:
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_the_migrations_lead_to_the_schema_of_the_code(database: Path) -> None:
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD
    engine = create_engine(url_of(database), module=sqlite_driver())
    with engine.connect() as connection:
        ours = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or not str(name).startswith("memories_fts")},
        )
        assert compare_metadata(ours, metadata) == []
    engine.dispose()


def test_processes_may_migrate_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.db" for n in range(5)]
    in_processes(archives.migrate_files, (paths,), (paths,), (paths,))


def test_processes_may_store_at_once(sql: SqlArchive, database: Path) -> None:
    stored = in_processes(archives.store_many, (database, "a", 10, 20), (database, "b", 10, 20))
    assert stored == [200, 200]
    for persona in "ab":
        assert sum(sql.stats(persona).by_type.values()) == 200
        assert len(sql.search_text(persona, ["batch"], 1000)) == 200


def test_a_killed_writer_leaves_whole_batches_and_all_it_acknowledged(sql: SqlArchive, database: Path) -> None:
    command = [sys.executable, "-m", "tests.contract.archives", str(database), "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(5)]
        child.kill()
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    for batch in range(acknowledged[-1] + 2):
        here = sum(record is not None for record in sql.load("athena", [f"{batch}-{n}" for n in range(20)]))
        assert here == len(found(sql, f"batch{batch}"))
        assert here == 20 or (here == 0 and batch not in acknowledged)
    waiting = len(sql.unindexed(archives.MODEL, 10_000))
    assert waiting == sum(sql.stats("athena").by_type.values()) >= 100


def test_what_json_cannot_carry_stores_nothing(sql: SqlArchive) -> None:
    poison = row(id="poison")
    poison.record.item.metadata["number"] = 10**5000
    with pytest.raises(InvalidMemory, match="athena/poison"):
        sql.store([row(), poison])
    assert loaded(sql) is None


def test_words_are_found_by_their_stem(sql: SqlArchive) -> None:
    sql.store([row("the migrations were running in café")])
    assert found(sql, "migration") == found(sql, "run") == found(sql, "cafe") == ["m1"]


def test_no_lookup_reads_the_whole_table(database: Path) -> None:
    plans = {
        "SELECT seq FROM memories WHERE persona = 'a' AND id IN ('b', 'c')": "memories_1 (persona=? AND id=?)",
        "SELECT version FROM tombstones WHERE persona = 'a' AND id IN ('b')": "tombstones_1 (persona=? AND id=?)",
        "SELECT memory FROM vectors WHERE model = 'a' AND indexed = 0 ORDER BY memory": "vectors_unindexed (model=?)",
        "SELECT type, count(*) FROM memories WHERE persona = 'a' GROUP BY type": "memories_persona_type (persona=?)",
    }
    with opened(database) as connection:
        for statement, index in plans.items():
            [plan] = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            assert plan[3].startswith("SEARCH"), plan
            assert plan[3].endswith(index), plan


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "oracle9://x", "not a url", ""])
def test_a_url_that_is_no_archive_is_a_bad_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="ARCHIVE_URL"):
        SqlArchive(url)


def test_full_text_is_unavailable_on_another_database() -> None:
    archive = SqlArchive("postgresql://ann:s3cret@127.0.0.1:1/archive")
    with pytest.raises(Unavailable, match=r"full text is not on this database: .*ann:\*\*\*@") as caught:
        archive.search_text("athena", ["word"], 1)
    assert "s3cret" not in str(caught.value)


def test_errors_show_no_memories(sql: SqlArchive, database: Path) -> None:
    with opened(database) as other:
        other.execute("DROP TABLE vectors")
    with pytest.raises(ArchiveError) as caught:
        sql.store([row("my diary")])
    assert "diary" not in f"{caught.value} {caught.value.__cause__}"


def test_erased_content_is_overwritten_in_the_file(sql: SqlArchive, database: Path) -> None:
    sql.store([row("xyzzy" * 5000, terms=["word"])])
    sql.close()
    sql.erase([(Key("athena", "m1"), 1)])
    sql.close()  # and with the last connection the write-ahead log
    assert b"xyzzy" not in database.read_bytes()
    assert sorted(path.name for path in database.parent.iterdir()) == ["archive.db"]
