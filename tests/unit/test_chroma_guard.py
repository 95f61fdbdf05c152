"""The guard of Chroma where nothing needs to run: what it concludes, and what it does with a folder."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from trinitas_tasks.local.chroma_guard.diagnosis import CANNOT_OPEN, Exit, Step, Verdict, after_answers, after_exits
from trinitas_tasks.local.chroma_guard.diagnosis import judge as judged
from trinitas_tasks.local.chroma_guard.folder import Folder

SOUND, SUSPECT, BROKEN, GONE, UNKNOWN = (Verdict[name] for name in ("SOUND", "SUSPECT", "BROKEN", "GONE", "UNKNOWN"))


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("error returned from database: (code: 1) no such table: segments", BROKEN),
        ("error returned from database: (code: 1032) attempt to write a readonly database", BROKEN),
        ("error returned from database: (code: 11) database disk image is malformed", BROKEN),
        ('SqlxError(Database(SqliteError { code: 26, message: "file is not a database" }))', BROKEN),
        ("error returned from database: (code: 14) unable to open database file", SUSPECT),
        ("error returned from database: (code: 522) disk I/O error", SUSPECT),
        ("Error in compaction: Failed to apply logs to the metadata segment", SUSPECT),
        ("error returned from database: (code: 13) database or disk is full", UNKNOWN),
        ("error returned from database: (code: 5) database is locked", UNKNOWN),
    ],
)
def test_an_error_is_told_by_the_code_in_it(said: str, verdict: Verdict) -> None:
    assert judged(said) is verdict


@pytest.mark.parametrize(
    ("answers", "step"),
    [
        ([SOUND], Step.GO_ON),
        ([UNKNOWN] * 16, Step.GO_ON),
        ([BROKEN], Step.GO_ON),
        ([BROKEN, SOUND, BROKEN], Step.GO_ON),
        ([BROKEN, BROKEN], Step.SET_ASIDE),
        ([BROKEN, UNKNOWN, BROKEN], Step.SET_ASIDE),
        ([BROKEN, BROKEN, UNKNOWN], Step.GO_ON),
        ([SOUND, GONE], Step.SET_ASIDE),
        ([SUSPECT, SUSPECT], Step.RESTART),
        ([SUSPECT, SUSPECT, UNKNOWN], Step.GO_ON),
        ([SUSPECT, SUSPECT, SOUND, SUSPECT], Step.GO_ON),
        ([SUSPECT, SUSPECT, SUSPECT], Step.GO_ON),
        ([SUSPECT, SUSPECT, UNKNOWN, SUSPECT, SUSPECT], Step.SET_ASIDE),
    ],
)
def test_a_folder_is_set_aside_for_what_only_a_broken_one_answers(answers: list[Verdict], step: Step) -> None:
    assert after_answers(answers) is step


@pytest.mark.parametrize(
    ("codes", "step"),
    [
        ([0], Step.LEAVE),
        ([1], Step.LEAVE),
        ([-signal.SIGKILL] * 16, Step.RESTART),
        ([-signal.SIGTERM] * 16, Step.RESTART),
        ([CANNOT_OPEN], Step.RESTART),
        ([CANNOT_OPEN, CANNOT_OPEN], Step.SET_ASIDE),
        ([CANNOT_OPEN, -signal.SIGKILL, CANNOT_OPEN], Step.RESTART),
        ([-signal.SIGSEGV] * 2, Step.RESTART),
        ([-signal.SIGSEGV, -signal.SIGKILL, -signal.SIGABRT, -signal.SIGBUS], Step.SET_ASIDE),
        ([-signal.SIGSEGV] * 3 + [-signal.SIGKILL], Step.RESTART),
    ],
)
def test_a_folder_is_set_aside_for_ends_that_are_its_fault(codes: list[int], step: Step) -> None:
    assert after_exits([Exit(code, at=1.0) for code in codes]) is step


@pytest.mark.parametrize(("seconds", "step"), [(60.0, Step.SET_ASIDE), (61.0, Step.RESTART)])
def test_crashes_long_ago_do_not_count(seconds: float, step: Step) -> None:
    assert after_exits([Exit(-signal.SIGSEGV, at=seconds * number) for number in range(3)]) is step


def write_database(folder: Path, *used: str) -> None:
    connection = sqlite3.connect(folder / "chroma.sqlite3")
    connection.execute("CREATE TABLE segments (id TEXT, scope TEXT)")
    connection.executemany("INSERT INTO segments VALUES (?, 'VECTOR')", [(each,) for each in used])
    connection.execute("INSERT INTO segments VALUES (?, 'METADATA')", (str(uuid4()),))
    connection.commit()
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with two index folders, and one that is none."""
    folder = tmp_path / "chroma"
    for name in (str(uuid4()), str(uuid4()), "somebody's"):
        (folder / name).mkdir(parents=True)
        (folder / name / "data_level0.bin").write_bytes(b"data")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def indexes(folder: Path) -> list[str]:
    return [name for name in names(folder) if len(name) == 36]


def test_index_folders_that_no_collection_uses_are_removed(folder: Path) -> None:
    used, _ = indexes(folder)
    write_database(folder, used)
    Folder(folder).prepare()
    assert indexes(folder) == [used]
    assert (folder / "somebody's").exists()


@pytest.mark.parametrize("database", [None, b"", b"garbage" * 1000])
def test_without_a_readable_database_nothing_is_removed(folder: Path, database: bytes | None) -> None:
    if database is not None:
        (folder / "chroma.sqlite3").write_bytes(database)
    before = sorted(folder.rglob("*"))
    Folder(folder).prepare()
    assert sorted(folder.rglob("*")) == before


def test_a_missing_folder_is_made_but_not_set_aside(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "chroma")
    assert folder.identity() is None
    assert not folder.set_aside("why")
    folder.prepare()
    assert not folder.set_aside("why")
    assert names(tmp_path) == ["chroma"]


def test_what_is_set_aside_replaces_what_was_before(folder: Path) -> None:
    aside = folder.with_name("chroma.broken")
    for content in ("first", "second"):
        folder.mkdir(exist_ok=True)
        (folder / "chroma.sqlite3").write_text(content)
        assert Folder(folder).set_aside("why")
        assert (aside / "chroma.sqlite3").read_text() == content
        assert not folder.exists()
    assert names(aside) == ["chroma.sqlite3"]


def test_a_folder_that_is_a_link_is_set_aside_where_it_is(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(folder)
    assert Folder(link).set_aside("why")
    assert len(indexes(tmp_path / "chroma.broken")) == 2
    assert names(link.parent) == ["link"]
    Folder(link).prepare()
    assert names(folder) == []


def test_a_folder_that_cannot_be_renamed_is_emptied_into_one_inside(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 250)  # no room in the name for what would be added
    folder.mkdir()
    (folder / "lost+found").mkdir()
    for content in ("first", "second"):
        (folder / "chroma.sqlite3").write_text(content)
        assert Folder(folder).set_aside("why")
        assert names(folder) == [".broken", "lost+found"]
        assert (folder / ".broken" / "chroma.sqlite3").read_text() == content
    assert not Folder(folder).set_aside("there is nothing of Chroma's in it")


def test_the_guard_stays_small() -> None:
    code = "import json, sys, trinitas_tasks.local.chroma_guard.__main__; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"chromadb", "chromadb_rust_bindings", "httpx", "numpy", "psutil", "pydantic", "redis"}
