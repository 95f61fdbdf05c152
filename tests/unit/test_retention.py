"""How well memories are remembered, and when they fade."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.model import MemoryType
from trinitas_tasks.policy.life import DEFAULT, Rules
from trinitas_tasks.policy.retention import (
    MAX_STABILITY_DAYS,
    fades_after_days,
    outlook,
    reason,
    retention,
    stability,
    strengthened,
)

KIND = st.sampled_from(list(MemoryType))
SHARE = st.floats(0, 1)
AGE = st.floats(0, 36_500)
DAYS = st.floats(0.01, 36_500)
GROWN = st.none() | DAYS


@given(ages=st.tuples(AGE, AGE), effective=DAYS)
def test_what_is_unused_for_longer_is_never_remembered_better(ages: tuple[float, float], effective: float) -> None:
    assert 0 <= retention(max(ages), effective) <= retention(min(ages), effective) <= 1


@given(kind=KIND, scores=st.tuples(SHARE, SHARE), grown=GROWN, age=AGE)
def test_the_more_important_is_never_remembered_worse(
    kind: MemoryType, scores: tuple[float, float], grown: float | None, age: float
) -> None:
    less, more = (stability(kind, score, grown, DEFAULT) for score in sorted(scores))
    assert less <= more <= less * 4 * (1 + 1e-9)
    assert retention(age, less) <= retention(age, more)
    assert fades_after_days(kind, min(scores), grown, DEFAULT) <= fades_after_days(kind, max(scores), grown, DEFAULT)


@given(days=DAYS, gaps=st.tuples(AGE, AGE))
def test_an_access_never_weakens_and_adds_the_more_the_later_it_comes(days: float, gaps: tuple[float, float]) -> None:
    soon, late = (strengthened(days, gap) for gap in sorted(gaps))
    assert days <= soon <= late <= 2 * days
    assert late <= max(days, MAX_STABILITY_DAYS)


@given(days=DAYS, gap=st.floats(-36_500, 0), times=st.integers(1, 5))
def test_reading_again_at_once_changes_nothing(days: float, gap: float, times: int) -> None:
    grown = days
    for _ in range(times):
        grown = strengthened(grown, gap)
    assert grown == days


def test_spaced_accesses_beat_massed_ones() -> None:
    massed = spaced = 14.0
    for _ in range(5):
        massed, spaced = strengthened(massed, 0.01), strengthened(spaced, 7)
    assert massed == pytest.approx(14.05)
    assert spaced == pytest.approx(49)


def test_ten_years_are_enough() -> None:
    grown = 14.0
    for _ in range(50):
        grown = strengthened(grown, 10_000)
    assert grown == MAX_STABILITY_DAYS
    assert strengthened(20_000, 20_000) == 20_000


@given(kind=KIND, score=SHARE, grown=GROWN, below=st.floats(0.001, 0.999))
def test_a_memory_fades_when_it_is_said_to(kind: MemoryType, score: float, grown: float | None, below: float) -> None:
    rules = Rules(forget_below=below)
    effective, after = stability(kind, score, grown, rules), fades_after_days(kind, score, grown, rules)
    assert retention(after, effective) == pytest.approx(below)
    assert retention(after * 1.01, effective) < below < retention(after * 0.99, effective)


def test_the_middling_memory_of_a_type_has_its_stability() -> None:
    for kind in MemoryType:
        assert stability(kind, 0.5, None, DEFAULT) == DEFAULT.stability_days[kind]
        assert stability(kind, 1.0, 10.0, DEFAULT) == 20
        assert stability(kind, 0.0, 10.0, DEFAULT) == 5


@given(kind=KIND, score=SHARE, grown=GROWN)
def test_never_and_at_once(kind: MemoryType, score: float, grown: float | None) -> None:
    assert fades_after_days(kind, score, grown, Rules(forget_below=0)) == math.inf
    assert fades_after_days(kind, score, grown, Rules(forget_below=1)) == 0


def test_a_stability_of_next_to_nothing_is_no_division_by_zero() -> None:
    shortest = stability(MemoryType.WORKING, 0.0, 5e-324, DEFAULT)
    assert retention(1, shortest) == 0
    assert retention(0, shortest) == 1


@pytest.mark.parametrize(
    ("unused", "effective", "told"),
    [
        (41, 16, "retention 0.08 after 41 days unused (stability 16 days)"),
        (1, 1.5, "retention 0.51 after 1 day unused (stability 1.5 days)"),
        (0.25, 0.125, "retention 0.14 after 6 hours unused (stability 3 hours)"),
        (-3, 2, "retention 1.00 after 0 hours unused (stability 2 days)"),
    ],
)
def test_people_are_told_why(unused: float, effective: float, told: str) -> None:
    assert reason(unused, effective) == told


NOW = datetime(2026, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "unused", "importance", "expected"),
    [
        (MemoryType.EPISODIC, 6, 0.5, (False, False)),
        (MemoryType.EPISODIC, 8, 1.0, (True, False)),
        (MemoryType.EPISODIC, 400, 0.5, (True, True)),
        (MemoryType.SEMANTIC, 270, 0.5, (False, False)),
        (MemoryType.SEMANTIC, 280, 0.5, (True, False)),
        (MemoryType.SEMANTIC, 280, 1.0, (False, False)),
        (MemoryType.SEMANTIC, 4000, 0.5, (True, False)),
        (MemoryType.PROCEDURAL, 840, 0.5, (False, False)),
        (MemoryType.PROCEDURAL, 850, 0.5, (True, False)),
        (MemoryType.WORKING, 5, 0.5, (True, False)),
    ],
)
def test_what_awaits_a_memory_from_elsewhere_is_foreseen(
    kind: MemoryType, unused: float, importance: float, expected: tuple[bool, bool]
) -> None:
    """The figures are those of docs/migration.md."""
    rules = Rules(delete_after_days={MemoryType.EPISODIC: 365})
    used = NOW - timedelta(days=unused)
    item = memory(type=kind, importance=importance, timestamp=used - timedelta(days=9), last_access=used)
    assert outlook(item, rules, NOW) == expected
