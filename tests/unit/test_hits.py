"""That the hot tier finds most of what is read, and more than the plainest cache of its size: see benchmarks.hits."""

from __future__ import annotations

import math

import pytest

from benchmarks.caches import CACHE_SECONDS, Lru, Tiers, counted, rate_of, sizes_of
from benchmarks.hits import total_bytes
from benchmarks.readings import Readings, independent, sessions

PART = 0.5
"""Readings this short consist of first reads for a good part: they need more room than those of the benchmark."""
ZIPF = independent(300, 2, 1500, seed=1)
SESSIONS = sessions(500, 0.05, seed=1, scripts=3)


def lru(readings: Readings, seconds: float) -> float:
    return rate_of(counted(Lru(sizes_of(readings), total_bytes(readings) * PART, seconds), readings))


@pytest.mark.parametrize("warmed", [False, True], ids=["not warmed", "warmed"])
def test_most_independent_reads_are_hits_and_more_than_of_lru(*, warmed: bool) -> None:
    found = rate_of(counted(Tiers(ZIPF, total_bytes(ZIPF) * PART, warmed=warmed), ZIPF))
    assert found > 0.8
    assert found > lru(ZIPF, math.inf) >= lru(ZIPF, CACHE_SECONDS)


def test_foresight_finds_what_sessions_read_after_more_than_the_time_to_live() -> None:
    limit = total_bytes(SESSIONS) * PART
    plain, ahead, warmed = (
        rate_of(counted(Tiers(SESSIONS, limit, ahead=foreseen, warmed=filled), SESSIONS))
        for foreseen, filled in ((False, False), (True, False), (True, True))
    )
    assert plain < 0.5  # as LRU with this time to live
    assert ahead > 0.75
    assert warmed > 0.8


def test_a_longer_time_to_live_lets_sessions_be_found_without_foresight() -> None:
    limit = total_bytes(SESSIONS) * PART
    found = rate_of(counted(Tiers(SESSIONS, limit, ahead=False, warmed=False, seconds=86_400), SESSIONS))
    assert found > 0.8
