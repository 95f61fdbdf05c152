"""What every hot tier promises about the room that copies take, and for how long they stay."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate

import pytest

from tests.contract.benches import Bench, archive_all, benches, finished, get, put, standing
from tests.support import key_of, memory
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.hot.interface import Finished, HotTier, Reads
from trinitas_tasks.tiers.hot.rows import copy_bytes, member_of, pack

ITEM = memory()
KEY = key_of(ITEM)


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def size_of(item: MemoryItem) -> int:
    return copy_bytes(member_of(key_of(item)), pack(item.to_json()))


def room_for(*items: MemoryItem) -> float:
    """In MB."""
    return (sum(map(size_of, items)) + 1) / (1 << 20)


def touch(hot: HotTier, item: MemoryItem, times: int = 1) -> bool:
    return all(isinstance(hot.read(item.persona, [item.id], touch=True)[0], Record) for _ in range(times))


def refill(hot: HotTier, *items: MemoryItem, seconds: int = 100, asked: bool = True) -> None:
    hot.refill([(Record(each, 7), seconds) for each in items], asked=asked)


NAMED = [memory(id=f"n{number}") for number in range(4)]


def kept(hot: HotTier) -> list[str]:
    return [each.id for each in NAMED if get(hot, each) is not None]


# Room.


def test_what_waits_to_be_archived_and_marks_are_no_copies(hot: HotTier) -> None:
    put(hot, ITEM)
    hot.forget([Key("athena", "other")])
    assert hot.copies().count == hot.copies().bytes == 0
    archive_all(hot)
    assert (hot.copies().count, hot.copies().bytes) == (1, size_of(ITEM))
    hot.bury(hot.claim_graves(10, 30))
    assert hot.copies().count == 1


def test_the_books_follow_whatever_becomes_of_a_copy(hot: HotTier, bench: Bench) -> None:
    put(hot, *NAMED)
    claimed = {each.key: each for each in hot.claim(10, 0)}
    archive_all(hot)
    assert hot.copies().bytes == sum(map(size_of, NAMED))
    hot.forget([key_of(NAMED[0])])
    put(hot, memory("replaced", id="n1"))
    hot.requeue([(key_of(NAMED[2]), claimed[key_of(NAMED[2])].version)])
    assert (hot.copies().count, hot.copies().bytes) == (1, size_of(NAMED[3]))
    hot.finish([finished(claimed[key_of(NAMED[3])], 0)])
    assert (hot.copies().count, hot.copies().bytes) == (0, 0)
    refill(hot, *NAMED)
    assert hot.copies().count == 1
    bench.advance(101)
    assert (hot.copies().count, hot.copies().bytes, hot.copies().evicted) == (0, 0, 0)


def test_the_least_read_go_first(bench: Bench) -> None:
    hot = bench.tier(cache_mb=room_for(*NAMED[:3]))
    refill(hot, *NAMED[:3])
    assert touch(hot, NAMED[0], 2)
    assert touch(hot, NAMED[2], 2)
    refill(hot, NAMED[3])
    assert kept(hot) == ["n0", "n2", "n3"]
    assert hot.copies().evicted == 1


def test_what_was_read_often_once_goes_in_the_end(bench: Bench) -> None:
    hot = bench.tier(cache_mb=room_for(*NAMED[:2]))
    refill(hot, NAMED[0])
    assert touch(hot, NAMED[0], 10)
    for number in range(60):
        refill(hot, memory(id=f"m{number % 20}"))
        touch(hot, memory(id=f"m{number % 20}"))
    assert get(hot, NAMED[0]) is None


def test_large_ones_go_before_small_ones(bench: Bench) -> None:
    large = memory("".join(random.Random(1).choices("0123456789abcdef", k=3000)), id="large")
    hot = bench.tier(cache_mb=room_for(large, NAMED[0]))
    refill(hot, large, NAMED[0])
    refill(hot, NAMED[1])
    assert (get(hot, large), kept(hot)) == (None, ["n0", "n1"])


def test_a_copy_worth_less_than_what_it_would_push_out_is_not_kept(bench: Bench) -> None:
    hot = bench.tier(cache_mb=room_for(NAMED[0]))
    refill(hot, memory(id="n0", access_count=9))
    put(hot, NAMED[1])
    archive_all(hot)
    refill(hot, NAMED[2], asked=False)
    assert kept(hot) == ["n0"]
    assert not hot.unarchived(key_of(NAMED[1]))
    refill(hot, memory(id="n3", access_count=10), asked=False)
    assert kept(hot) == ["n3"]


def test_what_somebody_asks_for_is_kept_whatever_it_pushes_out(bench: Bench) -> None:
    hot = bench.tier(cache_mb=room_for(NAMED[0]))
    refill(hot, memory(id="n0", access_count=9))
    refill(hot, NAMED[2])
    assert kept(hot) == ["n2"]
    assert hot.copies().bytes <= hot.copies().limit


def test_what_has_no_room_at_all_is_not_kept(bench: Bench) -> None:
    hot = bench.tier(cache_mb=0)
    put(hot, ITEM)
    assert standing(hot, ITEM).item == ITEM
    archive_all(hot)
    refill(hot, ITEM)
    assert (get(hot, ITEM), hot.copies().bytes) == (None, 0)


def test_a_full_outbox_needs_no_room(bench: Bench) -> None:
    hot = bench.tier(cache_mb=room_for(NAMED[0]))
    put(hot, *NAMED[1:])
    refill(hot, NAMED[0], *(memory(id=f"m{number}", access_count=number) for number in range(9)))
    assert kept(hot) == ["n1", "n2", "n3"]
    assert hot.stats("athena").outbox == 3


def test_zipfs_readers_find_more_than_with_the_least_recently_used(bench: Bench) -> None:
    """5,000 memories, read by Zipf's law with s = 1, and room for a fifth of them."""
    items = [memory("x" * 100, id=f"m{number:04}") for number in range(5000)]
    hot = bench.tier(cache_mb=room_for(*items[:1000]))
    weights = list(accumulate(1 / rank for rank in range(1, 5001)))
    chance = random.Random(7)
    asked = chance.choices(chance.sample(range(5000), 5000), cum_weights=weights, k=12_000)
    used: OrderedDict[int, None] = OrderedDict()
    hits = hits_of_lru = 0
    for number in asked:
        if touch(hot, items[number]):
            hits += 1
        else:
            refill(hot, items[number])
            touch(hot, items[number])
        hits_of_lru += number in used
        used[number] = None
        used.move_to_end(number)
        if len(used) > 1000:
            used.popitem(last=False)
    assert hits > hits_of_lru
    assert hot.copies().bytes <= hot.copies().limit


