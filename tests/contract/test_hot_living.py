"""What every hot tier promises about what it notes while memories are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.benches import Bench, archive_all, benches, get, put
from tests.support import key_of, memory
from trinitas_tasks.errors import Overloaded
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.hot import memory_living, redis_living
from trinitas_tasks.tiers.hot.interface import HotTier, Noted, Said, Signal

ITEM = memory()
KEY = key_of(ITEM)
AT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def signal(memory_id: str, said: Said = Said.USEFUL) -> Signal:
    return Signal(Key("athena", memory_id), "hera", said, AT)


def read(hot: HotTier, *ids: str, persona: str = "athena") -> None:
    hot.read(persona, ids, touch=True)


# Batches.


def test_a_batch_is_the_same_until_it_is_settled(hot: HotTier) -> None:
    put(hot, ITEM)
    read(hot, "m1")
    hot.say([signal("m1")])
    first = hot.noted(10)
    assert first.batch > 0
    read(hot, "m1")
    hot.say([signal("m1", Said.PIN)])
    assert hot.noted(10) == first
    hot.settled(first.batch - 1)
    assert hot.noted(10) == first
    hot.settled(first.batch)
    second = hot.noted(10)
    assert second.batch > first.batch
    assert [each.count for each in first.accesses + second.accesses] == [1, 1]
    assert first.signals + second.signals == (signal("m1"), signal("m1", Said.PIN))
    hot.settled(first.batch)
    assert hot.noted(10) == second
    hot.settled(second.batch)
    assert hot.noted(10) == Noted(0)


def test_what_is_postponed_comes_in_a_later_batch_and_once(hot: HotTier) -> None:
    said = [signal(f"m{number}") for number in range(4)]
    hot.postpone(said)
    hot.say(said[:3])
    first = hot.noted(10)
    hot.say(said[3:])
    for _ in range(2):  # whoever does so may be broken off, and does it again
        hot.postpone([said[2], said[0], said[3]])
        assert hot.noted(10) == replace(first, signals=(said[1],))
    hot.settled(first.batch)
    later = hot.noted(10)
    assert sorted(later.signals) == [said[0], said[2], said[3]]
    hot.postpone(later.signals)
    assert hot.noted(10) == Noted(later.batch)
    hot.settled(later.batch)
    assert sorted(hot.noted(10).signals) == [said[0], said[2], said[3]]


def test_what_is_not_settled_is_listed_in_a_batch_or_not(hot: HotTier) -> None:
    put(hot, ITEM)
    assert hot.unsettled() == []
    said = [signal("m1"), signal("m2", Said.PIN), signal("m1", Said.UNPIN)]
    hot.say(said[:1])
    batch = hot.noted(10).batch
    hot.say(said[1:])
    assert hot.unsettled() == said
    hot.forget([Key("athena", "m2")])
    assert hot.unsettled() == [said[0], said[2]]
    hot.settled(batch)
    assert hot.unsettled() == [said[2]]


def test_numbers_of_batches_grow_with_the_versions(hot: HotTier) -> None:
    version = put(hot, ITEM).version
    hot.advance(version + 10**12)
    read(hot, "m1")
    noted = hot.noted(10)
    assert noted.batch > version + 10**12
    assert put(hot, memory("replaced")).version > noted.batch


def test_a_batch_has_no_more_than_asked_for(hot: HotTier) -> None:
    put(hot, *(memory(id=f"m{number}") for number in range(5)))
    for number in range(5):
        read(hot, f"m{number}")
    hot.say([signal(f"m{number}") for number in range(5)])
    batches = []
    while (noted := hot.noted(2)).batch:
        hot.settled(noted.batch)
        batches.append(noted)
    assert [[len(each.accesses), len(each.steps), len(each.signals)] for each in batches] == [[2] * 3, [2] * 3, [1] * 3]
    assert [each for noted in batches for each in noted.signals] == [signal(f"m{number}") for number in range(5)]
    assert [each.keys[0].id for noted in batches for each in noted.steps] == [f"m{number}" for number in range(5)]
    assert {each.key.id for noted in batches for each in noted.accesses} == {f"m{number}" for number in range(5)}


@pytest.mark.parametrize("seconds", [100, 0])
def test_reads_of_what_has_left_are_not_lost(hot: HotTier, bench: Bench, seconds: int) -> None:
    put(hot, ITEM)
    read(hot, "m1")
    read(hot, "m1")
    archive_all(hot, seconds)
    bench.advance(101)
    assert get(hot, ITEM) is None
    hot.refill([(Record(memory(access_count=40), 7), 100)])
    found = hot.read("athena", ["m1"], touch=True)[0]
    assert isinstance(found, Record)
    assert found.item.access_count == 43
    assert [(each.key, each.count) for each in hot.noted(10).accesses] == [(KEY, 3)]


def test_reads_of_what_was_replaced_count(hot: HotTier) -> None:
    put(hot, ITEM)
    read(hot, "m1")
    put(hot, memory("replaced"))
    assert [each.count for each in hot.noted(10).accesses] == [1]


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_told_of_what_was_forgotten(hot: HotTier, *, in_batch: bool, again: bool) -> None:
    other = memory(id="other")
    put(hot, ITEM, other)
    read(hot, "m1", "other")
    read(hot, "m1")
    hot.say([signal("m1"), signal("other")])
    if in_batch:
        hot.noted(10)
    hot.forget([KEY])
    hot.say([signal("m1", Said.PIN)])
    if again:
        put(hot, ITEM)
    noted = hot.noted(10)
    assert [(each.key.id, each.count) for each in noted.accesses] == [("other", 1)]
    assert [each.keys for each in noted.steps] == [(key_of(other),)]
    assert noted.signals == (signal("other"),)
    hot.settled(noted.batch)
    if again:
        read(hot, "m1")
        hot.say([signal("m1")])
        noted = hot.noted(10)
        assert ([each.count for each in noted.accesses], len(noted.steps), len(noted.signals)) == ([1], 1, 1)


# Trails.


def test_one_call_is_one_step_of_the_first_that_were_found(hot: HotTier) -> None:
    put(hot, *(memory(id=f"m{number}") for number in range(5)))
    read(hot, "nobody", "m4", "m0", "m1", "m2", "m3")
    read(hot, "nobody")
    hot.read("athena", ["m1"], touch=False)
    read(hot, "m3")
    steps = hot.noted(10).steps
    assert [[each.id for each in step.keys] for step in steps] == [["m4", "m0", "m1"], ["m3"]]
    assert [each.persona for each in steps] == ["athena", "athena"]
    assert steps[0].at < steps[1].at


def test_a_trail_is_that_of_who_reads(hot: HotTier) -> None:
    put(hot, ITEM)
    hot.share(KEY, ["hera"])
    hot.read_scoped("zeus", [KEY], touch=True)
    hot.read_scoped("hera", [KEY], touch=True)
    read(hot, "m1")
    assert [(each.persona, each.keys) for each in hot.noted(10).steps] == [("athena", (KEY,)), ("hera", (KEY,))]


def test_of_a_long_trail_the_end_is_kept(hot: HotTier) -> None:
    put(hot, memory(id="first"), ITEM)
    read(hot, "first")
    for _ in range(1000):
        read(hot, "m1")
    steps = hot.noted(2000).steps
    assert (len(steps), {each.keys for each in steps}) == (1000, {(KEY,)})


# Signals.


def test_signals_keep_their_order_and_say_who_said_what(hot: HotTier) -> None:
    said = [Signal(Key("a-b", "x:/1"), "a", each, AT + timedelta(seconds=number)) for number, each in enumerate(Said)]
    hot.say(said[:2])
    hot.say(said[2:])
    assert hot.noted(10).signals == tuple(said)


def test_too_many_signals_are_refused(hot: HotTier, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory_living, redis_living):
        monkeypatch.setattr(module, "SIGNALS_LIMIT", 3)
    hot.say([signal("m1")] * 2)
    noted = hot.noted(1)
    with pytest.raises(Overloaded, match="signals wait"):
        hot.say([signal("m2")] * 2)
    hot.say([signal("m3")])
    hot.settled(noted.batch)
    hot.say([signal("m4")])
    assert [each.key.id for each in hot.noted(10).signals] == ["m1", "m3", "m4"]


def test_what_is_said_is_above_what_the_caller_has_seen(hot: HotTier) -> None:
    above = put(hot, ITEM).version + 10**12
    hot.say([signal("m1")], above=above)
    assert hot.noted(10).batch > above


# Leases.


def test_a_lease_is_one_holders_until_it_ends(hot: HotTier, bench: Bench) -> None:
    token = hot.lease("score", 100)
    assert token is not None
    assert hot.lease("score", 100) is None
    assert hot.lease("another", 100) not in (None, token)
    hot.release("score", "guessed")
    assert hot.lease("score", 100) is None
    hot.release("score", token)
    late = hot.lease("score", 100)
    assert late is not None
    hot.release("score", token)
    bench.advance(99)
    assert hot.lease("score", 100) is None
    bench.advance(2)
    assert hot.lease("score", 100) is not None
    hot.release("score", late)
    assert hot.lease("score", 100) is None


# Searches.


def test_searches_are_counted_by_persona(hot: HotTier) -> None:
    assert hot.searches() == []
    hot.searched("hera", 0.25, 0, "where is 🦊: it?")
    hot.searched("athena", 1.5, 3, "x" * 500)
    hot.searched("athena", 20.0, 0, "slow")
    athena, hera = hot.searches()
    assert (athena.persona, athena.asked, athena.empty, athena.total_ms) == ("athena", 2, 1, 21.5)
    assert athena.slowest == ((20.0, "slow"), (1.5, "x" * 200))
    assert (hera.asked, hera.empty, hera.total_ms, hera.slowest) == (1, 1, 0.25, ((0.25, "where is 🦊: it?"),))


def test_of_slow_searches_the_slowest_of_a_day_are_told(hot: HotTier, bench: Bench) -> None:
    for number in range(30):
        hot.searched("athena", float(number), 1, "the same")
    assert [millis for millis, _ in hot.searches()[0].slowest] == [float(number) for number in range(29, 9, -1)]
    bench.advance(100_000)
    hot.searched("athena", 1.0, 1, "today")
    found = hot.searches()[0]
    assert (found.asked, found.slowest) == (31, ((1.0, "today"),))
