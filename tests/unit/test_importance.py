"""How important memories are, why, and whether that tells which will be needed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from tests.unit.histories import Remembered, auc, history
from trinitas_tasks.policy.importance import (
    BASE,
    BIAS,
    BIAS_LIMIT,
    DEFAULT_WEIGHTS,
    LEEWAY,
    NAMES,
    Features,
    connectivity,
    frequency,
    importance,
    learned,
    recency,
    richness,
    uniqueness,
)

SHARE = st.floats(0, 1)
COSINE = st.floats(-1, 1)
FEATURES = st.builds(Features, SHARE, SHARE, SHARE, SHARE, SHARE)
WEIGHTS = st.fixed_dictionaries(
    {}, optional={name: st.floats(usual / LEEWAY, usual * LEEWAY) for name, usual in DEFAULT_WEIGHTS.items()}
)
COUNT = st.integers(0, 10_000)
NAME = st.sampled_from(NAMES)

# The score.


def test_the_usual_memory_is_as_important_as_its_caller_says() -> None:
    for prior in (0.1, 0.5, 0.9):
        assert importance(prior, BASE, {}).score == pytest.approx(prior)


@given(prior=SHARE, features=FEATURES, weights=WEIGHTS, name=NAME, other=SHARE)
def test_more_of_a_feature_is_never_less_important(
    prior: float, features: Features, weights: Mapping[str, float], name: str, other: float
) -> None:
    values = sorted((asdict(features)[name], other))
    less, more = (importance(prior, replace(features, **{name: value}), weights).score for value in values)
    assert 0 <= less <= more <= 1


@given(priors=st.tuples(SHARE, SHARE), features=FEATURES, weights=WEIGHTS)
def test_what_its_caller_holds_for_more_important_is_not_less(
    priors: tuple[float, float], features: Features, weights: Mapping[str, float]
) -> None:
    less, more = (importance(prior, features, weights).score for prior in sorted(priors))
    assert less <= more


@given(features=FEATURES, useful=st.tuples(COUNT, COUNT), useless=st.tuples(COUNT, COUNT))
def test_praise_raises_and_blame_lowers(features: Features, useful: tuple[int, int], useless: tuple[int, int]) -> None:
    worse = importance(0.5, features, {}, min(useful), max(useless)).score
    better = importance(0.5, features, {}, max(useful), min(useless)).score
    assert worse <= better


@given(prior=SHARE, features=FEATURES, weights=WEIGHTS, useful=COUNT, useless=COUNT)
def test_the_parts_add_up_to_the_score(
    prior: float, features: Features, weights: Mapping[str, float], useful: int, useless: int
) -> None:
    scored = importance(prior, features, weights, useful, useless)
    assert set(scored.parts) == {"prior", "feedback", *NAMES}
    assert 1 / (1 + math.exp(-math.fsum(scored.parts.values()))) == pytest.approx(scored.score)


@given(values=st.fixed_dictionaries(dict.fromkeys(NAMES, SHARE)), weights=WEIGHTS, shuffled=st.randoms())
def test_the_order_of_features_and_weights_does_not_matter(
    values: dict[str, float], weights: dict[str, float], shuffled: random.Random
) -> None:
    other, heavy = list(values.items()), list(weights.items())
    shuffled.shuffle(other)
    shuffled.shuffle(heavy)
    assert importance(0.5, Features(**dict(other)), dict(heavy)) == importance(0.5, Features(**values), weights)


# Features.


@given(similarities=st.lists(COSINE, max_size=10), more=COSINE)
def test_another_neighbour_never_makes_unique_what_was_not(similarities: list[float], more: float) -> None:
    """As long as there are as many as are looked at: a second one may be farther than the first."""
    before, after = uniqueness(similarities), uniqueness([*similarities, more])
    assert 0 <= after <= 1
    assert len(similarities) < 3 or after <= before


def test_what_others_say_too_is_not_unique() -> None:
    assert uniqueness([]) == 1
    assert uniqueness([-0.4]) == 1
    assert uniqueness([1.0, 1.0, 1.0]) == 0
    assert uniqueness([0.1, 0.9, 0.2, 0.3, 0.0]) == pytest.approx(1 - 1.4 / 3)


@given(ages=st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), half_life=st.floats(0.01, 1e4))
def test_what_was_used_later_is_more_recent(ages: tuple[float, float], half_life: float) -> None:
    assert 0 <= recency(max(ages), half_life) <= recency(min(ages), half_life) <= 1
    assert recency(half_life, half_life) == pytest.approx(0.5)
    assert recency(-1, half_life) == 1


@given(counts=st.tuples(COUNT, COUNT))
def test_more_reads_and_links_count_more_until_it_is_enough(counts: tuple[int, int]) -> None:
    less, more = sorted(counts)
    assert 0 <= frequency(less) <= frequency(more) <= 1
    assert 0 <= connectivity(less) <= connectivity(more) <= 1
    assert frequency(0) == connectivity(0) == 0
    assert frequency(100) == connectivity(20) == 1


WRITTEN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=80).filter(str.strip)


@given(text=WRITTEN, more=WRITTEN)
def test_who_says_more_is_not_poorer(text: str, more: str) -> None:
    assert 0 <= richness(memory(text)) <= richness(memory(f"{text}\n{more}")) <= 1
    assert richness(memory(text)) <= richness(memory(text, tags=("a",), metadata={"title": "b"})) <= 1


def test_one_word_ten_times_is_not_rich() -> None:
    assert richness(memory("test " * 10)) == richness(memory("test"))
    assert richness(memory("Deploy umi-2 first, watch the gate for five minutes, then umi-1.")) > 0.4


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        (
            "Meetings last thirty minutes at most; what takes longer is to be written down, since long calls tire us.",
            "会議は30分まで、それ以上かかるなら文章にしてください。長い通話のあとは頭が回らなくなるので。",
        ),
        (
            "In a typhoon the boats shelter in the inlet behind the shipyard. Mooring takes three hours.",
            "台風のとき船は造船所の裏の入り江に避難します。係留に三時間かかります。",
        ),
    ],
)
def test_a_translation_is_as_rich(english: str, japanese: str) -> None:
    assert richness(memory(japanese)) == pytest.approx(richness(memory(english)), abs=0.08)


# Learning.


@given(
    feedback=st.lists(st.tuples(FEATURES, SHARE, st.booleans()), max_size=30),
    weights=WEIGHTS,
)
def test_weights_stay_bounded(feedback: list[tuple[Features, float, bool]], weights: Mapping[str, float]) -> None:
    for features, score, useful in feedback:
        weights = learned(weights, features, score, useful)
        assert set(weights) == {*NAMES, BIAS}
        assert abs(weights[BIAS]) <= BIAS_LIMIT
        assert all(DEFAULT_WEIGHTS[name] / LEEWAY <= weights[name] <= DEFAULT_WEIGHTS[name] * LEEWAY for name in NAMES)


def test_years_of_the_same_feedback_do_not_run_away() -> None:
    weights: Mapping[str, float] = {}
    for _ in range(20_000):
        weights = learned(weights, Features(1, 0, 1, 0, 1), 0.5, False)
    assert weights["uniqueness"] >= DEFAULT_WEIGHTS["uniqueness"] / LEEWAY
    assert importance(0.5, Features(1, 1, 1, 1, 1), weights).score > 0.5


@given(features=FEATURES, score=st.floats(0.05, 0.95), weights=WEIGHTS)
def test_what_is_praised_is_never_less_important_afterwards(
    features: Features, score: float, weights: Mapping[str, float]
) -> None:
    before = importance(0.5, features, weights).score
    assert importance(0.5, features, learned(weights, features, score, True)).score >= before - 1e-9
    assert importance(0.5, features, learned(weights, features, score, False)).score <= before + 1e-9


def test_what_matters_to_a_persona_is_learned() -> None:
    """One for whom only the unique is of use, and what is linked is not; 2,000 feedbacks."""
    rng = random.Random(5)
    seen = [Features(*(rng.random() for _ in NAMES)) for _ in range(4000)]
    of_use = [rng.random() < 1 / (1 + math.exp(-8 * (each.uniqueness - 0.7))) for each in seen]
    weights: Mapping[str, float] = {}
    for features, useful in list(zip(seen, of_use, strict=True))[:2000]:
        weights = learned(weights, features, importance(0.5, features, weights).score, useful)
    before, after = (
        auc([importance(0.5, each, known).score for each in seen[2000:]], of_use[2000:]) for known in ({}, weights)
    )
    assert after > before + 0.1
    assert weights["uniqueness"] > 2 * DEFAULT_WEIGHTS["uniqueness"]


# Histories of which it is known what was needed later (see tests/unit/histories.py).

SEEDS = range(5)


@cache
def remembered(seed: int) -> Sequence[Remembered]:
    return history(seed)


def scores(memories: Sequence[Remembered], weights: Mapping[str, float], *, told: bool = False) -> list[float]:
    return [
        importance(
            each.item.importance,
            each.features,
            weights,
            each.said.count(True) if told else 0,
            each.said.count(False) if told else 0,
        ).score
        for each in memories
    ]


def taught(memories: Sequence[Remembered]) -> Mapping[str, float]:
    """The weights after all that was said, in some order."""
    said = [(each, useful) for each in memories for useful in each.said]
    random.Random(1).shuffle(said)
    weights: Mapping[str, float] = {}
    for each, useful in said:
        score = importance(each.item.importance, each.features, weights).score
        weights = learned(weights, each.features, score, useful)
    return weights


@pytest.mark.parametrize("seed", SEEDS)
def test_importance_tells_better_what_will_be_needed_than_any_one_thing(seed: int) -> None:
    memories = remembered(seed)
    needed = [each.needed for each in memories]
    assert 0.05 < fmean(needed) < 0.3
    score = auc(scores(memories, {}), needed)
    assert score >= auc([-each.unused_days for each in memories], needed) + 0.03
    assert score >= auc([each.item.timestamp.timestamp() for each in memories], needed) + 0.03
    assert score >= auc([each.item.access_count for each in memories], needed) + 0.03
    for name in (*NAMES, "prior"):
        alone = [each.item.importance if name == "prior" else asdict(each.features)[name] for each in memories]
        assert score >= auc(alone, needed) + 0.02


def test_feedback_makes_it_no_worse() -> None:
    """It is given on what was read, mostly for other reasons than that it will be needed: in these histories the
    weights have nothing to learn, and stay within chance of where they are; what was said of a memory helps."""
    gains = []
    for seed in SEEDS:
        memories = remembered(seed)
        needed = [each.needed for each in memories]
        assert sum(len(each.said) for each in memories) > 100
        weights = taught(memories)
        before = auc(scores(memories, {}), needed)
        assert auc(scores(memories, weights), needed) >= before - 0.005
        gains.append(auc(scores(memories, weights, told=True), needed) - before)
    assert min(gains) > -0.002
    assert fmean(gains) > 0.002


def test_the_area_under_the_curve_is_what_it_is_said_to_be() -> None:
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1
    assert auc([4, 3, 2, 1], [False, False, True, True]) == 0
    assert auc([1, 1, 1, 1], [True, False, True, False]) == 0.5
    assert auc([1, 2, 2, 3], [False, True, False, True]) == pytest.approx(0.875)


def test_a_history_is_the_same_for_the_same_seed() -> None:
    assert history(3, 50) == history(3, 50) != history(4, 50)