# Time.


@pytest.mark.parametrize("refilled", [False, True])
def test_a_copy_that_slides_stays_while_it_is_read(hot: HotTier, bench: Bench, *, refilled: bool) -> None:
    if refilled:
        refill(hot, ITEM, seconds=100)
    else:
        put(hot, ITEM)
        hot.finish([Finished(each.key, each.version, 100, slides=True) for each in hot.claim(1, 30)])
    for _ in range(3):
        bench.advance(90)
        assert touch(hot, ITEM)
        assert hot.copies().count == 1
    bench.advance(90)
    assert get(hot, ITEM) is not None
    bench.advance(11)
    assert get(hot, ITEM) is None
    assert hot.copies().count == 0


def test_another_copy_keeps_its_time(hot: HotTier, bench: Bench) -> None:
    put(hot, ITEM)
    archive_all(hot, seconds=100)
    bench.advance(90)
    assert touch(hot, ITEM)
    bench.advance(11)
    assert get(hot, ITEM) is None


def test_what_is_warmed_again_lasts_as_long_as_what_is_warmed_now(hot: HotTier, bench: Bench) -> None:
    refill(hot, ITEM, seconds=100)
    bench.advance(90)
    refill(hot, ITEM, seconds=100, asked=False)
    refill(hot, ITEM, seconds=10, asked=False)
    bench.advance(90)
    assert get(hot, ITEM) is not None
    bench.advance(11)
    assert get(hot, ITEM) is None
    assert hot.copies().count == 0


