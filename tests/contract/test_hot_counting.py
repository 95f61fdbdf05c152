"""What every hot tier counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.contract.benches import Bench, archive_all, benches, put
from tests.support import memory
from trinitas_tasks.model import Key, Record, utc_now
from trinitas_tasks.tiers.hot.interface import Counts, HotTier


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def test_nothing_is_nothing(hot: HotTier) -> None:
    assert hot.counts() == Counts(0, 0, 0.0, 0, 0, 0, 0, 0, 0)


def test_writes_are_counted_once_and_of_everybody(hot: HotTier) -> None:
    put(hot, memory(), memory(persona="hera"))
    put(hot, memory())  # the same call again
    put(hot, memory("said", id="m2"), said="said")
    put(hot, memory("said", id="m3"), said="said")  # within the window
    assert hot.counts().written == 3
    put(hot, memory("changed"))
    assert hot.counts().written == 4
    hot.replace(memory("replaced"), 1)  # not what stands there
    assert hot.counts().written == 4


def test_what_waits_is_counted_and_how_long_it_could_have_been_taken(bench: Bench, hot: HotTier) -> None:
    put(hot, memory(), memory(id="m2"))
    hot.forget([Key("athena", "gone")])
    assert (hot.counts().outbox, hot.counts().graves) == (2, 1)
    bench.advance(100)
    assert 100 <= hot.counts().overdue_seconds < 110
    hot.claim(10, 30)  # somebody is at it
    assert hot.counts().overdue_seconds == 0.0
    bench.advance(40)
    assert 10 <= hot.counts().overdue_seconds < 20
    archive_all(hot)
    assert (hot.counts().outbox, hot.counts().overdue_seconds) == (0, 0.0)


def test_reads_and_searches_of_all_are_counted_and_what_had_to_be_fetched(hot: HotTier) -> None:
    put(hot, memory(), memory(persona="hera"))
    hot.refill([(Record(memory(id="old", timestamp=utc_now() - timedelta(days=3)), 1), 100)])
    hot.read("athena", ["m1", "none"], touch=True)
    hot.read("hera", ["m1"], touch=True)
    hot.read("hera", ["m1"], touch=False)
    hot.read("athena", ["old"], touch=True)
    hot.searched("athena", 5.0, 0, "where?")
    hot.searched("hera", 5.0, 1, "who?")
    counts = hot.counts()
    assert (counts.read, counts.fetched, counts.searched, counts.written) == (3, 1, 2, 2)


def test_copies_are_counted(hot: HotTier) -> None:
    put(hot, memory("x" * 5000), memory("y" * 5000, id="m2"))
    archive_all(hot, seconds=100)
    counts = hot.counts()
    assert (counts.copies, counts.copies_bytes) == (2, hot.copies().bytes)
    assert counts.copies_bytes > 0
