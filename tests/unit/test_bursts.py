"""Which counts and shares of an hour are unusual."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trinitas_tasks.policy.bursts import MIN_HOURS, dropped, severity, unusual

COUNT = st.integers(0, 10**6)
HOURS = st.lists(COUNT, min_size=MIN_HOURS, max_size=72)
ASKED = st.integers(0, 10**5)


@st.composite
def hours_of_searches(draw: st.DrawFn) -> list[tuple[int, int]]:
    asked = draw(st.lists(ASKED, max_size=48))
    return [(draw(st.integers(0, each)), each) for each in asked]


def poisson(mean: float, rng: random.Random) -> int:
    """Knuth's method; the mean is small."""
    least, product, count = math.exp(-mean), rng.random(), 0
    while product > least:
        product *= rng.random()
        count += 1
    return count


@given(counts=st.tuples(COUNT, COUNT), before=HOURS)
def test_more_is_never_less_unusual(counts: tuple[int, int], before: list[int]) -> None:
    less, more = (unusual(count, before) for count in sorted(counts))
    assert less <= more
    assert math.isfinite(less)
    assert math.isfinite(more)


@given(count=COUNT, hours=st.integers(0, 100))
def test_what_was_always_so_is_not_unusual(count: int, hours: int) -> None:
    assert unusual(count, [count] * hours) == pytest.approx(0, abs=1e-6)


@given(before=HOURS, shuffled=st.randoms())
def test_the_order_of_the_hours_does_not_matter(before: list[int], shuffled: random.Random) -> None:
    other = list(before)
    shuffled.shuffle(other)
    assert unusual(7, other) == pytest.approx(unusual(7, before))


@given(count=COUNT, before=st.lists(COUNT, max_size=MIN_HOURS - 1))
def test_nothing_is_unusual_at_the_beginning(count: int, before: list[int]) -> None:
    assert unusual(count, before) == 0


@pytest.mark.parametrize("mean", [0.2, 3, 40, 300])
def test_a_steady_load_is_no_alarm(mean: float) -> None:
    rng = random.Random(7)
    load = [poisson(mean, rng) for _ in range(3000)]
    alarms = sum(severity(unusual(load[i], load[i - 48 : i])) is not None for i in range(48, len(load)))
    assert alarms <= 5


@given(usual=st.integers(5, 10_000), hours=st.integers(MIN_HOURS, 100))
def test_ten_times_as_much_is_an_alarm(usual: int, hours: int) -> None:
    assert severity(unusual(10 * usual, [usual] * hours)) in ("warning", "critical")


def test_load_that_comes_in_waves_must_rise_higher() -> None:
    steady, waves = [50] * 48, [5, 95] * 24
    assert severity(unusual(120, steady)) == "critical"
    assert severity(unusual(120, waves)) is None
    assert severity(unusual(1000, waves)) is not None


def test_a_few_after_a_silence_are_no_alarm() -> None:
    assert severity(unusual(3, [0] * 48)) is None
    assert severity(unusual(100, [0] * 48)) == "critical"


# Searches without a hit.


@given(asked=st.integers(0, 10**5), data=st.data(), before=hours_of_searches())
def test_more_searches_without_a_hit_are_never_less_unusual(
    asked: int, data: st.DataObject, before: list[tuple[int, int]]
) -> None:
    one, other = data.draw(st.integers(0, asked)), data.draw(st.integers(0, asked))
    less, more = (dropped(empty, asked, before) for empty in sorted((one, other)))
    assert math.isfinite(less)
    assert less <= more + 1e-9 * abs(more)


@pytest.mark.parametrize(
    ("empty", "asked", "before", "told"),
    [
        (60, 100, [(5, 100)] * 24, "critical"),
        (5, 100, [(5, 100)] * 24, None),
        (0, 100, [(5, 100)] * 24, None),
        (1, 1, [(0, 100)] * 24, None),
        (0, 0, [(5, 100)] * 24, None),
        (9, 10, [], None),
        (9, 10, [(0, 0)] * 24, None),
        (60, 100, [(5, 100), (60, 100)] * 12, None),
    ],
)
def test_a_sudden_rise_is_told(empty: int, asked: int, before: Sequence[tuple[int, int]], told: str | None) -> None:
    assert severity(dropped(empty, asked, before)) == told


def test_steady_searches_are_no_alarm() -> None:
    rng = random.Random(11)
    hours = [(sum(rng.random() < 0.1 for _ in range(80)), 80) for _ in range(600)]
    alarms = sum(severity(dropped(*hours[i], hours[i - 48 : i])) is not None for i in range(48, len(hours)))
    assert alarms <= 3


@given(z=st.floats(-1e6, 1e6), more=st.floats(0, 1e6))
def test_what_is_more_unusual_is_never_told_less_loudly(z: float, more: float) -> None:
    order = [None, "info", "warning", "critical"]
    assert order.index(severity(z)) <= order.index(severity(z + more))
