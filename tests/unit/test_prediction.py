"""What is likely to be read next."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trinitas_tasks.model import Key
from trinitas_tasks.policy.prediction import (
    HALF_LIFE_DAYS,
    KEPT,
    NEGLIGIBLE,
    WITHIN,
    Follower,
    followed,
    likely,
    transitions,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Step(NamedTuple):
    at: datetime
    keys: tuple[Key, ...]


def key(name: str) -> Key:
    return Key("athena", name)


def steps(*read: tuple[float, str]) -> list[Step]:
    """Steps at so many minutes; every character is a memory."""
    return [Step(NOW + timedelta(minutes=minute), tuple(map(key, names))) for minute, names in read]


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


KEY = st.sampled_from("abcdefghijklmnop").map(key)
AT = st.floats(0, 365).map(days_ago)
WEIGHT = st.floats(0.01, 100)
SEEN = st.tuples(KEY, WEIGHT, AT)
FOLLOWERS = st.lists(SEEN.map(Follower._make), max_size=KEPT, unique_by=lambda each: each.key)
CHAINS = st.dictionaries(KEY, FOLLOWERS, max_size=8)
RECENT = st.lists(st.tuples(KEY, st.floats(0, 1)), max_size=6)

# What followed what.


def test_successive_steps_follow_each_other() -> None:
    found = transitions(steps((0, "a"), (5, "b"), (10, "c")))
    assert [(each.before.id, each.after.id, each.weight) for each in found] == [("a", "b", 1), ("b", "c", 1)]
    assert [each.at for each in found] == [NOW + timedelta(minutes=minute) for minute in (5, 10)]


def test_the_order_is_that_of_time() -> None:
    assert transitions(steps((5, "b"), (0, "a"))) == transitions(steps((0, "a"), (5, "b")))


def test_half_an_hour_later_something_else_begins() -> None:
    assert transitions(steps((0, "a"), (30, "b"), (90, "c"))) == []
    assert len(transitions(steps((0, "a"), (29.9, "b")))) == 1
    assert timedelta(minutes=30) == WITHIN


def test_several_keys_of_a_step_share_the_weight() -> None:
    found = {(each.before.id, each.after.id): each.weight for each in transitions(steps((0, "ab"), (1, "cda")))}
    assert found == dict.fromkeys([("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("b", "a")], 1 / 6)


@given(
    st.lists(
        st.tuples(st.floats(0, 300), st.text("abcd", max_size=5)),
        max_size=12,
    )
)
def test_one_pair_of_steps_weighs_one_at_most_and_nothing_follows_itself(read: list[tuple[float, str]]) -> None:
    found = transitions(steps(*read))
    assert math.fsum(each.weight for each in found) <= max(len(read) - 1, 0) + 1e-9
    assert all(each.before != each.after and 0 < each.weight <= 1 for each in found)


def test_an_empty_step_follows_nothing() -> None:
    assert transitions(steps((0, "a"), (1, ""), (2, "b"))) == []
    assert transitions([]) == []


# Followers, counted.


def test_weights_halve_with_the_half_life() -> None:
    known = [Follower(key("a"), 4.0, days_ago(2 * HALF_LIFE_DAYS))]
    found = followed(known, [(key("b"), 1.0, NOW), (key("a"), 2.0, days_ago(HALF_LIFE_DAYS))])
    assert [each.key.id for each in found] == ["a", "b"]
    assert [each.weight for each in found] == pytest.approx([2.0, 1.0])
    assert {each.at for each in found} == {NOW}


def test_nothing_seen_changes_nothing() -> None:
    known = [Follower(key("a"), 4.0, NOW), Follower(key("b"), 3.0, NOW)]
    assert followed(known, []) == known
    assert followed([], []) == []


@given(known=FOLLOWERS, seen=st.lists(SEEN, max_size=40), shuffled=st.randoms())
def test_the_order_of_what_was_seen_does_not_matter(
    known: list[Follower], seen: list[tuple[Key, float, datetime]], shuffled: random.Random
) -> None:
    other = list(seen)
    shuffled.shuffle(other)
    assert followed(known, other) == followed(known, seen)


@given(known=FOLLOWERS, seen=st.lists(SEEN, max_size=40))
def test_the_heaviest_few_are_kept(known: list[Follower], seen: list[tuple[Key, float, datetime]]) -> None:
    found = followed(known, seen)
    weights = [each.weight for each in found]
    assert len(found) <= KEPT
    assert len({each.key for each in found}) == len(found)
    assert weights == sorted(weights, reverse=True)
    assert all(weight >= NEGLIGIBLE for weight in weights)
    assert followed(found, []) == found


@given(
    one=st.lists(st.tuples(st.sampled_from("abcd").map(key), st.floats(1, 100), st.floats(0, 50).map(days_ago))),
    other=st.lists(st.tuples(st.sampled_from("efgh").map(key), st.floats(1, 100), st.floats(0, 50).map(days_ago))),
)
def test_in_two_batches_as_in_one_where_nothing_is_dropped(
    one: list[tuple[Key, float, datetime]], other: list[tuple[Key, float, datetime]]
) -> None:
    at_once = {each.key: each.weight for each in followed([], one + other)}
    in_two = {each.key: each.weight for each in followed(followed([], one), other)}
    assert in_two == pytest.approx(at_once)


def test_what_hardly_counts_any_more_is_dropped() -> None:
    assert followed([Follower(key("a"), 1.0, days_ago(20 * HALF_LIFE_DAYS))], [(key("b"), 1.0, NOW)]) == [
        Follower(key("b"), 1.0, NOW)
    ]


# What comes next.


def test_the_chain_is_walked() -> None:
    chain = {key("a"): [Follower(key("b"), 3.0, NOW)], key("b"): [Follower(key("c"), 1.0, NOW)]}
    assert likely([(key("a"), 1.0)], chain, NOW) == pytest.approx({key("b"): 0.75, key("c"): 0.375})
    assert likely([(key("a"), 1.0)], chain, NOW, depth=1) == pytest.approx({key("b"): 0.75})
    assert likely([(key("a"), 1.0)], chain, days_ago(-HALF_LIFE_DAYS), depth=1) == pytest.approx({key("b"): 0.6})


def test_nothing_is_known_of_what_was_never_followed() -> None:
    assert likely([(key("a"), 1.0)], {}, NOW) == {}
    assert likely([], {key("a"): [Follower(key("b"), 3.0, NOW)]}, NOW) == {}


@given(recent=RECENT, chains=CHAINS, depth=st.integers(0, 5))
def test_chances_are_between_0_and_1_and_grow_with_the_depth(
    recent: Sequence[tuple[Key, float]], chains: dict[Key, list[Follower]], depth: int
) -> None:
    found = likely(recent, chains, NOW, depth)
    further = likely(recent, chains, NOW, depth + 1)
    assert all(0 < chance <= 1 for chance in found.values())
    assert all(further[each] >= chance - 1e-12 for each, chance in found.items())
    assert list(found.values()) == sorted(found.values(), reverse=True)


@given(recent=RECENT, chains=CHAINS)
def test_the_chances_of_one_step_are_at_most_those_of_what_was_read(
    recent: list[tuple[Key, float]], chains: dict[Key, list[Follower]]
) -> None:
    read = math.fsum(part for _, part in recent)
    assert math.fsum(likely(recent, chains, NOW, 1).values()) <= min(read, 1) + 1e-9


@given(recent=RECENT, chains=CHAINS, shuffled=st.randoms())
def test_the_order_of_what_was_read_does_not_matter(
    recent: list[tuple[Key, float]], chains: dict[Key, list[Follower]], shuffled: random.Random
) -> None:
    other = list(recent)
    shuffled.shuffle(other)
    assert likely(other, chains, NOW) == likely(recent, chains, NOW)


def test_a_sequence_that_was_read_often_is_foreseen() -> None:
    found = transitions(steps(*((10.0 * i, "abcd"[i % 4]) for i in range(40))))
    chains = {
        key(name): followed([], [(each.after, each.weight, each.at) for each in found if each.before == key(name)])
        for name in "abcd"
    }
    chances = likely([(key("a"), 1.0)], chains, NOW + timedelta(hours=7))
    assert [each.id for each in chances][:3] == ["b", "c", "d"]
    assert min(list(chances.values())[:3]) > 0.7
