"""One ranking out of several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.model import MemoryType
from trinitas_tasks.policy.fusion import RANK_CONSTANT, fuse, weights
from trinitas_tasks.policy.ttl import hot_seconds

IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)
EVEN = {"dense": 1.0, "fulltext": 1.0}


def test_scores_are_weighted_reciprocal_ranks() -> None:
    fused = dict(fuse({"dense": ["a", "b"], "fulltext": ["b"]}, {"dense": 0.5, "fulltext": 2.0}))
    assert fused["a"] == pytest.approx(0.5 / (RANK_CONSTANT + 1))
    assert fused["b"] == pytest.approx(0.5 / (RANK_CONSTANT + 2) + 2.0 / (RANK_CONSTANT + 1))


@given(dense=IDS, fulltext=IDS)
def test_every_id_comes_once_and_best_first(dense: list[str], fulltext: list[str]) -> None:
    fused = fuse({"dense": dense, "fulltext": fulltext}, EVEN)
    assert sorted(each for each, _ in fused) == sorted({*dense, *fulltext})
    assert sorted((score for _, score in fused), reverse=True) == [score for _, score in fused]


@given(ids=IDS)
def test_a_single_list_keeps_its_order(ids: list[str]) -> None:
    assert [each for each, _ in fuse({"dense": ids, "fulltext": []}, EVEN)] == ids


@given(ids=IDS)
def test_lists_that_agree_keep_their_order(ids: list[str]) -> None:
    assert [each for each, _ in fuse({"dense": ids, "fulltext": ids}, EVEN)] == ids


def test_ties_keep_the_order_of_the_first_list_that_named_them() -> None:
    assert [each for each, _ in fuse({"dense": ["z"], "fulltext": ["a"]}, EVEN)] == ["z", "a"]


def test_a_list_without_a_weight_counts_fully() -> None:
    assert fuse({"pending": ["a"]}, {}) == [("a", 1 / (RANK_CONSTANT + 1))]


def test_nothing_fuses_to_nothing() -> None:
    assert fuse({}, EVEN) == []


def test_vectors_count_less_the_more_of_a_query_is_cjk() -> None:
    dense = [weights(text)["dense"] for text in ("where is the server", "server はどこ", "サーバはどこですか")]
    assert dense == sorted(dense, reverse=True)
    assert dense[0] == 1.0
    assert 0 < dense[-1] < 0.1
    assert {weights(text)["fulltext"] for text in ("", "where", "どこ")} == {1.0}


def test_a_memorys_own_time_to_live_beats_that_of_its_type() -> None:
    by_type = dict.fromkeys(MemoryType, 100)
    assert hot_seconds(memory(ttl=7), by_type) == 7
    assert hot_seconds(memory(), by_type) == 100
