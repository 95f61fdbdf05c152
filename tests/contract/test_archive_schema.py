"""The archive's schema: missing, older, newer, and brought up to date in place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from tests.contract import archives
from tests.contract.archives import MODEL, NAMING, found, in_processes, key, loaded, opened, row, url_of
from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.driver import sqlite_driver
from trinitas_tasks.tiers.archive.interface import DeadLetter, Run
from trinitas_tasks.tiers.archive.lives import Choice, Order
from trinitas_tasks.tiers.archive.local import LocalArchive
from trinitas_tasks.tiers.archive.schema import HEAD, metadata
from trinitas_tasks.tiers.archive.sql import MIGRATIONS, SqlArchive

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)


def alembic_config(**attributes: Any) -> Config:
    config = Config(attributes=attributes)
    config.set_main_option("script_location", MIGRATIONS)
    config.set_main_option("path_separator", "os")
    return config


def made_at(revision: str, path: Path) -> None:
    """A database as a former version made it."""
    path.touch()
    engine = create_engine(url_of(path), module=sqlite_driver())
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection=connection), revision)
    engine.dispose()


def copied(source: Path, target: Path) -> None:
    """What is in one database into another of an older revision, as far as that has a place for it."""
    with opened(target) as old:
        old.execute("ATTACH DATABASE ? AS newer", (str(source),))
        for table in ("memories", "vectors", "tombstones", "dead_letters"):
            columns = ", ".join(f'"{each[1]}"' for each in old.execute(f"PRAGMA table_info({table})"))
            old.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM newer.{table}")
        old.execute(
            "INSERT INTO memories_fts (rowid, persona, terms) SELECT rowid, persona, terms FROM newer.memories_fts"
        )


def test_a_database_of_the_first_revision_is_brought_up_to_date_in_place(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    made_at("0001", path)
    archive, reader, newer = SqlArchive(url_of(path)), LocalArchive(path), SqlArchive(url_of(database))
    rows = [row(f"kept {n}", n + 1, id=f"m{n}") for n in range(50)]
    gone, letter = Key("athena", "m0"), DeadLetter(Key("athena", "x"), 7, b"body", "broken", NOW)
    newer.store(rows)
    newer.mark_indexed([(key(each), each.record.version) for each in rows[:20]], MODEL)
    newer.erase([(gone, 99)])
    newer.bury_dead([letter])
    newer.close()
    copied(database, path)
    with pytest.raises(ArchiveError, match=f"at revision 0001, not {HEAD}"):
        archive.ping()
    assert loaded(reader, "m1") == rows[1].record
    with pytest.raises(ArchiveError, match="no such table"):
        archive.runs("sweep", 1)

    archive.migrate()
    archive.ping()
    ids = [f"m{n}" for n in range(50)]
    assert archive.load("athena", ids) == reader.load("athena", ids) == [None, *(each.record for each in rows[1:])]
    assert len(found(archive, "kept")) == 49
    assert len(archive.unindexed(NAMING, 100)) == 30
    assert [life and life.seq for life in archive.lives("athena", ids[1:])] == list(range(2, 51))
    assert archive.chosen(Choice(order=Order.USE), 1)[0][3:] == (False, False, None, None, None, None, 0, 0, None)
    assert archive.store([row(version=98, id="m0")]) == [99]
    assert archive.dead(10) == [letter]
    assert archive.highest() == 99
    run = Run("sweep", NOW, 1.0, 1, 1, 0, {})
    archive.log_run(run)
    assert archive.runs("sweep", 10) == [run]
    archive.close()


def test_wide_columns_come_last_in_the_file_and_not_only_in_the_code(database: Path) -> None:
    with opened(database) as connection:
        names = [name for _, name, *_ in connection.execute("PRAGMA table_info(memories)")]
    assert names[-3:] == ["tags", "metadata", "content"]
    assert {"cold", "change", "session"} < set(names[:-3])


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


def test_the_migrations_lead_to_the_schema_of_the_code(database: Path) -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD
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
