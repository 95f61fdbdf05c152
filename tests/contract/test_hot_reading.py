"""What every hot tier promises about scopes, accesses, cached answers and counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.contract.benches import Bench, archive_all, benches, put
from tests.support import key_of, memory
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.hot.interface import Access, Finished, Gone, HotTier

A_B = memory("of a-b", persona="a-b", id="c")
NEIGHBOURS = [
    A_B,
    memory("of a", persona="a", id="c"),
    memory("colon", persona="a", id="b:c"),
    memory("slash", persona="a", id="b/c:rec/../a-b:c"),
    memory("capital", persona="A", id="c"),
    memory("outbox", persona="outbox", id="gen:pending"),
]


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def read(hot: HotTier, item: MemoryItem, *, touch: bool = False) -> MemoryItem | None:
    record = hot.read(item.persona, [item.id], touch=touch)[0]
    return record.item if isinstance(record, Record) else None


def taken_accesses(hot: HotTier, limit: int) -> list[Access]:
    noted = hot.noted(limit)
    hot.settled(noted.batch)
    return list(noted.accesses)


# Scopes.


def test_nobody_reads_what_a_neighbour_owns(hot: HotTier) -> None:
    for item in NEIGHBOURS:
        assert read(hot, item) is None
        put(hot, item)
        assert read(hot, item) == item
    assert [read(hot, item) for item in NEIGHBOURS] == NEIGHBOURS
    assert {each.key for each in hot.claim(100, 30)} == {key_of(item) for item in NEIGHBOURS}


def test_pending_names_only_the_personas_own(hot: HotTier) -> None:
    put(hot, *NEIGHBOURS)
    assert [each.item for each in hot.pending("a-b", 10)] == [A_B]
    assert {each.item.id for each in hot.pending("a", 10)} == {"c", "b:c", "b/c:rec/../a-b:c"}
    assert hot.pending("b", 10) == []


def test_forgetting_and_finishing_reach_nobody_else(hot: HotTier) -> None:
    put(hot, *NEIGHBOURS)
    hot.forget([key_of(A_B)])
    assert [read(hot, item) for item in NEIGHBOURS] == [None, *NEIGHBOURS[1:]]
    mine = next(each for each in hot.claim(100, 30) if each.key == Key("a", "b:c"))
    assert hot.finish([Finished(mine.key, mine.version, 100)]) == [True]
    assert [hot.unarchived(key_of(item)) for item in NEIGHBOURS] == [False, True, False, True, True, True]
    assert [grave.key for grave in hot.claim_graves(10, 30)] == [key_of(A_B)]


def test_a_write_ends_the_answers_of_its_persona_only(hot: HotTier) -> None:
    for persona in ("a", "a-b"):
        hot.cache_answer(persona, hot.probe(persona, "q").generation, "q", persona.encode(), 100)
    put(hot, A_B)
    assert hot.probe("a", "q").cached == b"a"
    assert hot.probe("a-b", "q").cached is None


def test_counts_are_the_personas_own_but_for_the_outbox(hot: HotTier, bench: Bench) -> None:
    put(hot, A_B)
    bench.advance(30)
    put(hot, *NEIGHBOURS[1:])
    hot.forget([Key("a", "c")])
    stats = hot.stats("a-b")
    assert (stats.outbox, stats.graves, stats.pending) == (5, 1, 1)
    assert stats.lag_seconds >= 30
    assert hot.stats("a").pending == 2
    assert hot.stats("a").lag_seconds < 30
    nobody = hot.stats("nobody")
    assert (nobody.pending, nobody.lag_seconds) == (0, 0.0)


# Accesses.


def test_only_a_touching_read_counts(hot: HotTier) -> None:
    item = memory()
    put(hot, item)
    assert hot.read("athena", ["m1"], touch=False) == hot.read("athena", ["m1"], touch=False)
    first, second = read(hot, item, touch=True), read(hot, item, touch=True)
    assert first is not None
    assert second is not None
    assert (first.access_count, second.access_count) == (1, 2)
    assert item.timestamp < first.last_access <= second.last_access
    assert read(hot, item) == second


def test_accesses_are_taken_once_and_still_counted(hot: HotTier) -> None:
    for item in NEIGHBOURS[:3]:
        put(hot, item)
        read(hot, item, touch=True)
    last = read(hot, A_B, touch=True)
    assert last is not None
    taken = taken_accesses(hot, 1) + taken_accesses(hot, 10)
    assert taken_accesses(hot, 10) == []
    assert Access(key_of(A_B), 2, last.last_access) in taken
    assert {(each.key, each.count) for each in taken} == {
        (key_of(A_B), 2), (key_of(NEIGHBOURS[1]), 1), (key_of(NEIGHBOURS[2]), 1),
    }  # fmt: skip
    assert read(hot, A_B) == last
    again = read(hot, A_B, touch=True)
    assert again is not None
    assert again.access_count == 3
    assert [each.count for each in taken_accesses(hot, 10)] == [1]


def test_a_copy_goes_on_counting_where_the_archive_stopped(hot: HotTier) -> None:
    seen = datetime(1969, 7, 20, 20, 17, 40, 123456, UTC)
    copy = memory(access_count=41, last_access=seen)
    hot.refill([(Record(copy, 7), 100)])
    kept = read(hot, copy)
    assert kept is not None
    assert (kept.access_count, kept.last_access) == (41, seen)
    touched = read(hot, copy, touch=True)
    assert touched is not None
    assert touched.access_count == 42
    assert [each.count for each in taken_accesses(hot, 10)] == [1]


def test_what_is_not_there_or_was_forgotten_is_not_counted(hot: HotTier) -> None:
    put(hot, memory())
    hot.forget([Key("athena", "m1")])
    assert isinstance(hot.read("athena", ["m1"], touch=True)[0], Gone)
    assert hot.read("athena", ["nobody"], touch=True) == [None]
    assert taken_accesses(hot, 10) == []


# Cached answers and vectors.


def test_an_answer_is_given_until_anything_changes(hot: HotTier, bench: Bench) -> None:
    def cached_again() -> bool:
        before = hot.probe("athena", "q").cached
        hot.cache_answer("athena", hot.probe("athena", "q").generation, "q", b"answer", 100)
        assert hot.probe("athena", "q").cached == b"answer"
        assert hot.probe("athena", "another").cached is None
        return before is not None

    assert not cached_again()
    assert cached_again()
    put(hot, memory())
    assert not cached_again()
    put(hot, memory())
    assert cached_again()
    archive_all(hot)
    assert not cached_again()
    hot.changed(["athena", "hera"])
    assert not cached_again()
    hot.forget([Key("athena", "m1")])
    assert not cached_again()
    bench.advance(101)
    assert not cached_again()


def test_an_answer_that_comes_late_is_not_given(hot: HotTier) -> None:
    generation = hot.probe("athena", "q").generation
    put(hot, memory())
    hot.cache_answer("athena", generation, "q", b"stale", 100)
    assert hot.probe("athena", "q").cached is None


def test_query_vectors_are_kept_byte_for_byte_for_their_time(hot: HotTier, bench: Bench) -> None:
    vector = bytes(range(256))
    assert hot.cached_vector("v") is None
    hot.cache_vector("v", vector, 100)
    assert hot.cached_vector("v") == vector
    bench.advance(101)
    assert hot.cached_vector("v") is None


# What is due.


def test_pending_gives_the_newest_first(hot: HotTier, bench: Bench) -> None:
    for name in ("1", "2", "3"):
        put(hot, memory(name, id=name))
        bench.advance(1)
    put(hot, memory("replaced", id="1"))
    assert [each.item.content for each in hot.pending("athena", 2)] == ["replaced", "3"]
    archive_all(hot)
    assert hot.pending("athena", 10) == []


def test_something_is_due_only_while_it_waits(hot: HotTier) -> None:
    assert not hot.due()
    put(hot, memory())
    assert hot.due()
    archive_all(hot)
    assert not hot.due()
    hot.forget([Key("athena", "m1")])
    assert hot.due()
    hot.bury(hot.claim_graves(10, 30))
    assert not hot.due()


def test_a_burst_of_writes_nudges_once_until_somebody_claims(hot: HotTier, bench: Bench) -> None:
    assert put(hot, memory(id="1")).nudge
    assert not put(hot, memory(id="2")).nudge
    assert not hot.forget([Key("athena", "1")]).nudge
    hot.claim(10, 30)
    assert put(hot, memory(id="3"), memory(id="4")).nudge
    assert not put(hot, memory(id="5")).nudge
    bench.advance(2)
    assert hot.forget([Key("athena", "5")]).nudge
    bench.advance(2)
    assert not put(hot, memory(id="4")).nudge


# Notes.


def test_a_note_is_kept_for_its_time_or_until_it_is_taken_away(hot: HotTier, bench: Bench) -> None:
    assert hot.notes() == {}
    hot.note("ingest@a:1", "chroma is away: no answer\nin time 🦊", 100)
    hot.note("", "", 10)
    assert hot.notes() == {"ingest@a:1": "chroma is away: no answer\nin time 🦊", "": ""}
    bench.advance(11)
    assert set(hot.notes()) == {"ingest@a:1"}
    hot.note("ingest@a:1", "another", 100)
    bench.advance(98)
    assert hot.notes() == {"ingest@a:1": "another"}
    hot.note("ingest@a:1", None, 100)
    hot.note("nobody", None, 100)
    assert hot.notes() == {}


def test_a_tier_that_answers_says_so(hot: HotTier) -> None:
    hot.ping()
