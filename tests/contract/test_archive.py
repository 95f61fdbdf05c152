"""What every archive promises."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.archives import KINDS, MODEL, NAMING, found, key, loaded, made, row
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.tiers.archive.interface import Archive, ArchiveStats
from trinitas_tasks.tiers.archive.lives import Settlement, Use

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
M1 = Key("athena", "m1")
NO = Key("athena", "no")

HARD_CONTENTS = [
    pytest.param("🦊 👨‍👩‍👧‍👦 \U0001f1ef\U0001f1f5 e\u0301 é", id="emoji"),
    pytest.param("שלום \u202eعالم\u202c", id="rtl"),
    pytest.param("𠮷野家で𩸽", id="4-byte"),
    pytest.param("line\r\nbreak\ttab\x01\x7f\u2028 'quote\" ); DROP TABLE memories; --", id="controls"),
    pytest.param({"a": [1, 2.5, -0.0, True, None, {"ü": "x"}], "": 10**30, "z": -(2**63)}, id="nested"),
    pytest.param([1.0, 1e300, 5e-324, 0.1 + 0.2], id="floats"),
    pytest.param(0, id="zero"),
    pytest.param("漢字🦊 " * 400_000, id="5 MB"),
]


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn, and the SQL one as it is read by its file alone."""
    with made(request.param, tmp_path) as archive:
        yield archive


@pytest.mark.parametrize("content", HARD_CONTENTS)
def test_content_comes_back_byte_for_byte(archive: Archive, content: Any) -> None:
    stored = row(
        content,
        terms=("hard",),
        metadata={"誰": ["Jo 🦊", 10**25], "n": None},
        tags=("ünï", "b"),
        ttl=77,
        importance=0.1 + 0.2,
        timestamp=NOW,
    )
    assert archive.store([stored]) == [1]
    record = loaded(archive)
    assert record == stored.record
    assert record.item.to_json() == stored.record.item.to_json()


@pytest.mark.parametrize("time", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)])
def test_times_keep_their_microseconds(archive: Archive, time: datetime) -> None:
    archive.store([row(timestamp=time)])
    record = loaded(archive)
    assert record is not None
    assert record.item.timestamp == record.item.last_access == time


def test_records_come_in_the_order_they_were_asked_for(archive: Archive) -> None:
    archive.store([row(f"number {n}", id=f"m{n}") for n in range(1200)])
    asked = ["m5", "nothing", "m1199", "m0", "m5", *(f"m{n}" for n in range(1200))]
    records = archive.load("athena", asked)
    assert [record and record.item.id for record in records] == [None if id_ == "nothing" else id_ for id_ in asked]
    assert archive.load("athena", []) == []


def test_storing_again_changes_nothing(archive: Archive) -> None:
    rows = [row(id="a"), row(id="b")]
    assert archive.store(rows) == [1, 1]
    archive.mark_indexed([(key(each), 1) for each in rows], MODEL)
    assert archive.store(rows) == [1, 1]
    assert archive.unindexed(NAMING, 10) == []
    assert archive.stats("athena") == ArchiveStats({MemoryType.EPISODIC: 2}, 0, 0)


def test_the_higher_version_wins_whatever_comes_first(archive: Archive) -> None:
    assert archive.store([row("new words", 5)]) == [5]
    assert archive.store([row("old words", 4), row("older", 3)]) == [5, 5]
    assert loaded(archive) == row("new words", 5).record
    assert archive.store([row("newest", 6)]) == [6]
    assert found(archive, "new", "old", "words", "older") == []
    assert found(archive, "newest") == ["m1"]


def test_of_one_batch_the_highest_version_is_stored(archive: Archive) -> None:
    batch = [row("second", 2), row("third", 3), row("first", 1), row("other", 1, id="m2")]
    assert archive.store(batch) == [3, 3, 3, 1]
    assert loaded(archive) == row("third", 3).record


def test_a_new_version_keeps_the_count_of_accesses(archive: Archive) -> None:
    archive.store([row(access_count=2, last_access=NOW)])
    later = NOW + timedelta(seconds=1)
    uses = [Use(key, reads, at, 1.0, later) for key, reads, at in ((M1, 3, later), (M1, 1, NOW), (NO, 1, NOW))]
    assert archive.settle(Settlement(1, uses))
    archive.store([row("changed", 2, access_count=0)])
    record = loaded(archive)
    assert record is not None
    assert (record.item.access_count, record.item.last_access) == (6, NOW + timedelta(seconds=1))


