"""Reading stores of version 3.5: all of it, nothing twice, and nothing is changed."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.legacy import made
from trinitas_tasks.errors import InvalidMemory, InvalidQuery
from trinitas_tasks.tiers.legacy import database, jsonfile
from trinitas_tasks.tiers.legacy.folder import LegacyFolder
from trinitas_tasks.tiers.legacy.interface import Found, Place, Unreadable
from trinitas_tasks.tiers.legacy.rows import IMPORTANCE_BEFORE, PERSONA_BEFORE, moment

TOKYO = ZoneInfo("Asia/Tokyo")
NEW_YORK = ZoneInfo("America/New_York")
AT = "2025-06-01T09:30:15"


def opened(base: Path) -> LegacyFolder:
    return LegacyFolder(base, zone=TOKYO, work=base.parent / "work")


def read(base: Path, limit: int = 400) -> tuple[list[Found], list[Unreadable]]:
    store = opened(base)
    found: list[Found] = []
    unreadable: list[Unreadable] = []
    place: Place | None = Place()
    while place is not None:
        some = store.read(place, limit)
        found += some.found
        unreadable += some.unreadable
        place = some.place
    return found, unreadable


def state(base: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder with its time of change, and what is in it."""
    return {
        str(each.relative_to(base)): (
            each.stat().st_mtime_ns,
            hashlib.sha256(each.read_bytes()).hexdigest() if each.is_file() else "",
        )
        for each in (base, *sorted(base.rglob("*")))
    }


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An empty store with the folder of one persona."""
    (tmp_path / "store" / "athena" / "knowledge").mkdir(parents=True)
    return tmp_path / "store"


def database_of(path: Path, *rows: Mapping[str, object], journal: str = "delete") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE episodes (id TEXT PRIMARY KEY, persona, content, timestamp, importance)")
    for row in rows:
        full = {"persona": "athena", "content": '"x"', "timestamp": AT, "importance": 0.5, **row}
        names = ("id", "persona", "content", "timestamp", "importance")
        connection.execute("INSERT INTO episodes VALUES (?, ?, ?, ?, ?)", [full[name] for name in names])
    return connection


def knowledge(base: Path, text: str) -> Path:
    path = base / "athena" / "knowledge" / "knowledge.json"
    path.write_text(text, encoding="utf-8")
    return path


def entry(id_: str, **more: object) -> str:
    fields = {"id": id_, "persona": "athena", "content": f"about {id_} を", "timestamp": AT, **more}
    return f'"{id_}": {json.dumps(fields, ensure_ascii=False)}'


@pytest.mark.parametrize("limit", [3, 400])
def test_all_layouts_are_read_with_every_defect_told_and_the_source_stays_as_it_is(tmp_path: Path, limit: int) -> None:
    store = made(tmp_path / "store", 400)
    before = state(store.base)
    found, unreadable = read(store.base, limit)
    assert len(found) == store.good
    assert {(each.item.persona, each.item.id) for each in found} == store.there
    assert sum(each.renamed for each in found) == store.renamed
    assert len(unreadable) == store.bad
    assert all(each.reason and json.dumps(each.raw) for each in unreadable)
    assert state(store.base) == before


def test_what_a_row_said_is_what_is_found(base: Path) -> None:
    store = made(base.parent / "other", 400)
    found, _ = read(store.base)
    [one] = [each for each in found if (each.source, each.row) == ("athena/episodes.db", "5")]
    item = one.item
    assert (item.persona, item.type, item.access_count, item.tags) == ("athena", "episodic", 4, ("障害", "t4"))
    assert item.timestamp == datetime(2025, 6, 1, 9, 58, 15, 250_000, TOKYO).astimezone(UTC)
    assert item.last_access == datetime(2025, 6, 2, 9, 58, 15, 250_000, TOKYO).astimezone(UTC)
    assert item.content["numbers"] == [4, 0.1]
    [pattern] = [each.item for each in found if (each.source, each.row) == ("athena/procedures.db", "4")]
    assert set(pattern.content) == {"pattern_name", "pattern_type", "steps", "conditions"}
    assert (pattern.access_count, pattern.metadata["usage_count"]) == (3, 3)
    assert 0 <= pattern.metadata["success_rate"] <= 1


def test_nulls_get_the_defaults_and_what_does_not_fit_is_kept_in_the_metadata(base: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "a1", "importance": None}, {"id": "a2", "importance": 7, "persona": "hera"}]
    database_of(base / "athena" / "episodes.db", *rows).close()
    (first, second), unreadable = read(base)
    assert (first.item.importance, first.item.metadata, first.item.tags) == (0.5, {}, ())
    assert first.item.last_access == first.item.timestamp
    assert second.item.persona == "athena"
    assert second.item.metadata == {IMPORTANCE_BEFORE: 7.0, PERSONA_BEFORE: "hera"}
    assert (second.item.importance, unreadable) == (1.0, [])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2025-01-15T12:00:00", datetime(2025, 1, 15, 17, tzinfo=UTC)),
        ("2025-07-15T12:00:00.5", datetime(2025, 7, 15, 16, 0, 0, 500_000, UTC)),
        ("2025-11-02T01:30:00", datetime(2025, 11, 2, 5, 30, tzinfo=UTC)),  # came twice: the first
        ("2025-03-09T02:30:00", datetime(2025, 3, 9, 7, 30, tzinfo=UTC)),  # never came: as if the clock had not moved
        ("2025-03-09T02:30:00+09:00", datetime(2025, 3, 8, 17, 30, tzinfo=UTC)),
        ("2025-03-09 02:30:00Z", datetime(2025, 3, 9, 2, 30, tzinfo=UTC)),
    ],
)
def test_times_without_a_zone_are_local_also_where_summer_time_begins_and_ends(
    written: str, expected: datetime
) -> None:
    assert moment(written, "timestamp", NEW_YORK) == expected


def test_a_time_that_is_none_is_told() -> None:
    for written in ("0001-01-01T00:00:00", "", None, 5, "2025-13-01"):
        with pytest.raises(InvalidMemory, match="timestamp"):
            moment(written, "timestamp", TOKYO)
    assert moment(AT, "timestamp", None) == datetime.fromisoformat(AT).astimezone(UTC)


def test_a_write_ahead_log_is_read_without_touching_it(base: Path) -> None:
    writer = database_of(base / "athena" / "episodes.db", {"id": "a1"}, {"id": "a2"}, journal="wal")
    for name in ("episodes.db", "episodes.db-wal"):
        (base / "hera").mkdir(exist_ok=True)
        shutil.copyfile(base / "athena" / name, base / "hera" / name)  # as a killed program leaves them
    writer.close()
    before = state(base / "hera")
    found, unreadable = read(base)
    assert [each.item.id for each in found] == ["a1", "a2"] * 2
    assert unreadable == []
    assert state(base / "hera") == before


def test_the_journal_of_a_broken_off_change_is_not_played_back_in_the_source(base: Path) -> None:
    path = base / "athena" / "episodes.db"
    writer = database_of(path, *({"id": f"a{n}", "content": json.dumps("x" * 3000)} for n in range(50)))
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN")
    writer.execute("UPDATE episodes SET content = '\"changed, never committed\"'")
    (base / "hera").mkdir()
    for each in sorted(path.parent.glob("episodes.db*")):
        shutil.copyfile(each, base / "hera" / each.name)
    writer.execute("ROLLBACK")
    writer.close()
    assert (base / "hera" / "episodes.db-journal").stat().st_size
    before = state(base / "hera")
    found, _ = read(base)
    assert {each.item.content for each in found} == {"x" * 3000}
    assert state(base / "hera") == before


def test_a_locked_file_is_told_and_the_others_are_read(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    writer = database_of(base / "athena" / "episodes.db", {"id": "a1"})
    writer.execute("BEGIN EXCLUSIVE")
    knowledge(base, "{" + entry("k1") + "}")
    found, unreadable = read(base)
    assert found == []  # whether k1 is the id of an episode, too, cannot be told
    assert all("locked: another program writes it" in each.reason for each in unreadable)
    writer.execute("COMMIT")
    assert len(read(base)[0]) == 2
    writer.close()


def test_a_torn_database_is_told_and_the_rows_before_are_read(base: Path) -> None:
    path = base / "athena" / "episodes.db"
    rows = [{"id": f"a{n:04}", "content": json.dumps("x" * 500)} for n in range(200)]
    database_of(path, *rows).close()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2].ljust(len(data), b"\0"))
    (base / "hera").mkdir()
    (base / "hera" / "episodes.db").write_bytes(b"no database at all" * 100)
    (base / "zeus").mkdir()
    sqlite3.connect(base / "zeus" / "episodes.db").execute("CREATE TABLE other (a)").connection.close()
    found, unreadable = read(base, 10)
    assert 10 <= len(found) < 200
    assert [each.source for each in unreadable] == ["athena/episodes.db", "hera/episodes.db", "zeus/episodes.db"]
    assert all("cannot be read" in each.reason for each in unreadable)


def test_a_read_only_folder_is_read(base: Path) -> None:
    database_of(base / "athena" / "episodes.db", {"id": "a1"}).close()
    knowledge(base, "{" + entry("k1") + "}")
    folders = [base, *(each for each in base.rglob("*") if each.is_dir())]
    files = [each for each in base.rglob("*") if each.is_file()]
    for each in (*files, *folders):
        each.chmod(0o555 if each.is_dir() else 0o444)
    user = os.geteuid()
    base.parent.chmod(0o777)
    for parent in itertools.takewhile(lambda each: each != Path(tempfile.gettempdir()), base.parents[1:]):
        parent.chmod(parent.stat().st_mode | 0o055)
    if user == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        assert len(read(base)[0]) == 2
    finally:
        os.seteuid(user)
        for each in folders:
            each.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("{}", [], 0),
        ("", [], 1),
        ("[1]", [], 1),
        ("\ufeff { " + entry("k1") + " }\n", ["k1"], 0),
        ("{" + entry("k1") + "," + entry("k2"), ["k1", "k2"], 1),
        ("{" + entry("k1") + ', "k2": {"id": "k2", "cont', ["k1"], 1),
        ("{" + entry("k1") + ', "k2": {"id": "k2", "content": "ab\n' + entry("k3") + "}", ["k1", "k3"], 1),
        ("{" + entry("k1") + '}{"k2": 1}', ["k1"], 1),
        ("{" + entry("k1") + ' garbage "x": , ' + entry("k2") + "}", ["k1", "k2"], 1),
        ("{" + entry("k1", metadata={"k9": {"id": "k8"}}) + ', "k2": 5, ' + entry("k3") + "}", ["k1", "k3"], 1),
        ("{" + entry("k1", id="other") + "," + entry("k2", timestamp=None) + "}", [], 2),
    ],
)
@pytest.mark.parametrize("limit", [1, 400])
def test_of_a_torn_json_file_every_entry_that_is_whole_is_read(
    base: Path, text: str, good: list[str], bad: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonfile, "CHUNK", 7)
    path = knowledge(base, text)
    found, unreadable = read(base, limit)
    assert [each.item.id for each in found] == good
    assert len(unreadable) == bad
    assert path.read_text(encoding="utf-8") == text


def test_what_is_torn_is_kept_in_full_whatever_its_bytes(base: Path) -> None:
    torn = b'"k2": {"id": "k2", "content": "\xff\x00 \xe9\x9a'
    path = knowledge(base, "")
    path.write_bytes(b"{" + entry("k1").encode() + b", " + torn)
    found, unreadable = read(base)
    assert [each.item.id for each in found] == ["k1"]
    assert b"".join(each.raw.encode(errors="surrogateescape") for each in unreadable) == torn


def test_a_long_torn_entry_does_not_hide_what_follows(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonfile, "CHUNK", 64)
    monkeypatch.setattr(jsonfile, "ENTRY_BYTES", 1000)
    long = '"k2": {"id": "k2", "content": "' + "あ" * 5000
    knowledge(base, "{" + ",\n".join([entry("k1"), long, *(entry(f"k{n}") for n in range(3, 60))]) + "}")
    found, unreadable = read(base)
    assert [each.item.id for each in found] == ["k1", *(f"k{n}" for n in range(3, 60))]
    assert [each.raw.strip(",\n") for each in unreadable] == [long]


def test_a_folder_that_is_no_store_says_so_and_so_does_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidQuery, match=r"no store of version 3\.5"):
        opened(tmp_path)
    with pytest.raises(InvalidQuery, match="must see it under the same path"):
        opened(tmp_path / "none")


def test_the_folder_of_one_persona_is_a_store(base: Path) -> None:
    database_of(base / "athena" / "episodes.db", {"id": "a1"}).close()
    [found], _ = read(base / "athena")
    assert (found.item.persona, found.source) == ("athena", "episodes.db")


def test_a_chroma_folder_is_read_from_a_copy_and_gives_way_to_the_tables(base: Path) -> None:
    made_by_chroma(base / "chroma")
    database_of(base / "episodic.db", {"id": "a1", "content": '"in both"'}).close()
    before = state(base / "chroma")
    for limit in (2, 400):
        found, unreadable = read(base, limit)
        told = [(each.source.split("/")[0], each.item.id, each.item.type.value, each.item.content) for each in found]
        assert sorted(told) == [
            ("chroma", "a1", "episodic", "in both"),
            ("chroma", "s1", "semantic", {"fact": "東京"}),
            ("chroma", "s2", "semantic", "no JSON, 文字だけ"),
            ("chroma", "w1", "working", "short"),
            ("episodic.db", "a1", "episodic", "in both"),
        ]
        [tagged] = [each.item for each in found if each.item.id == "s1"]
        assert (tagged.tags, tagged.importance, tagged.persona) == (("a", "知識"), 0.75, "hera")
        assert [(each.row, each.reason.partition(":")[0]) for each in unreadable] == [("memory_semantic/s3", "persona")]
    assert state(base / "chroma") == before


def test_a_torn_chroma_folder_is_told(base: Path) -> None:
    (base / "chroma").mkdir()
    (base / "chroma" / "chroma.sqlite3").write_bytes(b"no database" * 100)
    found, [unreadable] = read(base)
    assert (found, unreadable.source) == ([], "chroma")
    assert "cannot be read" in unreadable.reason


def made_by_chroma(path: Path) -> None:
    """In a process of its own: Chroma keeps what it opened."""
    code = f"""
import chromadb
client = chromadb.PersistentClient(path={str(path)!r}, settings=chromadb.config.Settings(anonymized_telemetry=False))
label = {{"persona": "hera", "importance": 0.75, "timestamp": "{AT}", "type": "semantic"}}
kept = {{
    "working": [("w1", '"short"', label)],
    "episodic": [("a1", '"in both"', {{**label, "persona": "athena"}})],
    "semantic": [
        ("s1", '{{"fact": "東京"}}', {{**label, "tags": "a,知識"}}),
        ("s2", "no JSON, 文字だけ", label),
        ("s3", '"nobody\\'s"', {{"timestamp": "{AT}"}}),
    ],
}}
for kind, rows in kept.items():
    collection = client.create_collection(f"memory_{{kind}}", embedding_function=None)
    for id_, text, metadata in rows:
        collection.add(ids=[id_], documents=[text], metadatas=[metadata], embeddings=[[0.6, 0.8]])
"""
    subprocess.run([sys.executable, "-c", code], check=True)
