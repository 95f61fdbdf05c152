"""One relevance out of coverage and cosine, what raises it, and what says the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.model import MemoryItem, MemoryType
from trinitas_tasks.policy.bm25 import Collection
from trinitas_tasks.policy.diversity import alike, signature
from trinitas_tasks.policy.fusion import BOOST, HALF_LIFE_DAYS, Evidence, boosts, by_words_alone, relevance
from trinitas_tasks.policy.ttl import Stay, stay
from trinitas_tasks.query import Query

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SHARE = st.floats(0, 1)
COSINE = st.floats(-1, 1)


def asked(**fields: Any) -> Query:
    return Query.build(text="where?", persona="athena", **fields)


# Relevance.


@given(coverage=SHARE, cosine=COSINE, trust=SHARE, more=SHARE)
def test_more_evidence_is_never_less_relevant(coverage: float, cosine: float, trust: float, more: float) -> None:
    one = Evidence(coverage, cosine, trust).logit
    assert Evidence(min(coverage + more, 1), cosine, trust).logit >= one
    assert Evidence(coverage, min(cosine + more, 1), trust).logit >= one
    assert 0 < relevance(one) < 1


@given(cosines=st.tuples(COSINE, COSINE), coverage=SHARE)
def test_a_vector_that_is_not_trusted_decides_nothing(cosines: tuple[float, float], coverage: float) -> None:
    one, other = (Evidence(coverage, cosine, 0.0).logit for cosine in cosines)
    assert one == other


@given(logit=st.floats(-1e6, 1e6), more=st.floats(0, 1e6))
@example(logit=1e-05, more=0.0)
def test_relevance_keeps_the_order_and_never_fails(logit: float, more: float) -> None:
    assert 0 <= relevance(logit) <= relevance(logit + more) <= 1
    assert relevance(-logit) == pytest.approx(1 - relevance(logit), abs=1.1e-6)  # both are rounded to six digits


def test_what_answers_is_relevant_and_what_does_not_is_not() -> None:
    """Of typical evidence on the development sets: right answers, what comes near, and what is about something else."""
    assert relevance(Evidence(0.5, 0.6, 1.0).logit) > 0.8
    assert 0.2 < relevance(Evidence(0.25, 0.5, 1.0).logit) < 0.6
    assert relevance(Evidence(0.0, 0.1, 1.0).logit) < 0.05
    assert relevance(Evidence(0.5, 0.0, 0.0).logit) > 0.8
    assert relevance(Evidence(0.1, 0.3, 0.0).logit) < 0.2
    assert relevance(by_words_alone(1.0).logit) > 0.5 > relevance(by_words_alone(0.3).logit)


# Boosts.


def test_nothing_is_added_unless_asked_for() -> None:
    assert boosts(memory("x", importance=1.0, access_count=50), asked(), NOW) == {}


@pytest.mark.parametrize("kind", list(MemoryType))
def test_recency_halves_with_the_half_life_of_the_type(kind: MemoryType) -> None:
    query = asked(boosts={"recency": 1.0})
    at = [memory("x", type=kind, timestamp=NOW - timedelta(days=HALF_LIFE_DAYS[kind] * n)) for n in (0, 1, 2)]
    assert [boosts(item, query, NOW)["recency"] for item in at] == pytest.approx([BOOST, BOOST / 2, BOOST / 4])
    future = memory("x", type=kind, timestamp=NOW + timedelta(days=3))
    assert boosts(future, query, NOW)["recency"] == BOOST


@given(
    one=st.tuples(SHARE, st.integers(0, 10**6)),
    other=st.tuples(SHARE, st.integers(0, 10**6)),
    weights=st.tuples(SHARE, SHARE),
)
def test_the_more_important_or_read_never_gets_less(
    one: tuple[float, int], other: tuple[float, int], weights: tuple[float, float]
) -> None:
    query = asked(boosts={"importance": weights[0], "access": weights[1]})
    added = [
        sum(boosts(memory("x", importance=importance, access_count=count), query, NOW).values())
        for importance, count in (map(min, one, other), map(max, one, other))
    ]
    assert 0 <= added[0] <= added[1] <= 2 * BOOST


def test_what_happened_when_the_question_asks_about_comes_higher() -> None:
    query = asked(period=(NOW, NOW + timedelta(days=1)))
    assert [boosts(memory("x", timestamp=NOW + timedelta(hours=each)), query, NOW) for each in (-1, 0, 23, 24)] == [
        {}, {"period": 1.0}, {"period": 1.0}, {},
    ]  # fmt: skip


def test_what_holds_quoted_words_comes_higher_by_how_many() -> None:
    query = asked(quoted=("green tea", "cup"))
    added = [boosts(memory(text), query, NOW).get("quoted", 0) for text in ("tea", "green tea", "a cup of green tea")]
    assert added == [0, added[2] / 2, added[2]]
    assert added[2] > 0


# Coverage.


@given(
    counts=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50)),
    weights=st.dictionaries(st.sampled_from("abcdefxyz"), st.floats(0.5, 5), min_size=1),
    texts=st.integers(1, 1000),
    length=st.integers(1, 1000),
)
def test_no_text_covers_more_than_all(
    counts: dict[str, int], weights: dict[str, float], texts: int, length: int
) -> None:
    held = Collection(texts, 50.0, {term: min(3, texts) for term in counts})
    score = held.score(weights, counts, length)
    assert 0 <= score <= held.ideal(weights)
    more = held.score(weights, {term: count + 1 for term, count in counts.items()}, length)
    assert more >= score


def test_rare_words_weigh_more_and_unknown_ones_most() -> None:
    held = Collection(100, 10.0, {"common": 90, "rare": 2})
    assert held.idf("unknown") > held.idf("rare") > held.idf("common") > 0


# Near-duplicates.

LONG = (
    "the staging database moved to port 5432 on monday because the old host was too small for all of the tables we keep"
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann drinks tea.", "ann  drinks TEA", True),
        (LONG, LONG.replace("monday", "Monday!"), True),
        (LONG * 3, LONG * 3 + " indeed", True),
        (LONG, LONG.replace("5432", "5433"), False),
        ("Ann drinks tea.", "Ann drinks coffee.", False),
        ("dog bites man", "man bites dog", False),
        ("東京都庁の展望台は夜も開いている", "東京都庁の展望台は夜も開いている。", True),
        ("東京都庁の展望台は夜も開いている", "東京都庁の展望台は夜は閉まっている", False),
        ("!!!", "???", False),
    ],
)
def test_near_duplicates_say_the_same(one: str, other: str, same: bool) -> None:
    assert alike(signature(memory(one)), signature(memory(other))) is same
    assert alike(signature(memory(other)), signature(memory(one))) is same


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip))
def test_likeness_is_reflexive_where_there_are_words(text: str) -> None:
    item: MemoryItem = memory(text)
    assert alike(signature(item), signature(item)) is bool(signature(item).words)


def test_a_memorys_own_time_to_live_beats_that_of_its_type() -> None:
    by_type = dict.fromkeys(MemoryType, Stay(100, slides=True))
    assert stay(memory(ttl=7), by_type) == Stay(7)
    assert stay(memory(), by_type) == Stay(100, slides=True)
