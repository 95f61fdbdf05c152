"""What a question says beside its words, and that nothing is taken for more than it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trinitas_tasks.model import MemoryType
from trinitas_tasks.policy.period import Period
from trinitas_tasks.policy.question import Question, understand
from trinitas_tasks.query import Filters

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
"""A Wednesday."""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ask(text: str) -> Question:
    return understand(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "left", "said"),
    [
        ("tag:work what did we decide", "what did we decide", {"all_tags": {"work"}}),
        ("what tag:work did tag:db we decide", "what did we decide", {"all_tags": {"work", "db"}}),
        ('tag:"two words" x', "x", {"all_tags": {"two words"}}),
        ("tag:“two words” x", "x", {"all_tags": {"two words"}}),
        ("tag:「二 語」 x", "x", {"all_tags": {"二 語"}}),
        ("ｔａｇ：仕事　会議", "会議", {"all_tags": {"仕事"}}),
        ("tag:Ｗide x", "x", {"all_tags": {"Ｗide"}}),
        ("TAG:Work x", "x", {"all_tags": {"Work"}}),
        ("tag:a:b x", "x", {"all_tags": {"a:b"}}),
        ("tag:a, tag:b. x", "x", {"all_tags": {"a", "b"}}),
        ("tag:c++", "", {"all_tags": {"c++"}}),
        ("type:semantic x", "x", {"types": {MemoryType.SEMANTIC}}),
        ("Type:Semantic type:WORKING x", "x", {"types": {MemoryType.SEMANTIC, MemoryType.WORKING}}),
        ("before:2023-05-01 x", "x", {"before": at("2023-05-01")}),
        ("before:2023 x", "x", {"before": at("2023-01-01")}),
        ("since:2023 x", "x", {"since": at("2023-01-01")}),
        ("after:2023 x", "x", {"since": at("2024-01-01")}),
        ("after:2023-05-08 x", "x", {"since": at("2023-05-09")}),
        ("since:2023-05 before:2023-06 x", "x", {"since": at("2023-05-01"), "before": at("2023-06-01")}),
        ("since:yesterday x", "x", {"since": at("2026-11-24")}),
        ("since:先週 x", "x", {"since": at("2026-11-16")}),
        ("since：２０２３年５月　x", "x", {"since": at("2023-05-01")}),
        ('before:"8 May 2023" x', "x", {"before": at("2023-05-08")}),
        ("since:2022 since:2023 x", "x", {"since": at("2023-01-01")}),
        ("before:2025 before:2024 x", "x", {"before": at("2024-01-01")}),
        ("since:2023-05-08T13:56Z x", "x", {"since": at("2023-05-08 13:56")}),
        ("x\ttag:a\n\ny", "x y", {"all_tags": {"a"}}),
        ("  tag:a type:working since:2023  ", "", {"all_tags": {"a"}, "types": {"working"}, "since": at("2023-01-01")}),
    ],
)  # fmt: skip
def test_operators_become_filters(text: str, left: str, said: dict[str, Any]) -> None:
    found = ask(text)
    assert found.filters == Filters(**said)
    assert found.text == left


@pytest.mark.parametrize(
    "text",
    [
        "tag:", "tag: work", "tag:,", 'tag:""', 'tag:" "', 'tag:"unclosed', 'tag:a"b', 'tag:"a"b', "xtag:a", "(tag:a)",
        "-tag:a", "http://x", "a:b", "type:foo", "type:", "type:semantics", "before:yesterdayish", "before:",
        "since:never", "after:5/8/2023", "before:2023-02-30", "until:2023", "tags:a", "tag :a", "tag\u200b:a",
        "会議tag:仕事", "tag:" + "x" * 257, "tag:\ud800", '"tag:a"', "「tag:a」", "“x tag:a y”", "ſince:2023",
        "type:ſemantic", "", " ", " two  blanks ", "tag:“x", 'say "tag:a type:working" twice',
    ],
)  # fmt: skip
def test_what_only_looks_like_an_operator_is_text(text: str) -> None:
    found = ask(text)
    assert found.text == text
    assert found.filters == Filters()


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ('who said "to be or not"?', ("to be or not",)),
        ("who said “to be”, “or not”?", ("to be", "or not")),
        ("「東京 タワー」と『夏』はどこ", ("東京 タワー", "夏")),
        ("彼は\"テスト\"と言った", ("テスト",)),
        ('a 6" board and a 7" nail', ()),
        ('"lone', ()),
        ('lone" "', ()),
        ('"" " "', ()),
        ("「外『内』外」", ("外『内』外",)),
        ("「外「内」外」", ("内",)),
        ("“ “ ” ”", ()),
        ('" padded "', (" padded ",)),
        ("＂wide＂", ("wide",)),
        ('type:"working day"', ("working day",)),
        ('tag:"not a phrase" "but this"', ("but this",)),
    ],
)  # fmt: skip
def test_quoted_phrases_are_found_and_stay_in_the_text(text: str, phrases: tuple[str, ...]) -> None:
    found = ask(text)
    assert found.phrases == phrases
    assert all(phrase in found.text for phrase in phrases)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what did Ann paint in May 2023?", Period(at("2023-05-01"), at("2023-06-01"))),
        ("昨日の会議", Period(at("2026-11-24"), at("2026-11-25"))),
        ("tag:x 2023", Period(at("2023-01-01"), at("2024-01-01"))),
        ("what was it", None),
        ('who sang "Yesterday"?', None),
        ("「去年の夏」という映画", None),
        ("since:2023 what was it", None),
        ("since:2023 what was yesterday", Period(at("2026-11-24"), at("2026-11-25"))),
    ],
)
def test_the_time_asked_about_is_outside_of_quotes_and_operators(text: str, expected: Period | None) -> None:
    assert ask(text).period == expected


def test_a_day_is_counted_where_it_is_asked() -> None:
    tokyo = datetime.fromisoformat("2026-11-26T01:00+09:00")
    assert understand("since:today", now=tokyo).filters == Filters(since=at("2026-11-25 15:00"))


PIECES = [
    'tag:', 'tag:a', 'tag:"', 'tag:"a b"', "tag:「", "type:working", "type:", "before:2023", "since:昨日", "after:x",
    "ｔａｇ：x", '"', "“", "”", "「", "」", "『", "』", " ", "　", "\n", "\u200b", "：", ":", ",", "。", "x", "昨日",
    "2023", "年", "5月", "May", "in", "６", "\ud800", "é", "🦊",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(), st.lists(st.sampled_from(PIECES)).map("".join), st.lists(st.sampled_from(PIECES)).map(" ".join)
)


@given(TEXTS)
def test_what_is_left_holds_no_operators(text: str) -> None:
    once = ask(text)
    twice = ask(once.text)
    assert twice.filters == Filters()
    assert twice.text == once.text
    assert twice.phrases == once.phrases
    assert once.period is None or once.period.start < once.period.end


@given(TEXTS)
def test_nothing_is_invented(text: str) -> None:
    found = ask(text)
    rest = iter(text)
    assert all(character in rest for character in found.text if not character.isspace())
    assert all(phrase in text for phrase in found.phrases)


@given(TEXTS, st.sampled_from(["tag:new", "type:semantic", "before:1990", "since:2090"]))
def test_one_more_operator_admits_no_more(text: str, operator: str) -> None:
    less, more = ask(text), ask(f"{operator} {text}")
    assert more.text.split() == less.text.split()
    assert more.filters.all_tags >= less.filters.all_tags
    assert less.filters.since is None or (more.filters.since is not None and more.filters.since >= less.filters.since)
    assert less.filters.before is None or (
        more.filters.before is not None and more.filters.before <= less.filters.before
    )


@pytest.mark.parametrize(
    "unit", [*PIECES, "tag: ", "tag:a ", 'tag:" ', "tag:“ ", "before:x ", "before:2023 ", "7", "年", "tag:a", " \u3000"]
)
def test_a_long_question_takes_little_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    started = time.process_time()
    ask(text)
    assert time.process_time() - started < 2  # a tenth of it, measured


def test_time_zones_at_the_ends_of_time_are_no_trouble() -> None:
    for now in (datetime.min, datetime.max):
        found = understand("since:yesterday before:tomorrow last week 昨日", now=now.replace(tzinfo=UTC))
        assert found.period is None or found.period.end - found.period.start >= timedelta(days=1)