def test_what_was_erased_is_gone_with_its_vector_and_words(archive: Archive) -> None:
    archive.store([row("one word", 3), row("one more", 1, id="m2")])
    assert archive.erase([(M1, 3)]) == [None]
    assert loaded(archive) is None
    assert archive.versions("athena", ["m1", "m2"]) == [None, 1]
    assert archive.vectors("athena", ["m1"], MODEL) == [None]
    assert found(archive, "one") == ["m2"]
    assert [each.key.id for each in archive.unindexed(NAMING, 10)] == ["m2"]


def test_an_erased_version_never_comes_back(archive: Archive) -> None:
    assert archive.erase([(M1, 3), (M1, 2)]) == [None, None]  # before it was ever stored: the write is late
    assert archive.store([row("later", 2)]) == [3]
    assert archive.store([row("late", 3)]) == [4]  # not 3: the answer to what was stored
    assert loaded(archive) is None
    assert archive.store([row("written anew", 4)]) == [4]
    assert archive.store([row("late", 3)]) == [4]
    archive.erase([(M1, 4)])
    assert archive.store([row("written anew", 4)]) == [5]
    assert archive.store([row("late", 1), row("written again", 6)]) == [6, 6]


def test_erasing_an_old_version_spares_a_newer_one(archive: Archive) -> None:
    archive.store([row("kept", 5), row("gone", 5, id="m2")])
    m2 = Key("athena", "m2")
    assert archive.erase([(M1, 4), (m2, 4), (m2, 5), (M1, 3), (Key("athena", "m3"), 1)]) == [5, None, None, 5, None]
    assert loaded(archive) == row("kept", 5).record
    assert found(archive, "kept") == ["m1"]
    assert archive.store([row("kept", 4)]) == [5]


def test_the_highest_version_is_that_of_a_memory_or_an_erasure(archive: Archive) -> None:
    assert archive.highest() == 0
    archive.store([row(version=7), row(version=3, id="m2", persona="hera")])
    assert archive.highest() == 7
    archive.erase([(Key("hera", "m2"), 2**62)])
    assert archive.highest() == 2**62


def test_versions_come_in_the_order_they_were_asked_for(archive: Archive) -> None:
    archive.store([row(version=n + 1, id=f"m{n}") for n in range(1200)])
    asked = ["m7", "nothing", "m7", *(f"m{n}" for n in range(1200))]
    assert archive.versions("athena", asked) == [8, None, 8, *range(1, 1201)]
    assert archive.versions("hera", ["m7"]) == [None]
    assert archive.versions("athena", []) == []


def test_everybody_with_a_memory_is_a_persona(archive: Archive) -> None:
    assert archive.personas() == []
    archive.store([row(id=f"m{n}", persona=persona) for n in range(3) for persona in ("zeus", "Athena", "athena")])
    archive.erase([(Key("zeus", f"m{n}"), 1) for n in range(3)])
    assert archive.personas() == ["Athena", "athena"]


@pytest.mark.parametrize("other", ["Athena", "athena-b", "a", "athen", "athena_x", "thena"])
def test_personas_never_mix(archive: Archive, other: str) -> None:
    archive.store([row("shared words", persona="athena"), row("shared words of another", 7, persona=other)])
    assert loaded(archive, persona=other) == row("shared words of another", 7, persona=other).record
    assert found(archive, "another") == []
    assert found(archive, "another", persona=other) == ["m1"]
    archive.erase([(Key(other, "m1"), 9)])
    assert found(archive, "shared") == ["m1"]
    assert archive.versions(other, ["m1"]) == [None]
    assert archive.stats(other).by_type == {}


def test_nothing_to_do_is_done(archive: Archive) -> None:
    assert archive.store([]) == []
    archive.mark_indexed([], MODEL)
    archive.mark_unindexed([], MODEL)
    assert archive.erase([]) == []
    assert archive.drop_dead([]) == 0
    archive.bury_dead([])
    archive.ping()
    assert archive.stats("nobody") == ArchiveStats({}, 0, 0)


def test_threads_that_store_the_same_ids_leave_the_highest_version(archive: Archive) -> None:
    def store(versions: list[int]) -> None:
        for version in versions:
            archive.store([row(f"word{version}", version, id=f"m{n}") for n in range(5)])

    orders = [random.Random(seed).sample(range(1, 21), 20) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store, orders))
    assert [record and record.version for record in archive.load("athena", [f"m{n}" for n in range(5)])] == [20] * 5
    assert sorted(found(archive, *(f"word{version}" for version in range(20)))) == []
    assert len(found(archive, "word20")) == len(archive.unindexed(NAMING, 100)) == 5
