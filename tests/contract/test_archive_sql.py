"""What only the SQL archive does: locks, processes, permissions, query plans, and errors that tell nothing."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.contract import archives
from tests.contract.archives import found, in_processes, loaded, opened, row, unprivileged, url_of
from trinitas_tasks.errors import ArchiveError, InvalidMemory, SettingsError, Unavailable
from trinitas_tasks.model import Key, utc_now
from trinitas_tasks.tiers.archive.lives import Consolidation
from trinitas_tasks.tiers.archive.sql import SqlArchive


def test_a_locked_database_is_unavailable_for_writers_only(sql: SqlArchive, database: Path) -> None:
    sql.store([row("kept")])
    with opened(database) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match=r"archive\.db failed to store memories: database is locked; .*try again"):
            sql.store([row("new", 2)])
        assert loaded(sql) == row("kept").record
        assert found(sql, "kept") == ["m1"]
        other.execute("ROLLBACK")
    assert sql.store([row("new", 2)]) == [2]


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


def test_a_damaged_row_is_named(sql: SqlArchive, database: Path) -> None:
    sql.store([row()])
    with opened(database) as other:
        other.execute("UPDATE memories SET content = '{oops'")
    with pytest.raises(ArchiveError, match="athena/m1 is damaged"):
        loaded(sql)


def test_the_file_is_closed_to_other_users(database: Path) -> None:
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_processes_may_store_at_once(sql: SqlArchive, database: Path) -> None:
    stored = in_processes(archives.store_many, (database, "a", 10, 20), (database, "b", 10, 20))
    assert stored == [200, 200]
    for persona in "ab":
        assert sum(sql.stats(persona).by_type.values()) == 200
        assert len(sql.search_text(persona, ["batch"], 1000)) == 200


def test_a_killed_writer_leaves_whole_batches_and_all_it_acknowledged(sql: SqlArchive, database: Path) -> None:
    command = [sys.executable, "-m", "tests.contract.archives", "store", str(database), "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(5)]
        child.kill()
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    for batch in range(acknowledged[-1] + 2):
        here = sum(record is not None for record in sql.load("athena", [f"{batch}-{n}" for n in range(20)]))
        assert here == len(found(sql, f"batch{batch}"))
        assert here == 20 or (here == 0 and batch not in acknowledged)
    waiting = len(sql.unindexed(archives.NAMING, 10_000))
    assert waiting == sum(sql.stats("athena").by_type.values()) >= 100


def test_killed_in_the_middle_lives_are_settled_whole_or_not_at_all(sql: SqlArchive, database: Path) -> None:
    command = [sys.executable, "-m", "tests.contract.archives", "settle", str(database), "20"]
    for _ in range(3):
        before = sql.settled()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            acknowledged = [int(child.stdout.readline()) for _ in range(4)]
            child.kill()
            acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
        assert acknowledged[0] == before + 1
        assert acknowledged[-1] <= sql.settled() <= acknowledged[-1] + 1
        lives = [life for life in sql.lives("athena", [f"m{n}" for n in range(20)]) if life]
        assert {(life.record.item.access_count, life.stability_days) for life in lives} == {
            (sql.settled(), float(sql.settled()))
        }
        [(cold, _)] = {(life.cold, life.score) for life in lives}
        assert len(lives) == 20
        assert len(found(sql, "staging")) == (0 if cold else 20)
        assert [each.cold for each in sql.unindexed(archives.NAMING, 100)] == [cold] * 20


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
        "SELECT content FROM memories WHERE persona = 'a' AND cold = 0": "memories_persona_type (persona=?)",
        "SELECT next_id FROM followers WHERE persona = 'a' AND id IN ('b')": "followers_1 (persona=? AND id=?)",
        "SELECT id FROM followers WHERE next_persona = 'a' AND next_id = 'b'": "(next_persona=? AND next_id=?)",
        "SELECT seq FROM feedback WHERE persona = 'a' AND id = 'b'": "feedback_of (persona=? AND id=?)",
        "SELECT why FROM consolidations WHERE persona = 'a' AND id IN ('b')": "consolidations_1 (persona=? AND id=?)",
        "SELECT why FROM consolidations WHERE persona = 'a' ORDER BY seq DESC": "consolidations_newest (persona=?)",
        "SELECT why FROM audits WHERE persona = 'a' AND id = 'b' ORDER BY seq DESC": "audits_of (persona=? AND id=?)",
        "SELECT why FROM audits WHERE persona = 'a' ORDER BY seq DESC": "audits_newest (persona=?)",
        "SELECT max(version) FROM memories": "memories_version",
        "SELECT seq FROM runs WHERE task = 'a' ORDER BY started DESC, seq DESC": "runs_newest (task=?)",
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


def test_erased_words_that_were_consolidated_are_overwritten_too(sql: SqlArchive, database: Path) -> None:
    key = Key("athena", "m1")
    sql.store([row("short")])
    now = utc_now()
    sql.consolidate([Consolidation(0, "merge", key, 1, now, {"content": "xyzzy" * 2000}, {}, "")], [])
    sql.erase([(key, 1)])
    sql.close()
    assert b"xyzzy" not in database.read_bytes()


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
