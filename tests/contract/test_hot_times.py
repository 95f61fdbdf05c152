"""What every hot tier promises of memories that are not archived yet, in the order of their times."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.benches import Bench, RedisBench, archive_all, benches, put, version_of
from tests.support import Valkey, key_of, memory
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy.chronology import BEGINNING, END, Place, Span
from trinitas_tasks.tiers.hot.interface import HotTier, Write
from trinitas_tasks.tiers.hot.redis import RedisHotTier

T0 = datetime(2026, 5, 1, tzinfo=UTC)
ALL = Span()
MICROSECOND = timedelta(microseconds=1)
NAMES = ("a", "a:b", "A", "a.0", "b", "0", "z" * 128)
"""In which order they come is told by their bytes alone."""
EXTREMES = (
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    T0,
    T0 + MICROSECOND,
    datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
)


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def at(n: int, **fields: Any) -> MemoryItem:
    return memory(**{"content": f"fact {n}", "timestamp": T0 + n * MICROSECOND, "id": f"m{n}", **fields})


def found(hot: HotTier, span: Span = ALL, limit: int = 100, persona: str = "athena") -> list[str]:
    return [record.item.id for record in hot.waiting(persona, span, limit).records]


def test_what_is_not_archived_comes_in_the_order_of_its_time(hot: HotTier) -> None:
    put(hot, at(2), at(3), at(1), at(4, persona="hera"))
    assert found(hot) == ["m3", "m2", "m1"]
    assert found(hot, Span(newest_first=False)) == ["m1", "m2", "m3"]
    assert found(hot, persona="hera") == ["m4"]
    assert found(hot, persona="zeus") == []
    record = hot.waiting("athena", ALL, 1).records[0]
    assert (record.item, record.version) == (at(3), version_of(hot, at(3)))


def test_a_part_says_where_it_ends(hot: HotTier) -> None:
    put(hot, *map(at, range(5)))
    part = hot.waiting("athena", ALL, 2)
    assert part.end == Place.of(at(3))
    assert found(hot, ALL.beyond(part.end)) == ["m2", "m1", "m0"]
    assert hot.waiting("athena", ALL, 6).end is None
    upward = Span(newest_first=False).beyond(Place.of(at(3)))
    assert found(hot, upward) == ["m4"]


def test_to_look_is_no_access(hot: HotTier) -> None:
    put(hot, at(1))
    for _ in range(2):
        assert hot.waiting("athena", ALL, 1).records[0].item.access_count == 0
    assert hot.noted(10).accesses == ()


def test_it_moves_with_its_time_and_leaves_when_it_is_archived_or_forgotten(hot: HotTier) -> None:
    put(hot, at(1), at(2), at(3))
    put(hot, at(9, id="m1"))
    assert found(hot) == ["m1", "m3", "m2"]
    assert hot.replace(at(2, id="m1"), version_of(hot, at(1))).version
    assert found(hot) == ["m3", "m2", "m1"]
    hot.forget([key_of(at(3))])
    assert found(hot) == ["m2", "m1"]
    assert hot.waiting("athena", ALL, 3).end is None
    archive_all(hot)
    assert found(hot) == []
    hot.replace(at(5, id="m2"), version_of(hot, at(2)))
    assert found(hot) == ["m2"]


def test_what_is_to_be_archived_again_is_there_again(hot: HotTier) -> None:
    put(hot, at(1), at(2, content="long " * 2000))
    archive_all(hot)
    hot.requeue([(key_of(item), version_of(hot, item)) for item in (at(1), at(2))])
    assert found(hot) == ["m2", "m1"]
    assert len(hot.places([key_of(at(1)), key_of(at(2))])) == 2
    archive_all(hot)
    assert found(hot) == []
    hot.requeue([(key_of(at(1)), 7), (Key("athena", "nothing"), 7)])
    assert found(hot) == []


def test_replayed_writes_have_their_places(hot: HotTier) -> None:
    hot.write([Write(at(5), version=10), Write(at(3, id="m5"), version=9)])
    assert found(hot) == ["m5"]
    assert hot.places([key_of(at(5))]) == [Place.of(at(5))]


def test_places_are_those_of_what_is_not_archived(hot: HotTier) -> None:
    put(hot, at(1), at(2, persona="hera"))
    archive_all(hot)
    put(hot, at(3), at(4, persona="hera"))
    items = (at(1), at(2, persona="hera"), at(3), at(4, persona="hera"), at(5))
    assert sorted(hot.places(list(map(key_of, items)))) == sorted(map(Place.of, (items[2], items[3])))
    assert hot.places([]) == []


def test_many_places_are_looked_up(hot: HotTier) -> None:
    items = [at(n) for n in range(700)]
    put(hot, *items)
    assert len(hot.places([*map(key_of, items), Key("athena", "none")])) == 700


@pytest.mark.parametrize("newest_first", [True, False])
def test_all_times_and_names_are_in_order(hot: HotTier, newest_first: bool) -> None:
    items = [
        memory(id=f"{name[:120]}-{place}", timestamp=time)
        for place, (time, name) in enumerate(itertools.product(EXTREMES, NAMES))
    ]
    put(hot, *items)
    expected = sorted(map(Place.of, items), reverse=newest_first)
    span, got = Span(newest_first=newest_first), list[Place]()
    while part := hot.waiting("athena", span, 4).records:
        got += [Place.of(record.item) for record in part]
        span = span.beyond(got[-1])
    assert got == expected


PLACES = st.builds(
    Place, st.integers(-1, 3), st.sampled_from(["", "artemis", "athena", "hera"]), st.sampled_from(["", "a", "b", "c"])
) | st.sampled_from([BEGINNING, END])


@given(PLACES, PLACES, st.booleans(), st.integers(1, 5))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_span_holds_what_is_between_its_ends(
    bench: Bench, low: Place, high: Place, newest_first: bool, limit: int
) -> None:
    hot = bench.tier()
    items = [
        memory(id=id_, timestamp=datetime.fromtimestamp(0, UTC) + n * MICROSECOND)
        for n, id_ in enumerate(("b", "a", "c"))
    ]
    items += [memory(id="d", timestamp=items[1].timestamp)]
    put(hot, *items)
    span = Span(low, high, newest_first)
    expected = sorted((place for place in map(Place.of, items) if low < place < high), reverse=newest_first)[:limit]
    part = hot.waiting("athena", span, limit)
    assert [Place.of(record.item) for record in part.records] == expected
    assert part.end == (expected[-1] if len(expected) == limit else None)


def test_large_records_come_a_few_at_a_time(valkey: Valkey, namespace: str) -> None:
    made = RedisBench(valkey, namespace)
    hot = made.tier()
    chance = random.Random(7)
    put(hot, *(at(n, content=chance.randbytes(500_000).hex()) for n in range(12)))
    span, parts = ALL, list[list[str]]()
    while span.high > BEGINNING:
        part = hot.waiting("athena", span, 100)
        parts.append([record.item.id for record in part.records])
        span = span.beyond(part.end or BEGINNING)
    assert [name for names in parts for name in names] == [f"m{n}" for n in range(12)][::-1]
    assert len(parts) > 1
    made.close()


def test_a_record_that_cannot_be_read_does_not_end_the_timeline(valkey: Valkey, namespace: str) -> None:
    made = RedisBench(valkey, namespace)
    hot = made.tier()
    assert isinstance(hot, RedisHotTier)
    put(hot, at(1), at(2), at(3))
    made.client.hset(f"{namespace}:rec:athena:m3", "b", "broken")
    part = hot.waiting("athena", ALL, 1)
    assert part.records == []
    assert part.end == Place.of(at(3))
    assert found(hot, ALL.beyond(part.end)) == ["m2", "m1"]
    archive_all(hot)
    assert made.client.keys(f"{namespace}:times:*") == []
    made.close()
