"""What every hot tier promises about records and the outbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.benches import Bench, archive_all, benches, finished, get, put, standing
from tests.support import key_of, memory
from trinitas_tasks.errors import Overloaded
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.hot.interface import Finished, Forgotten, HotTier, Noted, Written

HARD_CONTENTS = [
    pytest.param("plain", id="ascii"),
    pytest.param("🦊 👨‍👩‍👧‍👦 \U0001f1ef\U0001f1f5 e\u0301 é", id="emoji"),
    pytest.param("שלום \u202eعالم\u202c", id="rtl"),
    pytest.param("𠮷野家で𩸽", id="4-byte"),
    pytest.param("line\r\nbreak\ttab\x01\x7f\u2028", id="controls"),
    pytest.param({"a": [1, 2.5, -0.0, True, None, {"ü": "x"}], "": 10**30}, id="nested"),
    pytest.param([1.0, 1e300, 5e-324, 0.1 + 0.2], id="floats"),
    pytest.param(0, id="zero"),
    pytest.param("漢字🦊 " * 20_000, id="200 KB"),
]


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


@pytest.mark.parametrize("content", HARD_CONTENTS)
def test_content_comes_back_unharmed(hot: HotTier, content: object) -> None:
    item = memory(content, metadata={"speaker": "ア🦊"}, tags=("ü", "🦊"), importance=0.1, ttl=77)
    put(hot, item)
    assert standing(hot, item).item == item
    assert standing(hot, item).item.to_json() == item.to_json()
    assert hot.claim(1, 30)[0].body == item.to_json()
    assert hot.pending("athena", 1)[0].item.to_json() == item.to_json()


def test_what_the_caller_changes_later_is_not_remembered(hot: HotTier) -> None:
    content = {"port": 5433}
    item = memory(content)
    put(hot, item)
    content["port"] = 1
    assert standing(hot, item).item.content == {"port": 5433}
    standing(hot, item).item.content["port"] = 2
    assert standing(hot, item).item.content == {"port": 5433}


def test_records_come_in_the_order_asked_for_and_none_stands_for_what_is_missing(hot: HotTier) -> None:
    one, two = memory("1", id="one"), memory("2", id="two")
    put(hot, one, two)
    found = hot.read("athena", ["two", "nobody", "one", "two"], touch=False)
    assert [each.item.id if isinstance(each, Record) else each for each in found] == ["two", None, "one", "two"]
    assert hot.read("athena", [], touch=True) == []


def test_nothing_to_do_is_done(hot: HotTier) -> None:
    assert hot.write([]) == Written((), 0, False, 0)
    assert hot.forget([]) == Forgotten(False, 0)
    assert hot.claim(10, 30) == []
    assert hot.claim_graves(10, 30) == []
    assert hot.finish([]) == []
    assert hot.standings([]) == []
    hot.bury([])
    hot.give_back([], 0)
    hot.requeue([])
    hot.refill([])
    hot.changed([])
    hot.say([])
    hot.prove([])
    hot.settled(1)
    assert hot.noted(10) == Noted(0)


def test_the_same_said_again_within_the_window_is_the_first_memory(hot: HotTier, bench: Bench) -> None:
    first, again = memory("x", id="first"), memory("x", id="again")
    assert put(hot, first, said="d").ids == ("first",)
    assert put(hot, again, said="d") == Written(("first",), 0, False, standing(hot, first).version)
    assert get(hot, again) is None
    archive_all(hot)
    assert put(hot, again, said="d").ids == ("first",)
    bench.advance(61)
    assert put(hot, again, said="d").ids == ("again",)


def test_what_says_something_else_by_now_is_not_what_is_said_again(hot: HotTier) -> None:
    first, again = memory("x", id="first"), memory("x", id="again")
    version = put(hot, first, said="d").version
    assert hot.replace(memory("y", id="first"), version).version
    assert put(hot, again, said="d").ids == ("again",)
    assert put(hot, memory("x", id="third"), said="d").ids == ("again",)
    put(hot, memory("z", id="again"))
    assert put(hot, memory("x", id="fourth"), said="d").ids == ("fourth",)


def test_the_same_said_twice_in_one_call_is_one_memory(hot: HotTier) -> None:
    written = put(hot, memory("x", id="first"), memory("x", id="again"), said="d")
    assert (written.ids, written.fresh) == (("first", "first"), 1)


def test_the_window_is_the_personas_own_and_ends_with_forget(hot: HotTier) -> None:
    first = memory("x", id="first")
    put(hot, first, said="d")
    assert put(hot, memory("x", id="2", persona="hera"), said="d").ids == ("2",)
    assert put(hot, memory("y", id="3"), said="other").ids == ("3",)
    hot.forget([key_of(first)])
    assert put(hot, memory("x", id="4"), said="d").ids == ("4",)
    assert put(hot, memory("x", id="5"), said="d").ids == ("4",)


def test_without_a_window_nothing_is_the_same(bench: Bench) -> None:
    hot = bench.tier(dedup_seconds=0)
    put(hot, memory("x", id="first"), said="d")
    assert put(hot, memory("x", id="again"), said="d").ids == ("again",)


def test_the_same_memory_again_changes_nothing(hot: HotTier) -> None:
    item = memory()
    put(hot, item)
    before = standing(hot, item).version
    archive_all(hot)
    assert put(hot, item) == Written(("m1",), 0, False, before)
    assert standing(hot, item).version == before
    assert hot.claim(10, 30) == []


def test_a_replacement_has_a_higher_version_and_is_to_be_archived(hot: HotTier) -> None:
    old, new = memory("old"), memory("new")
    put(hot, old)
    before = standing(hot, old).version
    archive_all(hot)
    assert put(hot, new).fresh == 1
    assert standing(hot, new).item.content == "new"
    assert standing(hot, new).version > before
    assert [each.body for each in hot.claim(10, 30)] == [new.to_json()]


def test_a_lease_hides_a_record_until_it_runs_out(hot: HotTier, bench: Bench) -> None:
    put(hot, memory())
    assert hot.due()
    assert [each.key for each in hot.claim(10, 30)] == [Key("athena", "m1")]
    assert not hot.due()
    assert hot.claim(10, 30) == []
    bench.advance(31)
    assert hot.due()
    assert [each.key for each in hot.claim(10, 30)] == [Key("athena", "m1")]


def test_the_oldest_are_claimed_first_and_no_more_than_asked_for(hot: HotTier, bench: Bench) -> None:
    for name in ("c", "a", "b"):
        put(hot, memory(name, id=name))
        bench.advance(1)
    assert [each.key.id for each in hot.claim(2, 30)] == ["c", "a"]
    assert [each.key.id for each in hot.claim(2, 30)] == ["b"]


def test_a_memory_stays_until_it_is_archived_and_leaves_when_its_time_is_over(hot: HotTier, bench: Bench) -> None:
    item = memory()
    put(hot, item)
    bench.advance(10 * 365 * 86_400)
    assert standing(hot, item).item == item
    assert hot.unarchived(key_of(item))
    archive_all(hot, seconds=100)
    assert not hot.unarchived(key_of(item))
    bench.advance(98)
    assert standing(hot, item).item == item
    bench.advance(3)
    assert get(hot, item) is None
    assert put(hot, item).fresh == 1


def test_what_was_replaced_meanwhile_is_not_finished(hot: HotTier, bench: Bench) -> None:
    old, new = memory("old"), memory("new")
    put(hot, old)
    late = hot.claim(10, 30)
    put(hot, new)
    assert hot.finish([finished(late[0])]) == [False]
    assert hot.unarchived(key_of(new))
    bench.advance(1000)
    assert standing(hot, new).item.content == "new"
    assert [each.body for each in hot.claim(10, 30)] == [new.to_json()]


def test_finishing_twice_or_something_unknown_harms_nobody(hot: HotTier) -> None:
    item = memory()
    put(hot, item)
    claimed = hot.claim(10, 30)[0]
    nobody = Finished(Key("athena", "nobody"), 1, 100)
    assert hot.finish([nobody, finished(claimed), finished(claimed)]) == [False, True, True]
    assert standing(hot, item).item == item
    assert hot.read("athena", ["nobody"], touch=False) == [None]


def test_a_full_outbox_refuses_and_keeps_nothing_of_what_it_refused(bench: Bench) -> None:
    hot = bench.tier(outbox_limit=2)
    put(hot, memory(id="1"), memory(id="2"))
    before = hot.probe("athena", "q").generation
    with pytest.raises(Overloaded):
        put(hot, memory(id="3"), said="d")
    with pytest.raises(Overloaded):
        put(hot, memory("replaced", id="1"))
    assert hot.read("athena", ["3"], touch=False) == [None]
    assert standing(hot, memory(id="1")).item.content == memory().content
    assert (hot.stats("athena").outbox, hot.stats("athena").pending) == (2, 2)
    assert hot.probe("athena", "q").generation == before
    assert put(hot, memory(id="1")).ids == ("1",)
    archive_all(hot)
    assert put(hot, memory(id="3"), said="d").fresh == 1
