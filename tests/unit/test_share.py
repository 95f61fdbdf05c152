"""Sharing through clients: who reads what, whatever is away, archived, lost or forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.clients import Bench, Held, Workerless, got, ids
from tests.unit.workers import Workers
from tests.unit.world import HOT_SECONDS, Away, Disturbed
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidQuery, NotFound, Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.services import granting
from trinitas_tasks.services.answer import Answer
from trinitas_tasks.services.replay import replay
from trinitas_tasks.tiers.hot.memory import MemoryHotTier

TEA = "Ann drinks green tea in the garden."


@pytest.fixture
def athena(bench: Bench) -> MemoryClient:
    return bench.client(Held)


@pytest.fixture
def hera(bench: Bench) -> MemoryClient:
    return bench.client(Held, "hera")


@pytest.fixture
def tea(athena: MemoryClient) -> str:
    return athena.remember(TEA, tags=["garden"])


def test_a_shared_memory_is_read_at_once_and_not_copied(athena: MemoryClient, hera: MemoryClient, tea: str) -> None:
    assert hera.get(tea) is None
    athena.share(tea, to="hera")
    assert (got(hera, tea).content, got(hera, tea).persona) == (TEA, "athena")
    assert athena.shared_with(tea) == {"hera"}
    assert hera.shared_with(tea) == frozenset()
    assert got(athena, tea).access_count == 4, "shared, read twice by hera, and now"
    assert hera.stats().pending == 0
    athena.remember("Ann drinks coffee.", id=tea)
    assert got(hera, tea).content == "Ann drinks coffee."


def test_several_are_named_at_once_and_all_are_revoked_at_once(athena: MemoryClient, tea: str) -> None:
    athena.share(tea, to=iter(["hera", "zeus", "hera"]))
    athena.share(tea, to=["hera"])
    assert athena.shared_with(tea) == {"hera", "zeus"}
    athena.unshare(tea, to=["hera", "artemis"])
    assert athena.shared_with(tea) == {"zeus"}
    for _ in range(2):
        athena.unshare(tea)
        assert athena.shared_with(tea) == frozenset()
    assert [athena.get(tea, persona=each) for each in ("hera", "zeus")] == [None, None]


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("athena", "has the memory already"),
        (["hera", "athena"], "has the memory already"),
        ([], "nobody is named"),
        ("", "persona"),
        ("*", "persona"),
        (["hera", "../x"], "persona"),
        ([1], "persona"),
    ],
)
def test_whom_a_memory_cannot_be_shared_with_is_said(athena: MemoryClient, tea: str, to: Any, said: str) -> None:
    for call in (athena.share, athena.unshare):
        with pytest.raises(InvalidQuery, match=said):
            call(tea, to=to)
    assert athena.shared_with(tea) == frozenset()


def test_only_the_owner_shares_and_nobody_learns_what_others_have(
    athena: MemoryClient, hera: MemoryClient, tea: str
) -> None:
    with pytest.raises(NotFound) as nowhere:
        hera.share("nowhere", to="zeus")
    with pytest.raises(NotFound) as of_another:
        hera.share(tea, to="zeus")
    athena.share(tea, to="hera")
    with pytest.raises(NotFound) as granted:
        hera.share(tea, to="zeus")
    assert str(nowhere.value).replace("nowhere", tea) == str(of_another.value) == str(granted.value)
    hera.unshare(tea)
    assert athena.shared_with(tea) == {"hera"}


def test_ones_own_memory_comes_first_unless_another_owner_is_named(athena: MemoryClient, hera: MemoryClient) -> None:
    for owner in ("athena", "zeus"):
        athena.remember(f"of {owner}", id="same", persona=owner)
        athena.share("same", to="hera", persona=owner)
    assert got(hera, "same").content == "of athena"
    hera.remember("of hera", id="same")
    assert got(hera, "same").content == "of hera"
    assert [got(hera, "same", owner=each).content for each in ("athena", "zeus", "hera")] == [
        "of athena", "of zeus", "of hera",
    ]  # fmt: skip
    found = {(hit.item.persona, hit.item.id) for hit in hera.recall("of athena hera zeus")}
    assert found == {("athena", "same"), ("hera", "same"), ("zeus", "same")}
    athena.unshare("same")
    assert hera.get("same", owner="athena") is None
    hera.forget("same")
    assert got(hera, "same").persona == "zeus"
    assert hera.get("same", owner="nobody") is None
    with pytest.raises(InvalidQuery):
        hera.get("same", owner="*")


def test_a_grantee_forgets_nothing_of_the_owners(athena: MemoryClient, hera: MemoryClient, tea: str) -> None:
    athena.share(tea, to="hera")
    hera.forget(tea)
    assert (got(athena, tea).content, got(hera, tea).content) == (TEA, TEA)


def test_forgetting_ends_the_sharing(bench: Bench, athena: MemoryClient, hera: MemoryClient, tea: str) -> None:
    athena.share(tea, to="hera")
    hera.recall("Ann drinks")
    athena.forget(tea)
    assert hera.get(tea) is None
    assert ids(hera.recall("Ann drinks")) == []
    with pytest.raises(NotFound):
        athena.share(tea, to="hera")
    bench.world.settle()
    athena.remember(TEA, id=tea)
    assert (hera.get(tea), athena.shared_with(tea)) == (None, frozenset())


# Recall.


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("expired", [False, True])
def test_what_is_shared_is_found_wherever_it_is(
    bench: Bench, athena: MemoryClient, hera: MemoryClient, tea: str, archived: bool, expired: bool
) -> None:
    hera.remember("Zoe drinks water.", id="hers")
    athena.remember("Ann drinks what nobody else must know.", id="secret")
    if archived:
        bench.world.settle()
    athena.share(tea, to="hera")
    if expired:
        bench.world.advance(HOT_SECONDS + 1)
    found = hera.recall("Who drinks in the garden?")
    assert (set(ids(found)), found.degraded) == ({tea, "hers"}, ())
    assert {hit.item.id: hit.item.persona for hit in found} == {tea: "athena", "hers": "hera"}
    assert ("similarity" in next(hit.why for hit in found if hit.item.id == tea)) == archived
    assert ids(hera.recall("garden", types=["semantic"])) == []
    assert got(hera, tea).content == TEA


def test_it_is_found_by_words_without_workers_but_not_without_redis(
    bench: Bench, athena: MemoryClient, tea: str
) -> None:
    athena.share(tea, to="hera")
    bench.world.settle()
    bench.world.advance(HOT_SECONDS + 1)
    hera = bench.client(Workerless, "hera", near=True)
    assert ids(hera.recall("green tea")) == [tea]
    hera._front._hot = hera._hot = hera._answering._hot = Away(
        bench.world.hot, "pending", "probe", "read_scoped", "read", "lenders"
    )
    found = hera.recall("green tea")
    assert (ids(found), found.answered) == ([], ("archive",))
    for owner in (None, "athena"):
        with pytest.raises(Unavailable):
            hera.get(tea, owner=owner)


def test_a_cached_answer_ends_with_the_grant(bench: Bench, athena: MemoryClient, hera: MemoryClient, tea: str) -> None:
    hera.remember("Zoe drinks water.", id="hers")
    bench.world.settle()
    assert set(ids(hera.recall("Who drinks?"))) == {"hers"}
    assert hera.recall("Who drinks?").cached
    athena.share(tea, to="hera")
    assert set(ids(hera.recall("Who drinks?"))) == {"hers", tea}
    assert hera.recall("Who drinks?").cached
    athena.unshare(tea, to="hera")
    again = hera.recall("Who drinks?")
    assert (ids(again), again.cached) == (["hers"], False)


def test_an_answer_that_was_on_its_way_is_checked_once_more(
    bench: Bench, athena: MemoryClient, hera: MemoryClient, tea: str
) -> None:
    athena.share(tea, to="hera")
    bench.world.settle()
    searched = hera._search

    def revoked_meanwhile(query: Any) -> Any:
        answer = searched(query)
        assert [each.key for each in Answer.from_json(answer.encode()).found] == [Key("athena", tea)]
        athena.unshare(tea)
        return answer

    hera._search = revoked_meanwhile  # type: ignore[method-assign] # something happens after it
    assert ids(hera.recall("green tea")) == []


@pytest.mark.parametrize("near", [False, True])
def test_what_is_revoked_while_the_archive_is_asked_is_not_given(
    bench: Bench, athena: MemoryClient, tea: str, near: bool
) -> None:
    athena.share(tea, to="hera")
    bench.world.settle()
    bench.world.advance(HOT_SECONDS + 1)
    hera = bench.client(Held, "hera", near=near)
    disturbed = Disturbed(bench.world.hot, "refill", after=True, event=lambda: athena.unshare(tea))
    hera._front._hot = disturbed
    if not near:
        hera._dispatcher._runtime.__dict__["hot"] = disturbed  # type: ignore[attr-defined] # inline
    assert hera.get(tea, owner="athena") is None
    assert disturbed.happened


def test_the_same_said_by_another_persona_is_another_memory(athena: MemoryClient, hera: MemoryClient, tea: str) -> None:
    athena.share(tea, to="hera")
    mine = hera.remember(TEA, tags=["garden"])
    assert mine != tea
    athena.unshare(tea)
    assert got(hera, mine).persona == "hera"


# What breaks.


def test_while_redis_is_away_nothing_is_shared_and_one_is_told_to_repeat(
    bench: Bench, athena: MemoryClient, tea: str
) -> None:
    away = Away(bench.world.hot, "read_scoped", "share", "unshare", "grants")
    athena._front._hot = athena._hot = away
    with pytest.raises(Unavailable, match=r"call share\(\) again"):
        athena.share(tea, to="hera")
    with pytest.raises(Unavailable, match=r"call unshare\(\) again until it returns"):
        athena.unshare(tea)
    with pytest.raises(Unavailable):
        athena.shared_with(tea)
    assert bench.world.spool.empty()


def test_nothing_is_shared_past_writes_that_wait_but_revoked_it_is(
    bench: Bench, athena: MemoryClient, tea: str
) -> None:
    athena.share(tea, to="hera")
    bench.world.spool.forget([Key("athena", tea)], above=0)
    with pytest.raises(Unavailable, match="earlier writes wait"):
        athena.share(tea, to="zeus")
    athena.unshare(tea)
    assert athena.shared_with(tea) == frozenset()


def test_what_waits_to_be_forgotten_on_this_machine_is_not_read_by_a_grantee(
    bench: Bench, athena: MemoryClient, hera: MemoryClient, tea: str
) -> None:
    athena.share(tea, to="hera")
    there = bench.world.hot
    athena._front._hot = Away(there, "forget")
    athena.forget(tea)
    athena._front._hot = there
    assert hera.get(tea) is None
    assert ids(hera.recall("green tea")) == []
    athena.remember("Nobody else's green tea.", id=tea)  # waits behind it
    assert (hera.get(tea), ids(hera.recall("green tea"))) == (None, [])
    bench.world.advance(1)
    replay(hot=there, spool=bench.world.spool)
    assert (hera.get(tea), athena.shared_with(tea)) == (None, frozenset())
    assert got(athena, tea).content == "Nobody else's green tea."


@pytest.fixture
def workers(bench: Bench) -> Workers:
    return Workers(bench.world)


def emptied(bench: Bench, workers: Workers, *clients: MemoryClient) -> None:
    """Redis has lost everything."""
    world = bench.world
    workers.use("hot", MemoryHotTier(clock=world.now))
    for client in clients:
        client._hot = client._front._hot = world.hot
        client._dispatcher._runtime.__dict__["hot"] = world.hot  # type: ignore[attr-defined] # inline


def test_an_emptied_redis_gets_grants_and_revocations_back(
    bench: Bench, athena: MemoryClient, hera: MemoryClient, workers: Workers, tea: str
) -> None:
    other = athena.remember("Bob drinks water.")
    for each in (tea, other):
        athena.share(each, to=["hera", "zeus"])
    workers.work()
    athena.unshare(other, to="hera")
    workers.work()
    emptied(bench, workers, athena, hera)
    assert hera.get(tea) is None, "it fails closed"
    assert {each.kind for each in workers.compared()} == {granting.LOST}
    workers.reconcile()
    assert athena.shared_with(tea) == {"hera", "zeus"}
    assert athena.shared_with(other) == {"zeus"}
    assert got(hera, tea).content == TEA
    assert (hera.get(other), ids(hera.recall("Who drinks?"))) == (None, [tea])
    assert workers.compared() == set()


@pytest.mark.parametrize("how", ["unshare", "unshare all", "forget", "forget and remember"])
def test_what_ends_a_grant_of_which_redis_knows_no_more_ends_it(
    bench: Bench, athena: MemoryClient, hera: MemoryClient, workers: Workers, tea: str, how: str
) -> None:
    athena.share(tea, to="hera")
    workers.work()
    emptied(bench, workers, athena, hera)
    if how.startswith("unshare"):
        athena.unshare(tea, to=None if "all" in how else "hera")
    else:
        athena.forget(tea)
        if "remember" in how:
            athena.remember("Something else.", id=tea)
    workers.reconcile()
    assert (hera.get(tea), athena.shared_with(tea)) == (None, frozenset())
    assert workers.compared() == set()


def test_what_neither_queue_nor_archive_has_is_told_to_the_archive(
    bench: Bench, athena: MemoryClient, workers: Workers, tea: str
) -> None:
    athena.share(tea, to="hera")
    bench.world.hot.finish_grants(bench.world.hot.claim_grants(10, 0))
    workers.work()
    assert {each.kind for each in workers.compared()} == {granting.UNARCHIVED}
    workers.reconcile()
    assert [each.grantee for each in bench.world.archive.grants("athena", [tea])[0]] == ["hera"]
    assert workers.compared() == set()


def test_a_redis_from_before_a_revocation_learns_of_it(
    bench: Bench, athena: MemoryClient, hera: MemoryClient, workers: Workers, tea: str
) -> None:
    athena.share(tea, to="hera")
    workers.work()
    before = bench.world.hot.grants([Key("athena", tea)])[0].grants
    athena.unshare(tea)
    workers.work()
    emptied(bench, workers, athena, hera)
    bench.world.hot.restore_grants(before)
    bench.world.hot.finish_grants(bench.world.hot.claim_grants(10, 0))
    assert hera.get(tea) is not None
    workers.reconcile()
    assert hera.get(tea) is None
    assert workers.compared() == set()


@pytest.mark.parametrize("part", ["claim_grants", "put_grants", "finish_grants"])
def test_a_worker_that_dies_while_it_tells_the_archive_loses_nothing(
    bench: Bench, athena: MemoryClient, workers: Workers, tea: str, part: str
) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    athena.share(tea, to="hera")
    tier = "archive" if part == "put_grants" else "hot"
    there = getattr(bench.world, tier)
    workers.use(tier, Disturbed(there, part, after=True, event=die))
    with pytest.raises(Killed):
        workers.jobs.archive_grants()
    workers.use(tier, there)
    workers.work()
    assert [each.grantee for each in bench.world.archive.grants("athena", [tea])[0]] == ["hera"]
    assert not bench.world.hot.grants([Key("athena", tea)])[0].queued


def test_a_late_worker_brings_no_revoked_grant_back(
    bench: Bench, athena: MemoryClient, workers: Workers, tea: str
) -> None:
    athena.share(tea, to="hera")
    world = bench.world

    def meanwhile() -> None:
        athena.unshare(tea)
        granting.archive_grants(hot=world.hot, archive=archive, limit=10, lease_seconds=0)

    archive = world.archive
    workers.use("archive", Disturbed(archive, "put_grants", after=False, event=meanwhile))
    workers.jobs.archive_grants()
    workers.use("archive", archive)
    workers.work()
    assert all(each.revoked for each in archive.grants("athena", [tea])[0])
    assert workers.compared() == set()


def test_sharing_nudges_the_workers(bench: Bench) -> None:
    client = bench.client()
    given = client.remember(TEA)
    bench.world.advance(2)
    client.share(given, to="hera")
    assert not bench.world.hot.grants([Key("athena", given)])[0].queued
    bench.world.advance(2)
    client.unshare(given)
    assert all(each.revoked for each in bench.world.archive.grants("athena", [given])[0])
