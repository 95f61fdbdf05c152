"""How good a ranking is: known values, and the formulas stated once more in another way."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trinitas_tasks.policy.metrics import MAX_CATEGORIES, by_category, compare, mean, percentile, score

IDS = [f"d{number}" for number in range(150)]
RANKED = st.lists(st.sampled_from(IDS), max_size=150)
RELEVANT = st.sets(st.sampled_from(IDS), min_size=1, max_size=20)
NAMES = {"recall@1", "recall@5", "recall@10", "hit@1", "hit@5", "hit@10", "mrr", "ndcg@10"}


def restated(ranked: list[str], relevant: set[str]) -> dict[str, float]:
    """As a reader of the papers would write it down: from the definition of a set at a cutoff, not from ranks."""
    unique: list[str] = []
    for each in ranked:
        if each not in unique:
            unique.append(each)
    unique = unique[:100]
    scores = {}
    for k in (1, 5, 10):
        scores[f"recall@{k}"] = len(relevant.intersection(unique[:k])) / len(relevant)
        scores[f"hit@{k}"] = 1.0 if relevant.intersection(unique[:k]) else 0.0
    scores["mrr"] = next((1 / (place + 1) for place, each in enumerate(unique) if each in relevant), 0.0)
    gains = [1.0 if each in relevant else 0.0 for each in unique]
    scores["ndcg@10"] = discounted(gains) / discounted([1.0] * len(relevant))
    return scores


def discounted(gains: list[float]) -> float:
    return sum(gain * math.log(2) / math.log(place + 2) for place, gain in enumerate(gains[:10]))


@given(ranked=RANKED, relevant=RELEVANT)
def test_the_formulas_stated_twice_say_the_same(ranked: list[str], relevant: set[str]) -> None:
    found = score(ranked, relevant)
    assert found == pytest.approx(restated(ranked, relevant))
    assert found.keys() == NAMES


def test_a_known_ranking_has_known_scores() -> None:
    found = score(["x", "a", "y", "z", "w", "b"], {"a", "b", "c"})
    assert found["recall@1"] == found["hit@1"] == 0.0
    assert found["recall@5"] == pytest.approx(1 / 3)
    assert found["recall@10"] == pytest.approx(2 / 3)
    assert (found["hit@5"], found["hit@10"], found["mrr"]) == (1.0, 1.0, 0.5)
    best = 1 + 1 / math.log2(3) + 1 / 2
    assert found["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(7)) / best)


def test_a_document_named_twice_counts_where_it_comes_first() -> None:
    assert score(["x", "x", "x", "a"], {"a"})["mrr"] == 0.5
    assert score(["a", "a", "a"], {"a", "b"})["recall@5"] == 0.5


def test_only_the_first_hundred_count() -> None:
    others = [f"x{number}" for number in range(99)]
    assert score([*others, "a"], {"a"})["mrr"] == 1 / 100
    assert score([*others, "y", "a"], {"a"})["mrr"] == 0.0


def test_the_best_ranking_of_more_than_ten_relevant_has_full_gain_and_not_full_recall() -> None:
    relevant = set(IDS[:20])
    found = score(IDS[:20], relevant)
    assert found["ndcg@10"] == pytest.approx(1.0)
    assert found["recall@10"] == 0.5


def test_nothing_found_is_nothing_scored() -> None:
    assert set(score([], {"a"}).values()) == {0.0}


def test_means_are_told_with_their_number_and_by_category_in_order() -> None:
    rows = [("b", {"mrr": 1.0}), ("a", {"mrr": 0.5}), ("b", {"mrr": 0.0})]
    assert mean([scores for _, scores in rows]) == {"n": 3, "mrr": 0.5}
    assert list(by_category(rows).items()) == [("a", {"n": 1, "mrr": 0.5}), ("b", {"n": 2, "mrr": 0.5})]
    assert mean([]) == {"n": 0}


def test_names_of_articles_are_no_categories() -> None:
    rows = [(f"article {number}", {"mrr": 1.0}) for number in range(MAX_CATEGORIES + 1)]
    assert len(by_category(rows[:-1])) == MAX_CATEGORIES
    assert by_category(rows) == {}


# Comparing.


def questions(values: list[float]) -> dict[str, dict[str, float]]:
    return {f"q{number}": {"mrr": value} for number, value in enumerate(values)}


def bootstrapped(differences: list[float], rounds: int, seed: int) -> tuple[float, float]:
    """Once more, one drawn question after the other."""
    drawing = random.Random(seed)
    number = len(differences)
    means = []
    for _ in range(rounds):
        drawn = [differences[math.floor(drawing.random() * number)] for _ in range(number)]
        means.append(sum(drawn) / number)
    means.sort()
    return means[rounds * 25 // 1000], means[rounds * 975 // 1000]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_an_interval_is_that_of_a_paired_bootstrap(seed: int) -> None:
    values = random.Random(seed)
    a, b = ([values.random() for _ in range(40)] for _ in range(2))
    found = compare(questions(a), questions(b), "mrr", rounds=400, seed=seed)
    differences = [one - other for one, other in zip(a, b, strict=True)]
    assert found.difference == pytest.approx(sum(differences) / 40)
    assert (found.low, found.high) == pytest.approx(bootstrapped(differences, 400, seed))
    assert found.low <= found.difference <= found.high


def test_questions_are_paired_by_their_ids_whatever_their_order() -> None:
    a = questions([1.0, 0.0, 0.5])
    b = dict(reversed(a.items()))
    assert compare(a, b, "mrr") == (0.0, 0.0, 0.0)


def test_a_constant_gain_has_no_width_and_chance_holds_zero() -> None:
    zero = questions([0.0] * 60)
    assert compare(questions([0.25] * 60), zero, "mrr", rounds=100) == (0.25, 0.25, 0.25)
    tossed = compare(questions([1.0, -1.0] * 30), zero, "mrr")
    assert tossed.low < 0 < tossed.high


def test_more_questions_narrow_the_interval() -> None:
    widths = []
    for number in (20, 200, 2000):
        values = random.Random(number)
        found = compare(
            questions([values.random() for _ in range(number)]), questions([0.0] * number), "mrr", rounds=200
        )
        widths.append(found.high - found.low)
    assert all(wide > narrow for wide, narrow in pairwise(widths))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.99, 10), (1.0, 10)])
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    values = [float(value) for value in (3, 1, 2, 10, 9, 8, 4, 7, 6, 5)]
    assert percentile(values, share) == expected
    assert percentile([2.5], share) == 2.5
