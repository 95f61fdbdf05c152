"""What every hot tier promises to those who compare it with the archive: what stands, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.benches import Bench, archive_all, benches, finished, get, put, standing, version_of
from tests.support import key_of, memory
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.hot.interface import Gone, HotTier, Standing

ITEM = memory()
KEY = key_of(ITEM)


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def stands(hot: HotTier, *, gone: bool = False, copy: bool = False, queued: bool = False) -> bool:
    return hot.standings([KEY]) == [Standing(KEY, version_of(hot, ITEM), gone=gone, copy=copy, queued=queued)]


def scanned(hot: HotTier, count: int = 10) -> list[Standing]:
    cursor, found = hot.scan(0, count)
    while cursor:
        cursor, more = hot.scan(cursor, count)
        found += more
    return found


# What stands.


def test_a_standing_tells_where_a_memory_is_in_its_life(hot: HotTier, bench: Bench) -> None:
    assert hot.standings([KEY]) == [None]
    put(hot, ITEM)
    assert stands(hot, queued=True)
    claimed = hot.claim(10, 30)
    assert stands(hot, queued=True)
    hot.finish([finished(each) for each in claimed])
    assert stands(hot, copy=True)
    bench.advance(101)
    assert hot.standings([KEY]) == [None]
    hot.forget([KEY])
    assert stands(hot, gone=True, queued=True)
    hot.bury(hot.claim_graves(10, 30))
    assert stands(hot, gone=True)
    bench.advance(100_000)
    assert hot.standings([KEY]) == [None]


def test_standings_come_in_the_order_asked_for(hot: HotTier) -> None:
    put(hot, ITEM, memory(id="b:2", persona="a-b"))
    asked = [Key("a-b", "b:2"), Key("a", "b:2"), KEY, Key("a-b", "b:2")]
    assert [each.key if each else None for each in hot.standings(asked)] == [asked[0], None, KEY, asked[0]]


def test_looking_is_no_access(hot: HotTier) -> None:
    put(hot, ITEM)
    hot.standings([KEY])
    scanned(hot)
    assert hot.noted(10).batch == 0


def test_a_scan_gives_all_that_stands(hot: HotTier, bench: Bench) -> None:
    assert scanned(hot) == []
    put(hot, *(memory(id=f"n:{number}", persona=("a", "a-b")[number % 2]) for number in range(50)))
    archive_all(hot)
    bench.advance(101)
    put(hot, *(memory(id=f"m:{number}", persona=("a", "a-b")[number % 2]) for number in range(50)), said=None)
    hot.forget([Key("a", "m:0"), Key("nobody", "x")])
    expected = {Key(("a", "a-b")[number % 2], f"m:{number}") for number in range(50)} | {Key("nobody", "x")}
    found = scanned(hot)
    assert {each.key for each in found} == expected
    assert {each.key for each in found if each.gone} == {Key("a", "m:0"), Key("nobody", "x")}
    assert [hot.standings([each.key])[0] for each in found] == found


def test_a_scan_misses_nothing_that_stands_all_the_while(hot: HotTier) -> None:
    lasting = [memory(id=f"lasting{number}") for number in range(100)]
    put(hot, *lasting)
    cursor, found = hot.scan(0, 5)
    for round_ in range(1000):
        if not cursor:
            break
        put(hot, memory(id=f"new{round_}"))
        archived = [finished(each, 0) for each in hot.claim(1000, 0) if not each.key.id.startswith("lasting")]
        hot.finish(archived[:1])
        cursor, more = hot.scan(cursor, 5)
        found += more
    assert cursor == 0
    assert {key_of(item) for item in lasting} <= {each.key for each in found}


# What the archive holds in a newer version.


def test_what_is_superseded_goes_at_once(hot: HotTier) -> None:
    put(hot, ITEM)
    before = hot.probe("athena", "q").generation
    assert hot.finish([finished(each, 0) for each in hot.claim(10, 30)]) == [True]
    assert (get(hot, ITEM), hot.unarchived(KEY), hot.stats("athena").outbox) == (None, False, 0)
    assert hot.probe("athena", "q").generation != before
    newer = Record(memory("newer"), 7)
    hot.refill([(newer, 100)])
    assert standing(hot, ITEM) == newer


def test_a_copy_that_turns_out_superseded_goes_too(hot: HotTier) -> None:
    put(hot, ITEM)
    claimed = hot.claim(10, 0)
    archive_all(hot)
    assert hot.finish([finished(claimed[0], 0)]) == [True]
    assert get(hot, ITEM) is None


def test_only_the_version_that_is_superseded_goes(hot: HotTier) -> None:
    put(hot, ITEM)
    late = hot.claim(10, 0)
    put(hot, memory("replaced"))
    assert hot.finish([finished(late[0], 0)]) == [False]
    assert standing(hot, ITEM).item.content == "replaced"
    assert stands(hot, queued=True)


def test_finishing_again_does_not_lengthen_the_life_of_a_copy(hot: HotTier, bench: Bench) -> None:
    put(hot, ITEM)
    claimed = hot.claim(10, 0)
    archive_all(hot, seconds=100)
    assert hot.finish([finished(claimed[0], 1000)]) == [True]
    bench.advance(101)
    assert get(hot, ITEM) is None


def test_a_mark_goes_where_the_archive_holds_something_newer(hot: HotTier) -> None:
    other = memory(id="other")
    hot.forget([KEY, key_of(other)])
    by_id = {each.key.id: each for each in hot.claim_graves(10, 30)}
    before = hot.probe("athena", "q").generation
    hot.bury([by_id["other"]], superseded=[by_id["m1"]])
    assert (get(hot, ITEM), hot.standings([KEY]), hot.stats("athena").graves) == (None, [None], 0)
    assert isinstance(get(hot, other), Gone)
    assert hot.probe("athena", "q").generation != before


def test_a_mark_that_changed_meanwhile_stays(hot: HotTier) -> None:
    hot.forget([KEY])
    late = hot.claim_graves(10, 0)
    hot.forget([KEY])
    hot.bury([], superseded=late)
    assert stands(hot, gone=True, queued=True)
    put(hot, ITEM)
    hot.bury([], superseded=late)
    assert stands(hot, queued=True)


# Given back.


def test_what_is_given_back_is_due_again_in_its_time(hot: HotTier, bench: Bench) -> None:
    put(hot, ITEM)
    hot.forget([Key("athena", "other")])
    claimed, graves = hot.claim(10, 1000), hot.claim_graves(10, 1000)
    leased = [(each.key, each.version) for each in claimed] + [(each.key, each.version) for each in graves]
    hot.give_back(leased, 20.5)
    assert not hot.due()
    bench.advance(21)
    assert (hot.claim(10, 1000), hot.claim_graves(10, 1000)) == (claimed, graves)
    hot.give_back(leased, 0)
    assert (hot.claim(10, 1000), hot.claim_graves(10, 1000)) == (claimed, graves)


def test_what_changed_or_was_finished_is_not_given_back(hot: HotTier) -> None:
    put(hot, ITEM, memory(id="finished"))
    claimed = hot.claim(10, 1000)
    put(hot, memory("replaced"))
    newer = hot.claim(10, 1000)
    hot.finish([finished(each) for each in claimed])
    hot.give_back([*((each.key, each.version) for each in claimed), (Key("athena", "nobody"), 1)], 0)
    assert not hot.due()
    assert (hot.stats("athena").outbox, hot.stats("athena").graves) == (1, 0)
    hot.give_back([(each.key, each.version) for each in newer], 0)
    assert hot.claim(10, 30) == newer


def test_a_buried_mark_is_not_given_back(hot: HotTier) -> None:
    hot.forget([KEY])
    graves = hot.claim_graves(10, 30)
    hot.bury(graves)
    hot.give_back([(each.key, each.version) for each in graves], 0)
    assert not hot.due()


# To be done again.


@pytest.mark.parametrize("refilled", [False, True])
def test_a_copy_that_is_to_be_archived_again_is_the_only_copy(hot: HotTier, bench: Bench, *, refilled: bool) -> None:
    if refilled:
        hot.refill([(Record(memory(access_count=41), 7), 100)])
    else:
        put(hot, ITEM)
        archive_all(hot)
    before, generation = standing(hot, ITEM), hot.probe("athena", "q").generation
    hot.requeue([(KEY, before.version)])
    assert stands(hot, queued=True)
    assert hot.unarchived(KEY)
    bench.advance(100_000)
    assert standing(hot, ITEM) == before
    assert hot.pending("athena", 10) == [Record(ITEM, before.version)]
    assert hot.probe("athena", "q").generation != generation
    assert [(each.version, each.body) for each in hot.claim(10, 30)] == [(before.version, ITEM.to_json())]
    archive_all(hot)
    bench.advance(31)
    archive_all(hot)
    assert stands(hot, copy=True)


def test_a_mark_that_is_to_be_erased_again_waits_and_stays(hot: HotTier, bench: Bench) -> None:
    version = hot.forget([KEY]).version
    hot.bury(hot.claim_graves(10, 30))
    hot.requeue([(KEY, version)])
    assert stands(hot, gone=True, queued=True)
    bench.advance(100_000)
    assert isinstance(get(hot, ITEM), Gone)
    assert [(each.key, each.version) for each in hot.claim_graves(10, 30)] == [(KEY, version)]
    assert (hot.claim(10, 30), hot.unarchived(KEY)) == ([], False)


def test_only_what_stands_under_the_version_is_done_again(hot: HotTier) -> None:
    version = put(hot, ITEM).version
    archive_all(hot)
    hot.requeue([(KEY, version - 1), (KEY, version + 1), (Key("athena", "nobody"), 1)])
    assert stands(hot, copy=True)
    assert not hot.due()
    assert hot.standings([Key("athena", "nobody")]) == [None]
