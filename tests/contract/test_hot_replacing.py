"""What every hot tier promises to those who put something in the place of one version."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.benches import Bench, archive_all, benches, get, put, standing, version_of
from tests.support import key_of, memory
from trinitas_tasks.errors import Overloaded
from trinitas_tasks.tiers.hot.interface import Gone, HotTier

ITEM = memory()
KEY = key_of(ITEM)


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def test_a_version_is_replaced_and_to_be_archived(hot: HotTier) -> None:
    before = put(hot, ITEM).version
    archive_all(hot)
    for _ in range(2):
        hot.read("athena", ["m1"], touch=True)
    generation = hot.probe("athena", "q").generation
    version = hot.replace(memory("replaced"), before).version
    assert version > before
    found = standing(hot, ITEM)
    assert (found.item.content, found.version, found.item.access_count) == ("replaced", version, 2)
    assert [(each.key, each.version) for each in hot.claim(10, 30)] == [(KEY, version)]
    assert hot.unarchived(KEY)
    assert hot.probe("athena", "q").generation != generation
    assert hot.copies().count == 0


def test_another_version_or_a_grave_is_not_replaced(hot: HotTier) -> None:
    before = put(hot, ITEM).version
    now = put(hot, memory("now")).version
    for version in (before, now + 1):
        assert hot.replace(memory("late"), version).version == 0
    assert standing(hot, ITEM).item.content == "now"
    gone = hot.forget([KEY]).version
    assert hot.replace(memory("late"), gone).version == 0
    assert isinstance(get(hot, ITEM), Gone)
    assert hot.claim(10, 30) == []


def test_what_has_left_is_replaced_by_something_newer(hot: HotTier) -> None:
    version = put(hot, memory(id="now")).version + 10**12
    assert hot.replace(ITEM, version).version == version + 1
    assert hot.replace(memory("again"), version + 1, above=version + 10).version == version + 11


def test_what_came_and_left_meanwhile_is_not_replaced(bench: Bench) -> None:
    hot = bench.tier(cache_mb=0.00001)  # no copy has room
    before = put(hot, ITEM).version
    archive_all(hot)
    assert get(hot, ITEM) is None
    generation = hot.probe("athena", "").generation
    assert hot.replace(memory("meanwhile"), before, generation=generation).version > before
    archive_all(hot)
    assert get(hot, ITEM) is None
    assert hot.replace(memory("late"), before, generation=generation).version == 0
    assert hot.claim(10, 30) == []
    again = hot.probe("athena", "").generation
    assert again != generation
    assert hot.replace(memory("late"), before, generation=again).version > before


def test_a_generation_is_that_of_what_stands_too(hot: HotTier) -> None:
    before = put(hot, ITEM).version
    generation = hot.probe("athena", "").generation
    put(hot, memory(id="other"))
    assert hot.replace(memory("late"), before, generation=generation).version == 0
    put(hot, memory(id="of.another", persona="hera"))
    again = hot.probe("athena", "").generation
    assert hot.replace(memory("now"), before, generation=again).version > before


def test_of_what_has_left_the_reads_are_known(hot: HotTier, bench: Bench) -> None:
    version = put(hot, ITEM).version
    hot.read("athena", ["m1"], touch=True)
    last = standing(hot, ITEM).item.last_access
    archive_all(hot, seconds=10)
    bench.advance(20)
    assert get(hot, ITEM) is None
    early = ITEM.timestamp
    archived = ITEM.model_copy(update={"access_count": 4, "last_access": early, "content": "replaced"})
    hot.replace(archived, version)
    found = standing(hot, ITEM).item
    assert (found.access_count, found.last_access, found.content) == (5, last, "replaced")


def test_who_replaces_tells_nobody_so_the_next_write_does(hot: HotTier) -> None:
    version = put(hot, ITEM).version
    hot.claim(10, 30)
    assert not hot.replace(memory("replaced"), version).nudge
    assert put(hot, memory(id="next")).nudge


def test_who_says_so_tells_of_a_replacement(hot: HotTier) -> None:
    version = put(hot, ITEM).version
    assert not hot.replace(memory("one"), version, tells=True).nudge, "the write has told them"
    hot.claim(10, 30)
    version = version_of(hot, ITEM)
    assert not hot.replace(memory("late"), version + 1, tells=True).nudge
    assert hot.replace(memory("two"), version, tells=True).nudge
    assert not put(hot, memory(id="next")).nudge


def test_a_full_outbox_refuses_a_replacement(bench: Bench) -> None:
    hot = bench.tier(outbox_limit=1)
    version = put(hot, ITEM).version
    with pytest.raises(Overloaded):
        hot.replace(memory("replaced"), version)
    assert standing(hot, ITEM).version == version
