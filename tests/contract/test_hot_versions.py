"""What every hot tier promises about versions: none goes back, and of two states the lower one loses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.benches import Bench, archive_all, benches, get, put, standing, version_of
from tests.support import key_of, memory
from trinitas_tasks.errors import Overloaded
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.hot.interface import Forgotten, Gone, HotTier, Write, Written

DAY = 86_400_000_000
ITEM = memory()
KEY = key_of(ITEM)


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def ahead(hot: HotTier) -> int:
    """A version that a clock one day ahead would give."""
    return put(hot, memory("now", id="now")).version + DAY


def replay(hot: HotTier, item: MemoryItem, version: int) -> Written:
    return hot.write([Write(item, version=version)])


# What is new is above all that was.


def test_every_change_of_whatever_memory_is_above_the_one_before(hot: HotTier) -> None:
    versions = []
    for number in range(20):
        item = memory(number, id=f"m{number % 3}", persona=("athena", "hera")[number % 2])
        versions.append(put(hot, item).version)
        assert version_of(hot, item) == versions[-1]
        versions.append(hot.forget([key_of(item), Key("athena", "nobody")]).version)
        assert version_of(hot, memory(id="nobody")) == versions[-1]
    assert versions == sorted(set(versions))


def test_versions_stay_above_what_was_issued_when_the_clock_goes_back(hot: HotTier) -> None:
    version = ahead(hot)
    hot.advance(version)
    hot.advance(1)
    assert put(hot, ITEM).version > version
    assert hot.forget([KEY]).version > version + 1
    assert put(hot, ITEM).version > version + 2


def test_what_is_forgotten_is_above_what_was_archived_and_left(hot: HotTier, bench: Bench) -> None:
    hot.advance(ahead(hot))
    archived = put(hot, ITEM).version
    archive_all(hot)
    bench.advance(101)
    assert get(hot, ITEM) is None
    assert hot.forget([KEY]).version > archived
    assert [each.version > archived for each in hot.claim_graves(10, 30)] == [True]


def test_a_change_is_above_what_the_caller_has_seen(hot: HotTier) -> None:
    above = ahead(hot)
    assert hot.write([Write(ITEM)], above=above).version == above + 1
    assert hot.write([Write(memory("another"))], above=1).version == above + 2
    assert hot.forget([KEY], above=above + DAY).version == above + DAY + 1
    assert put(hot, ITEM).version == above + DAY + 2


def test_a_copy_that_is_ahead_of_the_clock_is_replaced_by_something_newer(hot: HotTier) -> None:
    copied = ahead(hot)
    hot.refill([(Record(ITEM, copied), 100)])
    assert put(hot, memory("replaced")).version == copied + 1
    hot.refill([(Record(memory(id="m2"), copied + DAY), 100)])
    assert hot.forget([Key("athena", "m2")]).version == copied + DAY + 1


# What a write says of what stands.


def test_a_write_tells_the_highest_version_that_stands(hot: HotTier) -> None:
    written = put(hot, memory(id="1"), memory(id="2"))
    assert written.version == version_of(hot, memory(id="2")) > version_of(hot, memory(id="1"))
    assert put(hot, memory(id="1")).version == version_of(hot, memory(id="1"))
    forgotten = hot.forget([Key("athena", "1"), Key("athena", "2")])
    assert forgotten.version == version_of(hot, memory(id="2"))


def test_of_something_said_again_no_version_is_told_once_it_has_left(bench: Bench) -> None:
    hot = bench.tier(dedup_seconds=1000)
    put(hot, ITEM, said="d")
    archive_all(hot)
    bench.advance(101)
    assert put(hot, memory(id="again"), said="d") == Written(("m1",), 0, False, 0)


# Replayed writes.


def test_a_replayed_write_keeps_its_version_and_is_to_be_archived(hot: HotTier) -> None:
    assert replay(hot, ITEM, 42) == Written(("m1",), 1, True, 42)
    assert standing(hot, ITEM) == Record(ITEM, 42)
    assert [(each.key, each.version) for each in hot.claim(10, 30)] == [(KEY, 42)]
    assert [each.item for each in hot.pending("athena", 10)] == [ITEM]


@pytest.mark.parametrize("older_by", [0, 1, DAY])
@pytest.mark.parametrize("replayed", [ITEM, memory("replayed")], ids=["the same", "another"])
def test_a_replayed_write_over_something_newer_or_itself_is_nothing(
    hot: HotTier, replayed: MemoryItem, older_by: int
) -> None:
    version = put(hot, ITEM).version
    archive_all(hot)
    generation = hot.probe("athena", "q").generation
    assert replay(hot, replayed, version - older_by) == Written(("m1",), 0, False, version)
    assert standing(hot, ITEM) == Record(ITEM, version)
    assert (hot.claim(10, 30), hot.due(), hot.probe("athena", "q").generation) == ([], False, generation)


@pytest.mark.parametrize("replayed", [ITEM, memory("replayed")], ids=["the same", "another"])
def test_a_replayed_write_over_something_older_replaces_it(hot: HotTier, replayed: MemoryItem) -> None:
    version = put(hot, ITEM).version
    archive_all(hot)
    assert replay(hot, replayed, version + 1).fresh == 1
    assert standing(hot, ITEM) == Record(replayed, version + 1)
    assert [(each.version, each.body) for each in hot.claim(10, 30)] == [(version + 1, replayed.to_json())]


@pytest.mark.parametrize("buried", [False, True])
def test_a_replayed_write_brings_back_only_what_was_forgotten_before_it(hot: HotTier, *, buried: bool) -> None:
    put(hot, ITEM)
    version = hot.forget([KEY]).version
    if buried:
        hot.bury(hot.claim_graves(10, 30))
    for older in (version - DAY, version):
        assert replay(hot, ITEM, older) == Written(("m1",), 0, False, version)
        assert isinstance(get(hot, ITEM), Gone)
    assert replay(hot, ITEM, version + 1).fresh == 1
    assert standing(hot, ITEM) == Record(ITEM, version + 1)
    assert hot.claim_graves(10, 0) == []
    assert [each.version for each in hot.claim(10, 30)] == [version + 1]


def test_a_replayed_write_neither_asks_nor_opens_a_window(hot: HotTier) -> None:
    put(hot, memory(id="first"), said="d")
    assert hot.write([Write(memory(id="second"), "d", version=1)]).ids == ("second",)
    assert put(hot, memory(id="third"), said="d").ids == ("first",)
    hot.write([Write(memory(id="fourth"), "other", version=2)])
    assert put(hot, memory(id="fifth"), said="other").ids == ("fifth",)


def test_versions_go_on_above_what_was_replayed(hot: HotTier) -> None:
    version = ahead(hot)
    replay(hot, ITEM, version)
    assert put(hot, memory(id="2")).version == version + 1
    hot.forget([KEY], versions=[version + DAY])
    assert put(hot, memory(id="3")).version == version + DAY + 1
    replay(hot, memory(id="4"), 1)
    hot.forget([Key("athena", "nobody")], versions=[1])
    assert put(hot, memory(id="5")).version == version + DAY + 2


def test_a_full_outbox_refuses_a_replayed_write_too(bench: Bench) -> None:
    hot = bench.tier(outbox_limit=1)
    version = put(hot, ITEM).version
    with pytest.raises(Overloaded):
        replay(hot, memory(id="2"), version + 1)
    with pytest.raises(Overloaded):
        replay(hot, memory("replaced"), version + 1)
    assert standing(hot, ITEM) == Record(ITEM, version)
    assert replay(hot, ITEM, version).version == version
    archive_all(hot)
    assert replay(hot, memory(id="2"), version + 1).fresh == 1


def test_one_call_takes_new_and_replayed_writes(hot: HotTier) -> None:
    version = put(hot, ITEM).version
    written = hot.write([Write(memory("late"), version=1), Write(memory(id="2"), version=2), Write(memory(id="3"))])
    assert (written.ids, written.fresh) == (("m1", "2", "3"), 2)
    assert written.version == version_of(hot, memory(id="3")) > version
    assert version_of(hot, memory(id="2")) == 2


# Replayed forgets.


def test_a_replayed_forget_leaves_a_grave_of_its_version(hot: HotTier) -> None:
    assert hot.forget([KEY], versions=[42]) == Forgotten(True, 42)
    assert isinstance(get(hot, ITEM), Gone)
    assert [(each.key, each.version) for each in hot.claim_graves(10, 30)] == [(KEY, 42)]


@pytest.mark.parametrize("older_by", [0, 1, DAY])
def test_a_replayed_forget_leaves_what_is_newer(hot: HotTier, older_by: int) -> None:
    version = put(hot, ITEM).version
    generation = hot.probe("athena", "q").generation
    assert hot.forget([KEY], versions=[version - older_by]) == Forgotten(False, version)
    assert standing(hot, ITEM) == Record(ITEM, version)
    assert (hot.claim_graves(10, 30), hot.probe("athena", "q").generation) == ([], generation)
    assert [each.version for each in hot.claim(10, 30)] == [version]


def test_a_replayed_forget_ends_what_is_older(hot: HotTier) -> None:
    version = put(hot, ITEM).version
    assert hot.forget([KEY], versions=[version + 1]).version == version + 1
    assert isinstance(get(hot, ITEM), Gone)
    assert (hot.claim(10, 30), hot.pending("athena", 10)) == ([], [])
    assert [each.version for each in hot.claim_graves(10, 30)] == [version + 1]


def test_a_replayed_forget_never_lowers_a_mark(hot: HotTier) -> None:
    version = hot.forget([KEY]).version
    hot.bury(hot.claim_graves(10, 30))
    assert hot.forget([KEY], versions=[version]).version == version
    assert not hot.due()
    assert hot.forget([KEY], versions=[version + 1]).version == version + 1
    assert [each.version for each in hot.claim_graves(10, 30)] == [version + 1]


def test_each_replayed_forget_has_its_own_version(hot: HotTier) -> None:
    first, second = put(hot, memory(id="1")).version, put(hot, memory(id="2")).version
    keys = [Key("athena", "1"), Key("athena", "2"), Key("athena", "3")]
    assert hot.forget(keys, versions=[first + 1, second - 1, 7]).version == second
    assert {each.key.id: each.version for each in hot.claim_graves(10, 30)} == {"1": first + 1, "3": 7}
    with pytest.raises(ValueError, match="argument"):
        hot.forget(keys, versions=[1])
