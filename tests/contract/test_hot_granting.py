"""What every hot tier promises about who may read whose memories."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.benches import Bench, archive_all, benches, put, standing
from tests.support import key_of, memory
from trinitas_tasks.model import Key, Record
from trinitas_tasks.policy.grants import EVERYBODY, Grant, holders
from trinitas_tasks.tiers.hot.interface import Barred, Gone, HotTier, Shared

ITEM = memory("The launch is on Friday.", id="a:b")
NEWER = memory("The launch is on Monday.", id="a:b")
KEY = key_of(ITEM)
MARK_SECONDS = 3601


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    made = bench.tier()
    put(made, ITEM)
    return made


def seen(hot: HotTier, reader: str, key: Key = KEY) -> object:
    """What it says to this reader, or in what way nothing."""
    found = hot.read_scoped(reader, [key], touch=False)[0]
    return found.item.content if isinstance(found, Record) else found and type(found)


def shared_with(hot: HotTier, key: Key = KEY) -> frozenset[str]:
    return holders(hot.grants([key])[0].grants)


def generation(hot: HotTier, persona: str) -> int:
    return hot.probe(persona, "q").generation


def archived(hot: HotTier) -> dict[str, bool]:
    """Tell the archive, which must know then, by grantee, who was revoked."""
    claimed = hot.claim_grants(100, 30)
    hot.finish_grants(claimed)
    return {grant.grantee: grant.revoked for each in claimed for grant in each.grants}


def test_a_memory_is_read_by_its_owner_and_by_whom_it_was_granted(hot: HotTier) -> None:
    hot.share(KEY, ["hera", "zeus"])
    assert [seen(hot, reader) for reader in ("athena", "hera", "zeus")] == [ITEM.content] * 3
    assert seen(hot, "her") is seen(hot, "hera-x") is Barred
    assert shared_with(hot) == {"hera", "zeus"}
    assert hot.read("hera", [KEY.id], touch=False) == [None]


@pytest.mark.parametrize("persona", ["athen", "athena-", "athena_x"])
def test_a_name_that_begins_alike_is_another_persona(hot: HotTier, persona: str) -> None:
    assert seen(hot, persona) is Barred
    assert seen(hot, "athena", Key(persona, KEY.id)) is Barred


def test_what_is_not_granted_looks_the_same_whether_it_is_there_or_not(hot: HotTier) -> None:
    hot.forget([Key("athena", "gone")])
    for name in (KEY.id, "nobody", "gone"):
        assert seen(hot, "hera", Key("athena", name)) is Barred


def test_own_and_granted_are_read_in_one_call_and_counted_as_one(hot: HotTier) -> None:
    mine = memory("Bees.", id="bees", persona="hera")
    put(hot, mine)
    hot.share(KEY, ["hera"])
    keys = [KEY, Key("hera", "nobody"), key_of(mine), Key("zeus", "x"), KEY]
    found = hot.read_scoped("hera", keys, touch=True)
    assert [each.item.id if isinstance(each, Record) else type(each) for each in found] == [
        "a:b", type(None), "bees", Barred, "a:b",
    ]  # fmt: skip
    assert {(each.key, each.count) for each in hot.noted(10).accesses} == {(KEY, 2), (key_of(mine), 1)}
    assert hot.read_scoped("hera", [], touch=True) == []


def test_a_revoked_grant_ends_at_once_for_those_alone_who_are_named(hot: HotTier) -> None:
    hot.share(KEY, ["hera", "zeus"])
    hot.unshare(KEY, ["hera"])
    assert (seen(hot, "hera"), seen(hot, "zeus")) == (Barred, ITEM.content)
    assert (hot.granted("hera", 10), hot.lenders("hera", KEY.id)) == ([], [])
    hot.unshare(KEY)
    assert (seen(hot, "zeus"), shared_with(hot)) == (Barred, frozenset())
    hot.share(KEY, ["hera"])
    assert seen(hot, "hera") == ITEM.content


def test_to_share_and_to_revoke_again_are_no_errors(hot: HotTier) -> None:
    first = hot.share(KEY, ["hera"])
    assert hot.share(KEY, ["hera"]).version > first.version > standing(hot, ITEM).version
    assert hot.granted("hera", 10) == [KEY]
    for _ in range(2):
        hot.unshare(KEY, ["hera", "nobody"])
        assert shared_with(hot) == frozenset()
    assert hot.share(KEY, []) == hot.unshare(KEY, []) == Shared(False, 0)
    hot.finish_grants([])
    hot.restore_grants([])
    hot.requeue_grants([])
    assert hot.grants([]) == hot.claim_grants(0, 30) == []


def test_versions_are_above_what_the_caller_has_seen(hot: HotTier) -> None:
    above = standing(hot, ITEM).version + 10**10
    assert hot.share(KEY, ["hera"], above=above).version > above
    later = put(hot, NEWER)
    assert later.version > above


def test_a_granted_memory_is_found_by_its_id_among_those_that_look_alike(hot: HotTier) -> None:
    names = ("a", "a:b", "a:b:c", "a:c", "b")
    for owner in ("zeus", "athena"):
        for name in names:
            put(hot, memory(id=name, persona=owner))
            hot.share(Key(owner, name), ["hera"])
    for name in names:
        assert hot.lenders("hera", name) == [Key("athena", name), Key("zeus", name)]
    assert hot.lenders("hera", "nobody") == hot.lenders("athena", "a") == []


def test_what_was_granted_is_listed_newest_grants_first(hot: HotTier) -> None:
    keys = [Key("athena", f"m{number}") for number in range(5)]
    put(hot, *(memory(id=key.id) for key in keys))
    for key in keys:
        hot.share(key, ["hera"])
    hot.share(keys[1], ["hera"])
    assert hot.granted("hera", 3) == [keys[1], keys[4], keys[3]]
    assert set(hot.granted("hera", 100)) == set(keys)
    assert hot.granted("zeus", 100) == []


def test_grants_outlive_a_replacement(hot: HotTier) -> None:
    hot.share(KEY, ["hera"])
    put(hot, NEWER)
    assert seen(hot, "hera") == NEWER.content


def test_forgetting_ends_grants_for_good(hot: HotTier) -> None:
    hot.share(KEY, ["hera"])
    hot.forget([KEY])
    assert (seen(hot, "hera"), shared_with(hot), hot.granted("hera", 10)) == (Barred, frozenset(), [])
    assert hot.lenders("hera", KEY.id) == []
    put(hot, NEWER)
    assert (seen(hot, "hera"), shared_with(hot)) == (Barred, frozenset())
    assert seen(hot, "athena") == NEWER.content


def test_a_replayed_forget_ends_grants_that_were_made_since(hot: HotTier) -> None:
    version = standing(hot, ITEM).version
    hot.share(KEY, ["hera"])
    hot.forget([KEY], versions=[version + 1])
    assert (seen(hot, "athena"), seen(hot, "hera"), shared_with(hot)) == (Gone, Barred, frozenset())


def test_a_forget_that_came_too_late_to_count_ends_no_grants(hot: HotTier) -> None:
    version = standing(hot, ITEM).version
    hot.share(KEY, ["hera"])
    hot.forget([KEY], versions=[version - 1])
    assert seen(hot, "hera") == ITEM.content


def test_what_is_forgotten_cannot_be_shared(hot: HotTier) -> None:
    hot.forget([KEY])
    assert hot.share(KEY, ["hera"]).gone
    assert (seen(hot, "hera"), hot.granted("hera", 10)) == (Barred, [])
    assert not hot.unshare(KEY, ["hera"]).gone


CHANGES: dict[str, Callable[[HotTier], object]] = {
    "shared": lambda hot: hot.share(KEY, ["zeus", "hera"]),
    "revoked": lambda hot: hot.unshare(KEY, ["hera"]),
    "revoked for all": lambda hot: hot.unshare(KEY),
    "replaced": lambda hot: put(hot, NEWER),
    "archived": archive_all,
    "forgotten": lambda hot: hot.forget([KEY]),
    "revoked elsewhere": lambda hot: hot.restore_grants([Grant(KEY, "hera", 10**16, revoked=True)]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_ends_the_cached_answers_of_a_grantee(hot: HotTier, change: Callable[[HotTier], None]) -> None:
    hot.share(KEY, ["hera"])
    hot.cache_answer("hera", generation(hot, "hera"), "q", b"answer", 100)
    nobody = generation(hot, "her")
    assert hot.probe("hera", "q").cached == b"answer"
    change(hot)
    assert hot.probe("hera", "q").cached is None
    assert generation(hot, "her") == nobody


def test_cached_answers_of_those_who_see_it_no_longer_stay(hot: HotTier) -> None:
    hot.share(KEY, ["hera"])
    hot.unshare(KEY, ["hera"])
    before = generation(hot, "hera")
    put(hot, NEWER)
    archive_all(hot)
    hot.forget([KEY])
    assert generation(hot, "hera") == before


# Telling the archive.


def test_changes_wait_for_the_archive_under_a_lease(hot: HotTier, bench: Bench) -> None:
    archive_all(hot)
    hot.share(KEY, ["hera"])
    assert hot.due()
    assert hot.grants([KEY])[0].queued
    claimed = hot.claim_grants(10, 30)
    assert [(each.key, holders(each.grants)) for each in claimed] == [(KEY, frozenset(["hera"]))]
    assert (hot.claim_grants(10, 30), hot.due()) == ([], False)
    bench.advance(31)
    assert hot.claim_grants(10, 30) == claimed
    hot.finish_grants(claimed)
    bench.advance(31)
    assert hot.claim_grants(10, 30) == []
    assert not hot.grants([KEY])[0].queued
    bench.advance(100)
    assert seen(hot, "hera") is None, "its time to live is over, but not that of the grant"


def test_what_the_archive_was_not_told_is_listed_leased_or_not(hot: HotTier) -> None:
    archive_all(hot)
    assert hot.untold() == []
    hot.share(KEY, ["hera"])
    hot.claim_grants(10, 30)
    hot.share(Key("athena", "m2"), ["hera", "zeus"])
    assert {each.key: holders(each.grants) for each in hot.untold()} == {
        KEY: frozenset(["hera"]), Key("athena", "m2"): frozenset(["hera", "zeus"]),
    }  # fmt: skip
    assert all(each.queued for each in hot.untold())


def test_what_changed_meanwhile_still_waits(hot: HotTier) -> None:
    hot.share(KEY, ["hera"])
    late = hot.claim_grants(10, 30)
    hot.unshare(KEY, ["hera"])
    hot.finish_grants(late)
    assert archived(hot) == {"hera": True}


def test_no_more_are_claimed_than_asked_for_oldest_first(hot: HotTier, bench: Bench) -> None:
    keys = [Key("athena", name) for name in "cab"]
    for key in keys:
        hot.share(key, ["hera"])
        bench.advance(1)
    assert [each.key for each in hot.claim_grants(2, 30)] == keys[:2]
    assert [each.key for each in hot.claim_grants(2, 30)] == keys[2:]


def test_a_claim_takes_the_nudge_away(hot: HotTier) -> None:
    hot.claim(10, 30)
    assert hot.share(KEY, ["hera"]).nudge
    assert not hot.share(KEY, ["zeus"]).nudge
    hot.claim_grants(10, 30)
    assert hot.unshare(KEY, ["zeus"]).nudge


def test_forgetting_is_told_too_and_so_is_what_a_mark_hid(hot: HotTier) -> None:
    hot.share(KEY, ["hera"])
    assert archived(hot) == {"hera": False}
    hot.forget([KEY])
    assert archived(hot) == {"hera": True}
    put(hot, NEWER)
    assert archived(hot) == {"hera": True, EVERYBODY: True}


def test_marks_are_cleared_away_when_nothing_else_is_left(hot: HotTier, bench: Bench) -> None:
    hot.share(KEY, ["hera", "zeus"])
    hot.unshare(KEY, ["hera"])
    archived(hot)
    bench.advance(MARK_SECONDS)
    assert {each.grantee for each in hot.grants([KEY])[0].grants} == {"hera", "zeus"}
    hot.unshare(KEY)
    archived(hot)
    bench.advance(MARK_SECONDS - 60)
    assert len(hot.grants([KEY])[0].grants) == 3
    bench.advance(61)
    assert hot.grants([KEY])[0].grants == ()


@pytest.mark.parametrize("how", ["share", "unshare", "forget", "restore"])
def test_what_is_granted_or_revoked_anew_is_not_cleared_away(hot: HotTier, bench: Bench, how: str) -> None:
    hot.unshare(KEY, ["hera"])
    archived(hot)
    match how:
        case "share":
            hot.share(KEY, ["hera"])
        case "unshare":
            hot.unshare(KEY, ["zeus"])
        case "forget":
            hot.share(KEY, ["zeus"])
            hot.forget([KEY])
        case _:
            hot.restore_grants([Grant(KEY, "zeus", 10**16, revoked=False)])
    before = shared_with(hot)
    bench.advance(MARK_SECONDS)
    assert len(hot.grants([KEY])[0].grants) == (1 if how == "share" else 2)
    assert shared_with(hot) == before
    assert hot.grants([KEY])[0].queued


# Taking over what the archive knows.


def test_a_lost_grant_comes_back(hot: HotTier) -> None:
    hot.restore_grants([Grant(KEY, "hera", 5, revoked=False), Grant(KEY, "zeus", 6, revoked=True)])
    assert (seen(hot, "hera"), seen(hot, "zeus")) == (ITEM.content, Barred)
    assert (hot.granted("hera", 10), hot.lenders("hera", KEY.id), hot.granted("zeus", 10)) == ([KEY], [KEY], [])


def test_of_two_accounts_the_newer_counts_whichever_it_is(hot: HotTier) -> None:
    version = hot.share(KEY, ["hera"]).version
    hot.restore_grants([Grant(KEY, "hera", version - 1, revoked=True)])
    assert seen(hot, "hera") == ITEM.content
    hot.restore_grants([Grant(KEY, "hera", version + 1, revoked=True)])
    assert seen(hot, "hera") is Barred
    hot.restore_grants([Grant(KEY, "hera", version, revoked=False)])
    assert (seen(hot, "hera"), hot.granted("hera", 10)) == (Barred, [])


@pytest.mark.parametrize("order", [1, -1])
def test_the_mark_for_all_ends_what_is_older_in_whatever_order_they_come(hot: HotTier, order: int) -> None:
    told = [Grant(KEY, EVERYBODY, 7, True), Grant(KEY, "hera", 6, False), Grant(KEY, "zeus", 8, False)][::order]
    hot.restore_grants(told)
    assert shared_with(hot) == {"zeus"}
    for each in told:
        hot.restore_grants([each])
    assert (seen(hot, "hera"), seen(hot, "zeus")) == (Barred, ITEM.content)
    hot.restore_grants([Grant(KEY, EVERYBODY, 9, True)])
    assert (seen(hot, "zeus"), hot.granted("zeus", 10), hot.lenders("zeus", KEY.id)) == (Barred, [], [])


@pytest.mark.parametrize("revoked", [["hera"], None])
def test_a_grant_that_was_not_known_here_is_revoked_all_the_same(hot: HotTier, revoked: list[str] | None) -> None:
    """As after Redis was emptied."""
    hot.unshare(KEY, revoked)
    hot.restore_grants([Grant(KEY, "hera", 5, revoked=False)])
    assert (seen(hot, "hera"), shared_with(hot)) == (Barred, frozenset())


@pytest.mark.parametrize("again", [False, True])
def test_a_grant_that_was_not_known_here_ends_with_its_memory(hot: HotTier, again: bool) -> None:
    hot.forget([KEY])
    if again:
        put(hot, NEWER)
    hot.restore_grants([Grant(KEY, "hera", 5, revoked=False)])
    assert (seen(hot, "hera"), shared_with(hot)) == (Barred, frozenset())


def test_a_restored_grant_has_a_lower_version_than_any_later(hot: HotTier) -> None:
    ahead = standing(hot, ITEM).version + 10**10
    hot.restore_grants([Grant(KEY, "hera", ahead, revoked=False)])
    assert hot.unshare(KEY, ["hera"]).version > ahead
    assert seen(hot, "hera") is Barred


def test_grants_can_be_told_again(hot: HotTier) -> None:
    hot.share(KEY, ["hera"])
    archived(hot)
    hot.requeue_grants([KEY, Key("athena", "never shared")])
    assert archived(hot) == {"hera": False}
    assert archived(hot) == {}
