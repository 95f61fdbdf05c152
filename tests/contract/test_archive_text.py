"""What every archive finds by words."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.archives import KINDS, found, made, row
from trinitas_tasks.model import MemoryType
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.interface import Archive


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn, and the SQL one as it is read by its file alone."""
    with made(request.param, tmp_path) as archive:
        yield archive


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
        matches = archive.search_text("athena", ["word"], 10, filters=Filters(types=frozenset(kinds)))
        assert {match.id for match in matches} == {kind.value for kind in kinds}
    assert len(archive.search_text("athena", ["word"], 10)) == 4


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