def test_a_read_does_not_shorten_the_time_of_a_warmed_copy(hot: HotTier, bench: Bench) -> None:
    refill(hot, ITEM, seconds=100)
    refill(hot, ITEM, seconds=500, asked=False)
    bench.advance(50)
    assert touch(hot, ITEM)
    bench.advance(400)
    assert get(hot, ITEM) is not None
    bench.advance(51)
    assert get(hot, ITEM) is None


def test_what_does_not_slide_is_not_prolonged_by_warming(hot: HotTier, bench: Bench) -> None:
    put(hot, ITEM)
    archive_all(hot, seconds=100)
    refill(hot, ITEM, seconds=1000, asked=False)
    bench.advance(101)
    assert get(hot, ITEM) is None


# Leaving.


def leaving(hot: HotTier, within: int = 50) -> list[str]:
    return [each.key.id for each in hot.leaving(within, 10)]


def test_what_leaves_soon_is_told_until_it_is_proven(hot: HotTier, bench: Bench) -> None:
    put(hot, *NAMED[:3])
    claimed = sorted(hot.claim(10, 0), key=lambda each: each.key)
    hot.finish([finished(each, seconds) for each, seconds in zip(claimed, (100, 60, 200), strict=True)])
    refill(hot, NAMED[3], seconds=60)
    assert leaving(hot) == []
    bench.advance(55)
    assert leaving(hot) == ["n1", "n0"]
    assert hot.leaving(50, 1) == hot.standings([key_of(NAMED[1])])
    hot.prove([(claimed[0].key, claimed[0].version + 1), (claimed[1].key, claimed[1].version)])
    assert leaving(hot) == ["n0"]
    bench.advance(50)
    assert leaving(hot) == []
    assert leaving(hot, 1000) == ["n2"]


def test_what_is_no_copy_any_more_does_not_leave(hot: HotTier) -> None:
    put(hot, *NAMED)
    claimed = sorted(hot.claim(10, 0), key=lambda each: each.key)
    archive_all(hot, seconds=10)
    assert leaving(hot) == ["n0", "n1", "n2", "n3"]
    hot.requeue([(claimed[0].key, claimed[0].version)])
    put(hot, memory("replaced", id="n1"))
    hot.forget([claimed[2].key])
    assert leaving(hot) == ["n3"]
    hot.finish([finished(claimed[3], 0)])
    assert leaving(hot) == []


def test_what_slides_leaves_later(hot: HotTier, bench: Bench) -> None:
    put(hot, ITEM)
    hot.finish([Finished(each.key, each.version, 100, slides=True) for each in hot.claim(1, 30)])
    bench.advance(90)
    assert leaving(hot) == ["m1"]
    assert touch(hot, ITEM)
    assert leaving(hot) == []
    bench.advance(60)
    assert leaving(hot) == ["m1"]


# Reads.


def test_a_fetched_memory_was_read_once_and_fetched_once(hot: HotTier) -> None:
    assert hot.reads() == []
    assert not touch(hot, ITEM)
    refill(hot, ITEM)
    assert touch(hot, ITEM)
    assert hot.reads() == [Reads("athena", read=1, fetched=1)]
    assert touch(hot, ITEM, 3)
    assert hot.reads() == [Reads("athena", read=4, fetched=1)]


def test_what_nobody_asked_for_is_not_fetched(hot: HotTier) -> None:
    refill(hot, ITEM, asked=False)
    hot.read("athena", ["m1"], touch=False)
    assert touch(hot, ITEM)
    assert hot.reads() == [Reads("athena", read=1, fetched=0)]


def test_reads_are_those_of_who_reads(hot: HotTier) -> None:
    hot.share(KEY, ["hera"])
    refill(hot, ITEM)
    hot.read_scoped("hera", [KEY, Key("athena", "hidden"), Key("hera", "nobody")], touch=True)
    assert hot.reads() == [Reads("hera", read=1, fetched=1)]


def test_what_was_fetched_and_found_no_room_was_read_too(bench: Bench) -> None:
    hot = bench.tier(cache_mb=0)
    refill(hot, ITEM)
    assert hot.reads() == [Reads("athena", read=1, fetched=1)]
