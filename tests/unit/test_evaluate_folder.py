"""What a folder to be evaluated must hold, and what becomes of it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.folders import DOCUMENTS, NOW, QRELS, QUERIES, Lines, prepared, written
from trinitas_tasks.errors import DatasetError
from trinitas_tasks.interfaces.evaluation.folder import load
from trinitas_tasks.model import MemoryType
from trinitas_tasks.query import Ranking

# The folder.


def test_questions_are_those_that_some_document_answers(tmp_path: Path) -> None:
    dataset = load(written(tmp_path))
    assert [each.id for each in dataset.questions] == ["q1", "q2", "q3"]
    assert [each.category for each in dataset.questions] == ["4", "tea", "tea"]
    assert dataset.relevant == {"q1": {"D1:2", "D1:3"}, "q2": {"D1:1"}, "q3": {"東京/1"}}
    assert dataset.groups == ("conv 26", "日本")


def test_another_file_may_say_what_is_relevant(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, audited=[{"query_id": "q1", "doc_id": "D1:1"}]), qrels="audited")
    assert dataset.relevant == {"q1": {"D1:1"}}


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    folder = written(tmp_path, queries=[*QUERIES, "", "  "])
    file = folder / "documents.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(load(folder).documents) == len(DOCUMENTS)


@pytest.mark.parametrize("number", [1, 7, 49])
def test_a_sample_is_drawn_by_its_seed_and_leaves_the_documents(tmp_path: Path, number: int) -> None:
    many: Lines = [{"id": f"q{each}", "group": "日本", "text": f"{each}"} for each in range(50)]
    dataset = load(
        written(tmp_path, queries=many, qrels=[{"query_id": f"q{each}", "doc_id": "D1:1"} for each in range(50)])
    )
    drawn = [each.id for each in dataset.sampled(number, seed=3).questions]
    assert drawn == random.Random(3).sample([each.id for each in dataset.questions], number)
    assert drawn == [each.id for each in dataset.sampled(number, seed=3).questions]
    assert dataset.sampled(number).documents == dataset.documents
    assert dataset.sampled(50) == dataset.sampled(None) == dataset


BROKEN: dict[str, tuple[dict[str, Lines], str]] = {
    "torn": ({"documents": [DOCUMENTS[0], '{"id": "x']}, "documents.jsonl line 2: not JSON"),
    "list": ({"queries": [*QUERIES, "[1]"]}, "queries.jsonl line 5: not a JSON object"),
    "no text": ({"documents": [{"id": "x", "group": "g"}]}, "documents.jsonl line 1: text is missing"),
    "blank": ({"queries": [{"id": "x", "group": "g", "text": " "}]}, 'queries.jsonl line 1: text is " "'),
    "number": ({"qrels": [{"query_id": 7, "doc_id": "D1:1"}]}, "qrels.jsonl line 1: query_id is 7, but must be text"),
    "twice": ({"documents": [*DOCUMENTS, DOCUMENTS[1]]}, "documents.jsonl line 6: id 'D1:2' is that of line 2 too"),
    "asked twice": ({"queries": [*QUERIES, QUERIES[0]]}, "queries.jsonl line 5: id 'q1' is that of line 1 too"),
    "unknown document": ({"qrels": [*QRELS, {"query_id": "q1", "doc_id": "D9"}]}, "qrels.jsonl line 6: doc_id 'D9'"),
    "unknown question": ({"qrels": [{"query_id": "q9", "doc_id": "D1:1"}]}, "qrels.jsonl line 1: query_id 'q9'"),
    "words": ({"qrels": [{"query_id": "q1", "doc_id": "D1:1", "relevance": "yes"}]}, 'line 1: relevance is "yes"'),
    "nobody's": ({"queries": [{"id": "x", "group": "g", "text": "?"}]}, "queries.jsonl line 1: group 'g' has no"),
    "no documents": ({"documents": []}, "documents.jsonl is empty"),
    "no questions": ({"queries": [""]}, "queries.jsonl is empty"),
    "no answers": ({"qrels": [{"query_id": "q1", "doc_id": "D1:1", "relevance": 0}]}, "qrels.jsonl: no document"),
}


@pytest.mark.parametrize(("files", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_told_with_its_file_and_line(tmp_path: Path, files: dict[str, Lines], message: str) -> None:
    with pytest.raises(DatasetError) as raised:
        load(written(tmp_path, **files))
    assert message in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"audited\.jsonl cannot be read: No such file"):
        load(written(tmp_path), qrels="audited")


@pytest.mark.parametrize("file", ["documents", "queries"])
def test_what_cannot_be_stored_or_asked_is_told_before_anything_starts(tmp_path: Path, file: str) -> None:
    bad = {"id": "x", "group": "日本", "text": "a\0b"}
    lines = [*(DOCUMENTS if file == "documents" else QUERIES), bad]
    folder = written(tmp_path, **{file: lines}, qrels=[*QRELS, {"query_id": "q1", "doc_id": "D1:1"}])
    if file == "queries":
        written(folder, queries=lines, qrels=[{"query_id": "x", "doc_id": "D1:1"}])
    with pytest.raises(DatasetError, match=rf"{file}\.jsonl line {len(lines)}: .*NUL"):
        prepared(load(folder))


# Memories and queries.


def remembered(folder: Path, *documents: dict[str, Any]) -> list[Any]:
    lines: Lines = [{"id": f"d{number}", "group": "g", "text": "x", **each} for number, each in enumerate(documents)]
    asked: dict[str, Lines] = {
        "queries": [{"id": "q", "group": "g", "text": "?"}],
        "qrels": [{"query_id": "q", "doc_id": "d0"}],
    }
    return list(prepared(load(written(folder, documents=lines, **asked))).memories)


def test_groups_are_personas_and_names_are_of_our_own(tmp_path: Path) -> None:
    made = prepared(load(written(tmp_path)))
    assert made.sizes == {"group-1": 3, "group-2": 2}
    assert [made.documents[each["id"]] for each in made.memories] == ["D1:1", "D1:2", "D1:3", "東京/1", "東京/2"]
    assert [(question.id, query.persona) for question, query in made.queries] == [
        ("q1", "group-1"), ("q2", "group-1"), ("q3", "group-2")
    ]  # fmt: skip
    assert {(query.limit, query.ranking) for _, query in made.queries} == {(100, Ranking.FUSED)}


def test_what_a_document_has_becomes_its_metadata(tmp_path: Path) -> None:
    [made] = remembered(
        tmp_path, {"title": "t", "session": 3, "caption": None, "turn": "D1:1", "parts": ["a", {"b": 1}]}
    )
    assert made["metadata"] == {"title": "t", "session": 3, "turn": "D1:1", "parts": ["a", {"b": 1}]}
    assert (made["content"], made["type"], made["timestamp"]) == ("x", MemoryType.SEMANTIC, NOW)


def test_good_fields_are_the_memorys_own_and_others_are_metadata(tmp_path: Path) -> None:
    own = {"type": "episodic", "tags": ["a"], "importance": 0.9, "timestamp": "2023-05-08T13:56:00+09:00"}
    bad = {"type": "news", "tags": "a, b", "importance": "high", "timestamp": "last week"}
    good, other = remembered(tmp_path, own, bad)
    assert {name: good[name] for name in ("type", "tags", "importance", "metadata")} == {
        "type": "episodic", "tags": ["a"], "importance": 0.9, "metadata": {}
    }  # fmt: skip
    assert good["timestamp"] == datetime(2023, 5, 8, 4, 56, tzinfo=UTC)
    assert other["metadata"] == bad
    assert (other["type"], other["timestamp"]) == (MemoryType.SEMANTIC, NOW)


def test_turns_of_one_moment_keep_their_order(tmp_path: Path) -> None:
    day, later = {"date": "2023-05-08"}, {"date": "2023-05-08T00:00:00+00:00"}
    made = remembered(tmp_path, day, {}, later, day, {"date": "2023-05-09"}, {})
    moment = datetime(2023, 5, 8, tzinfo=UTC)
    times = [each["timestamp"] for each in made]
    assert times == [
        moment, NOW, moment + timedelta(milliseconds=1), moment + timedelta(milliseconds=2),
        moment + timedelta(days=1), NOW + timedelta(milliseconds=1),
    ]  # fmt: skip
    assert made[0]["metadata"] == day


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+09:00", "31/31/2023", "", 20230508, "99999-01-01"])
def test_a_date_that_nobody_can_read_is_no_time(tmp_path: Path, date: object) -> None:
    [made] = remembered(tmp_path, {"date": date})
    assert made["timestamp"] == NOW
    assert made["metadata"] == {"date": date}
