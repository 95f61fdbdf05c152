"""What every hot tier promises about graves and copies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.benches import Bench, benches, finished, get, put, standing
from tests.support import key_of, memory
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.hot.interface import Gone, HotTier


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def test_a_forgotten_memory_is_gone_at_once_and_never_archived(hot: HotTier) -> None:
    item = memory()
    put(hot, item)
    claimed = hot.claim(10, 0)
    hot.forget([key_of(item)])
    assert isinstance(get(hot, item), Gone)
    assert hot.finish([finished(claimed[0])]) == [False]
    assert isinstance(get(hot, item), Gone)
    assert (hot.claim(10, 30), hot.pending("athena", 10), hot.unarchived(key_of(item))) == ([], [], False)


def test_a_grave_is_leased_until_it_is_buried(hot: HotTier, bench: Bench) -> None:
    item = memory()
    put(hot, item)
    before = standing(hot, item).version
    hot.forget([key_of(item), Key("athena", "never-there")])
    graves = hot.claim_graves(10, 30)
    assert {each.key.id for each in graves} == {"m1", "never-there"}
    assert all(each.version > before for each in graves if each.key.id == "m1")
    assert hot.claim_graves(10, 30) == []
    bench.advance(31)
    assert hot.due()
    assert set(hot.claim_graves(10, 30)) == set(graves)
    hot.bury(graves)
    bench.advance(31)
    assert not hot.due()
    assert isinstance(get(hot, item), Gone)


def test_a_late_copy_does_not_bring_a_forgotten_memory_back(hot: HotTier, bench: Bench) -> None:
    item = memory()
    put(hot, item)
    late = standing(hot, item)
    hot.forget([key_of(item)])
    hot.refill([(late, 100)])
    assert isinstance(get(hot, item), Gone)
    hot.bury(hot.claim_graves(10, 30))
    bench.advance(1000)
    hot.refill([(late, 100)])
    assert isinstance(get(hot, item), Gone)


def test_a_forgotten_id_can_be_used_again(hot: HotTier, bench: Bench) -> None:
    old, new = memory("old"), memory("new")
    put(hot, old)
    hot.forget([key_of(old)])
    late = hot.claim_graves(10, 0)
    assert put(hot, new).fresh == 1
    assert standing(hot, new).version > late[0].version
    assert hot.claim_graves(10, 30) == []
    hot.bury(late)
    assert [each.body for each in hot.claim(10, 30)] == [new.to_json()]
    bench.advance(100_000)
    assert standing(hot, new).item.content == "new"


def test_the_very_same_memory_can_be_remembered_again_after_it_was_forgotten(hot: HotTier) -> None:
    item = memory()
    put(hot, item, said="d")
    hot.forget([key_of(item)])
    hot.bury(hot.claim_graves(10, 30))
    assert put(hot, item, said="d").fresh == 1
    assert standing(hot, item).item == item


def test_a_copy_never_replaces_what_stands(hot: HotTier, bench: Bench) -> None:
    item = memory("standing")
    put(hot, item)
    hot.refill([(Record(memory("copy"), 1), 100)])
    assert standing(hot, item).item.content == "standing"
    bench.advance(1000)
    assert standing(hot, item).item.content == "standing"
    assert hot.unarchived(key_of(item))


def test_a_copy_is_kept_for_its_time_and_not_archived_again(hot: HotTier, bench: Bench) -> None:
    copy = memory(access_count=7)
    hot.refill([(Record(copy, 42), 100)])
    assert standing(hot, copy) == Record(copy, 42)
    assert (hot.claim(10, 30), hot.pending("athena", 10), hot.unarchived(key_of(copy))) == ([], [], False)
    bench.advance(101)
    assert get(hot, copy) is None


def test_a_version_never_goes_back_even_where_the_clock_does(hot: HotTier) -> None:
    ahead = standing_ahead(hot)
    hot.forget([key_of(ahead.item)])
    assert hot.claim_graves(1, 30)[0].version > ahead.version
    put(hot, memory("replaced"))
    assert standing(hot, ahead.item).version > ahead.version + 1


def test_a_replacement_of_what_a_faster_clock_wrote_is_newer(hot: HotTier) -> None:
    ahead = standing_ahead(hot)
    put(hot, memory("replaced"))
    assert standing(hot, ahead.item).version > ahead.version


def standing_ahead(hot: HotTier) -> Record:
    """A record that was written by a clock one day ahead."""
    put(hot, memory("now", id="now"))
    record = Record(memory(), standing(hot, memory(id="now")).version + 86_400_000_000)
    hot.refill([(record, 100)])
    return record
