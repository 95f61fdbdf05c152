"""What every archive promises."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.contract.archives import MODEL, found, key, loaded, row, vector_of
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.tiers.archive.interface import Archive, ArchiveStats, DeadLetter, Touch

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
M1 = Key("athena", "m1")

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
    assert archive.store([stored]) == [True]
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
    assert archive.store(rows) == [True, True]
    archive.mark_indexed([(key(each), 1) for each in rows])
    assert archive.store(rows) == [True, True]
    assert archive.unindexed(MODEL, 10) == []
    assert archive.stats("athena") == ArchiveStats({MemoryType.EPISODIC: 2}, 0, 0)


def test_the_higher_version_wins_whatever_comes_first(archive: Archive) -> None:
    assert archive.store([row("new words", 5)]) == [True]
    assert archive.store([row("old words", 4), row("older", 3)]) == [False, False]
    assert loaded(archive) == row("new words", 5).record
    assert archive.store([row("newest", 6)]) == [True]
    assert found(archive, "new", "old", "words", "older") == []
    assert found(archive, "newest") == ["m1"]


def test_of_one_batch_the_highest_version_is_stored(archive: Archive) -> None:
    batch = [row("second", 2), row("third", 3), row("first", 1), row("other", 1, id="m2")]
    assert archive.store(batch) == [False, True, False, True]
    assert loaded(archive) == row("third", 3).record


def test_a_new_version_keeps_the_count_of_accesses(archive: Archive) -> None:
    archive.store([row(access_count=2, last_access=NOW)])
    archive.touch([Touch(M1, 3, NOW + timedelta(seconds=1)), Touch(M1, 1, NOW), Touch(Key("athena", "no"), 1, NOW)])
    archive.store([row("changed", 2, access_count=0)])
    record = loaded(archive)
    assert record is not None
    assert (record.item.access_count, record.item.last_access) == (6, NOW + timedelta(seconds=1))


def test_what_was_erased_is_gone_with_its_vector_and_words(archive: Archive) -> None:
    archive.store([row("one word", 3), row("one more", 1, id="m2")])
    archive.erase([(M1, 3)])
    assert loaded(archive) is None
    assert archive.types_of("athena", ["m1", "m2"]) == [None, MemoryType.EPISODIC]
    assert found(archive, "one") == ["m2"]
    assert [each.key.id for each in archive.unindexed(MODEL, 10)] == ["m2"]


def test_an_erased_version_never_comes_back(archive: Archive) -> None:
    archive.erase([(M1, 3), (M1, 2)])  # before it was ever stored: the write is late
    assert archive.store([row("late", 3), row("later", 2)]) == [False, False]
    assert loaded(archive) is None
    assert archive.store([row("written anew", 4)]) == [True]
    assert archive.store([row("late", 3)]) == [False]
    archive.erase([(M1, 4)])
    assert archive.store([row("written anew", 4)]) == [False]


def test_erasing_an_old_version_spares_a_newer_one(archive: Archive) -> None:
    archive.store([row("kept", 5)])
    archive.erase([(M1, 4)])
    assert loaded(archive) == row("kept", 5).record
    assert found(archive, "kept") == ["m1"]


def test_unindexed_lists_the_oldest_first_until_marked(archive: Archive) -> None:
    rows = [row(f"text {n}", id=f"m{n}") for n in range(5)]
    archive.store(rows)
    waiting = archive.unindexed(MODEL, 3)
    assert [each.key.id for each in waiting] == ["m0", "m1", "m2"]
    for each, stored in zip(waiting, rows, strict=False):
        assert each.vector.dtype == np.float32
        assert np.array_equal(each.vector, stored.vector)
    archive.mark_indexed([(each.key, each.version) for each in waiting])
    assert [each.key.id for each in archive.unindexed(MODEL, 10)] == ["m3", "m4"]
    assert archive.stats("athena").unindexed == 2
    assert archive.unindexed("another model", 10) == []


def test_a_mark_for_an_older_version_does_not_count(archive: Archive) -> None:
    archive.store([row("first", 1)])
    archive.store([row("second", 2)])
    archive.mark_indexed([(M1, 1)])
    [waiting] = archive.unindexed(MODEL, 10)
    assert waiting.version == 2
    archive.mark_indexed([(M1, 2)])
    archive.store([row("third", 3)])
    [waiting] = archive.unindexed(MODEL, 10)
    assert np.array_equal(waiting.vector, vector_of(row("third", 3).record.item, 3))


def test_a_vector_of_another_model_is_added_to_the_same_version(archive: Archive) -> None:
    archive.store([row()])
    archive.mark_indexed([(M1, 1)])
    assert archive.store([row(model="model-b")]) == [True]
    assert [each.key for each in archive.unindexed("model-b", 10)] == [M1]
    assert archive.unindexed(MODEL, 10) == []


@pytest.mark.parametrize("other", ["Athena", "athena-b", "a", "athen", "athena_x", "thena"])
def test_personas_never_mix(archive: Archive, other: str) -> None:
    archive.store([row("shared words", persona="athena"), row("shared words of another", 7, persona=other)])
    assert loaded(archive, persona=other) == row("shared words of another", 7, persona=other).record
    assert found(archive, "another") == []
    assert found(archive, "another", persona=other) == ["m1"]
    archive.erase([(Key(other, "m1"), 9)])
    assert found(archive, "shared") == ["m1"]
    assert archive.types_of(other, ["m1"]) == [None]
    assert archive.stats(other).by_type == {}


def test_words_of_a_personas_name_find_nothing(archive: Archive) -> None:
    archive.store([row("quiet", persona="a-b")])
    for term in ("a", "b", "a-b", b"a-b".hex(), f"{b'a-b'.hex()}0", "persona", "terms"):
        assert found(archive, term, persona="a-b") == []


def test_rarer_and_denser_words_come_first(archive: Archive) -> None:
    archive.store([row("cat " * 3 + "dog", id="dense"), row("cat " + "filler " * 60, id="thin")])
    archive.store([row("dog fish bird", id=f"o{n}") for n in range(20)])
    matches = archive.search_text("athena", ["cat", "unknown", "cat"], 10)
    assert [match.id for match in matches] == ["dense", "thin"]
    assert matches[0].score > matches[1].score > 0
    assert [match.id for match in archive.search_text("athena", ["cat"], 1)] == ["dense"]


def test_of_equal_scores_the_older_comes_first(archive: Archive) -> None:
    ids = [f"m{n}" for n in range(50)]
    random.Random(5).shuffle(ids)
    archive.store([row("same", id=id_) for id_ in ids])
    assert found(archive, "same") == ids


def test_only_the_types_asked_for_are_found(archive: Archive) -> None:
    archive.store([row("word", id=kind.value, type=kind) for kind in MemoryType])
    for kinds in ({MemoryType.WORKING}, {MemoryType.SEMANTIC, MemoryType.EPISODIC}):
        matches = archive.search_text("athena", ["word"], 10, types=frozenset(kinds))
        assert {match.id for match in matches} == {kind.value for kind in kinds}
    assert len(archive.search_text("athena", ["word"], 10)) == 4
    assert archive.types_of("athena", ["semantic", "x", "working"]) == [MemoryType.SEMANTIC, None, MemoryType.WORKING]


def test_japanese_is_found_by_its_bigrams(archive: Archive) -> None:
    archive.store([row("東京都", terms=("東京", "京都")), row("大阪", id="m2", terms=("大阪",))])
    assert found(archive, "京都") == ["m1"]
    assert found(archive, "大阪") == ["m2"]


@pytest.mark.parametrize(
    "term",
    ['"', '""', "*", "word*", "wor*", "NEAR(", "NEAR(a b)", "AND", "OR", "NOT", "-", "-word", "^word", "terms:word",
     "persona:x", "{terms}:word", "(", ")", "+", "'", ";", "", " ", "\0", "a\0b", "%", "_", "\\", "𠮷", "🦊",
     "x" * 100_000, "\ud800"],
)  # fmt: skip
def test_no_term_is_syntax(archive: Archive, term: str) -> None:
    archive.store([row("hay wordsmith"), row("secret", persona="hera")])
    assert found(archive, term) == []
    assert found(archive, term, "hay") == ["m1"]


def test_words_of_the_query_language_are_words(archive: Archive) -> None:
    archive.store([row("and"), row("near", id="m2"), row("not", id="m3"), row("c++ or c", id="m4")])
    assert found(archive, "and") == ["m1"]
    assert found(archive, "near", "not") == ["m2", "m3"]
    assert found(archive, "or") == ["m4"]


def test_a_question_of_many_thousand_terms_is_answered(archive: Archive) -> None:
    archive.store([row("needle")])
    assert found(archive, "needle", *(f"hay{n}" for n in range(20_000))) == ["m1"]
    assert found(archive) == []


def test_dead_letters_are_kept_until_the_memory_is_archived_or_erased(archive: Archive) -> None:
    letters = [DeadLetter(Key("athena", f"m{n}"), 2, b"\xff\x00 body", "it is broken", NOW) for n in range(3)]
    archive.bury_dead(letters)
    again = letters[0]._replace(error="still broken", at=NOW + timedelta(seconds=1))
    archive.bury_dead([again])
    assert archive.dead(10) == [letters[1], letters[2], again]
    assert archive.dead(1) == [letters[1]]
    assert (archive.stats("athena").dead_letters, archive.stats("hera").dead_letters) == (3, 0)
    archive.store([row(version=2, id="m0"), row(version=1, id="m1")])
    archive.erase([(Key("athena", "m2"), 2)])
    assert archive.dead(10) == [letters[1]]


def test_a_letter_about_what_was_erased_is_not_kept(archive: Archive) -> None:
    archive.erase([(M1, 2)])
    archive.bury_dead([DeadLetter(M1, 2, b"body", "late", NOW), DeadLetter(M1, 3, b"body", "newer", NOW)])
    assert [letter.version for letter in archive.dead(10)] == [3]


def test_nothing_to_do_is_done(archive: Archive) -> None:
    assert archive.store([]) == []
    archive.mark_indexed([])
    archive.erase([])
    archive.touch([])
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
    assert len(found(archive, "word20")) == len(archive.unindexed(MODEL, 100)) == 5
