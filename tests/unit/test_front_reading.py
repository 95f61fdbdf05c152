"""What the client reads and finds while Redis, the workers or the spool come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import memory, wait_until
from tests.unit.clients import Bench, Held, got, ids
from tests.unit.fronts import KEY, NEW, OLD, OTHER, Site, found
from tests.unit.world import Away, Disturbed
from trinitas_tasks.errors import Overloaded, Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.services.replay import TOGETHER, replay
from trinitas_tasks.tiers.hot.interface import Write

FACT = memory("Tea is a drink.", id="fact", type="semantic")


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


# By id.


def test_without_redis_only_what_may_be_true_is_answered(site: Site) -> None:
    site.write(OLD)
    site.world.settle()
    site.hot.away = True
    assert site.get() == OLD.content, "from the archive"
    with pytest.raises(Unavailable):
        site.get(OTHER)
    site.forget(OLD)
    assert site.get() is None, "this machine knows"


def test_what_was_forgotten_is_not_brought_back_by_the_archive(site: Site) -> None:
    site.write(OLD)
    site.world.settle()
    site.forget(OLD)
    site.hot.away = True
    with pytest.raises(Unavailable):  # somebody may have remembered it again
        site.get()
    assert found(site.by_words("Ann")) == {}
    site.hot.away = False
    site.world.remember(NEW)
    site.world.settle()
    site.hot.away = True
    assert site.get() == NEW.content, "it is newer than what this machine knows"


def test_of_a_spooled_state_and_one_in_redis_the_newer_is_read(site: Site) -> None:
    site.hot.away = True
    site.write(OLD)
    site.world.hot.write([Write(NEW)], above=site.front.seen)
    site.hot.away = False
    assert site.get() == NEW.content
    assert found(site.recall("green tea")) == {"tea": NEW.content}
    assert found(site.by_words("green tea")) == {"tea": NEW.content}
    site.settle()
    site.workers.assert_whole([NEW])


def test_what_left_redis_is_fetched_by_whoever_can_read_the_archive(site: Site) -> None:
    site.write(OLD)
    site.world.settle()
    for near, fetched in ((True, []), (False, ["tea"])):
        site.world.advance(100_000)
        site.front = site.make(near=near)
        assert site.get() == OLD.content
        assert (site.fetched, site.world.standing(OLD) is not None) == (fetched, True)
    assert site.front.get(Key("athena", "never")) is None
    site.world.advance(100_000)
    site.world.hot.refill = lambda *_, **__: None
    site.front = site.make(near=False)
    with pytest.raises(Unavailable, match="out of memory"):
        site.get()
    site.front = site.make()
    assert site.get() == OLD.content


@pytest.mark.parametrize("part", ["hot", "spool"])
@pytest.mark.parametrize("after", [False, True])
def test_a_replay_during_a_read_hides_nothing(site: Site, part: str, after: bool) -> None:
    site.hot.away = True
    site.write(NEW, OTHER)
    site.hot.away = False
    site.world.remember(OLD)
    site.world.hot.advance(site.front.seen)
    method = {"hot": "read_scoped", "spool": "latest"}[part]
    disturbed = Disturbed(getattr(site, part), method, after=after, event=site.replay)
    parts: dict[str, Any] = {part: disturbed}
    site.front = site.make(**parts)
    records = site.front.read("athena", ["tea", "water"])
    assert disturbed.happened
    assert [record and record.item.id for record in records] == ["tea", "water"]


@pytest.mark.parametrize("method", ["empty", "pending", "latest"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("by_words", [False, True])
def test_a_replay_during_a_search_hides_nothing(site: Site, method: str, after: bool, by_words: bool) -> None:
    site.hot.away = True
    site.write(NEW, OTHER)
    site.hot.away = False
    site.front = site.make(spool=Disturbed(site.spool, method, after=after, event=site.replay))
    recall = (site.by_words if by_words else site.recall)("Who drinks what?")
    assert found(recall) == {"tea": NEW.content, "water": OTHER.content}


# By words.


def test_what_waits_is_found_by_its_words(site: Site) -> None:
    site.write(OTHER)
    site.world.settle()
    site.hot.away = True
    site.write(OLD, FACT)
    assert found(site.by_words("tea")) == {"tea": OLD.content, "fact": FACT.content}
    site.hot.away = False
    site.world.remember(memory("Zoe drinks juice.", id="juice"), memory("Max drinks milk.", id="milk"))
    site.world.settle()
    assert found(site.recall("Who drinks tea?")).keys() == {"tea", "fact", "water", "juice", "milk"}
    site.world.hot.forget([Key("athena", "juice"), Key("athena", "milk")])
    recall = site.recall("Who drinks tea?")
    assert found(recall) == {"tea": OLD.content, "fact": FACT.content, "water": OTHER.content}
    assert {hit.item.id: hit.tier for hit in recall} == {"tea": "spool", "fact": "spool", "water": "redis"}
    for search in (site.recall, site.by_words):
        assert found(search("tea", filters={"types": {"semantic"}})) == {"fact": FACT.content}
        assert found(search("tea", filters={"types": {"working"}})) == {}
        assert len(search("drinks tea", limit=1)) == 1
        assert len(search("drinks tea", limit=2)) == 2


def test_what_changed_in_the_spool_is_found_once_and_as_it_is_now(site: Site) -> None:
    site.write(OLD, OTHER, FACT)
    site.world.settle()
    site.hot.away = True
    site.write(NEW, memory("Water, not tea, is a fact.", id="fact", type="working"))
    site.forget(OTHER)
    site.hot.away = False
    for search in (site.recall, site.by_words):
        assert found(search("Who drinks coffee, tea or water?")) == {
            "tea": NEW.content,
            "fact": "Water, not tea, is a fact.",
        }
        assert found(search("tea is a drink", filters={"types": {"semantic"}})) == {}
    site.settle()
    assert found(site.recall("Who drinks coffee?")).keys() == {"tea", "fact"}


def test_nobody_finds_what_waits_for_another_persona(site: Site) -> None:
    site.hot.away = True
    site.write(OLD, memory("Ann drinks poison.", id="hers", persona="hera"))
    assert found(site.by_words("Ann drinks")) == {"tea": OLD.content}
    site.hot.away = False
    assert found(site.recall("Ann drinks")) == {"tea": OLD.content}
    assert site.front.get(Key("hera", "tea")) is None


def test_without_workers_full_text_and_what_is_not_archived_answer(site: Site) -> None:
    site.write(OLD)
    site.world.settle()
    site.write(OTHER, FACT)
    recall = site.by_words("Who drinks tea or water?")
    assert found(recall) == {"tea": OLD.content, "water": OTHER.content, "fact": FACT.content}
    assert (recall.answered, recall.degraded) == (("archive", "redis"), ("search: no worker",))
    site.hot.away = True
    recall = site.by_words("Who drinks tea or water?")
    assert found(recall) == {"tea": OLD.content}
    assert (recall.answered, recall.degraded) == (("archive",), ("redis: pending: nobody there",))
    site.front = site.make(near=False)
    with pytest.raises(Unavailable, match="no worker"):
        site.by_words("tea")


# The spool in trouble.


def test_a_spool_in_trouble_disturbs_nothing_that_works_without_it(site: Site) -> None:
    site.spool.away = True
    site.write(OLD, OTHER)
    assert site.get() == OLD.content
    assert site.get(FACT) is None
    for search in (site.recall, site.by_words):
        assert found(search("Ann drinks tea")).keys() == {"tea", "water"}
    with pytest.raises(Unavailable):  # else the archive might answer with it when Redis is away
        site.forget(OLD)
    assert site.get() is None, "it was forgotten all the same"
    site.world.settle()
    site.workers.assert_whole([OTHER])


def test_without_redis_and_spool_nothing_is_answered_that_may_be_forgotten(site: Site) -> None:
    site.write(OLD)
    site.world.settle()
    site.forget(OLD)
    site.hot.away = site.spool.away = True
    questions: list[Callable[[], object]] = [site.get, lambda: site.by_words("Ann drinks tea")]
    for ask in questions:
        with pytest.raises(Unavailable):
            ask()


# Replaying.


def test_what_waits_is_replayed_in_the_background_when_redis_is_back(site: Site) -> None:
    site.front = site.make(retry_seconds=0.01)
    site.hot.away = True
    site.write(OLD)
    site.forget(OTHER)
    site.hot.away = False
    wait_until(lambda: site.replayed)
    assert site.world.spool.empty()
    assert site.get() == OLD.content
    site.hot.away = True
    site.write(NEW)
    site.hot.away = False
    wait_until(lambda: site.replayed == 2)
    assert site.get() == NEW.content


def test_what_is_spooled_at_the_end_of_a_replay_is_replayed_too(site: Site) -> None:
    """Nobody may call again for hours."""

    def replayed() -> None:
        if site.count() == 1:
            site.hot.away = True
            site.write(OTHER)
            site.hot.away = False

    site.front = site.make(retry_seconds=0.01, replayed=replayed)
    site.hot.away = True
    site.write(OLD)
    site.hot.away = False
    wait_until(lambda: site.replayed == 2)
    assert site.world.spool.empty()


def test_what_another_process_left_behind_is_replayed_by_whoever_reads(site: Site) -> None:
    site.hot.away = True
    site.write(OLD)
    site.hot.away = False
    site.front = site.make(retry_seconds=0.01)
    assert site.get() == OLD.content
    wait_until(site.world.spool.empty)


def test_a_closed_front_replays_no_more(site: Site) -> None:
    site.hot.away = True
    site.write(OLD)
    site.front.close()
    thread = site.front._replayer.thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    assert not site.world.spool.empty()


def test_a_replay_that_is_broken_off_goes_on_where_it_was(site: Site) -> None:
    items = [memory(f"Note {number}.", id=f"m{number}") for number in range(TOGETHER + 50)]
    site.hot.away = True
    site.write(*items)
    site.forget(items[0])
    site.write(memory("Again.", id="m0"))
    hot: Any = site.world.hot
    hot._outbox_limit = TOGETHER + 20
    with pytest.raises(Overloaded):
        replay(hot=hot, spool=site.world.spool)
    assert site.world.spool.waiting() == 52
    hot._outbox_limit = 1000
    with pytest.raises(Unavailable):
        replay(hot=Away(hot, "forget"), spool=site.world.spool)
    assert replay(hot=hot, spool=Disturbed(site.world.spool, "take", after=True, event=site.replay)) == 52
    assert replay(hot=hot, spool=site.world.spool) == 0
    site.world.ingest(limit=1000)
    site.settle()
    site.workers.assert_whole([memory("Again.", id="m0"), *items[1:]])
    assert site.get(memory(id=KEY.id)) is None


def test_a_client_is_never_given_an_older_version_than_it_has_written_or_read() -> None:
    bench = Bench()
    writer, reader = bench.client(Held, near=True), bench.client(Held, near=True)
    for client in (writer, reader):
        client.remember("first", id="m")
    bench.world.ingest()
    writer.remember("second", id="m")
    there = bench.world.hot
    writer._front._hot = reader._front._hot = writer._hot = reader._hot = Away(
        there, "read", "read_scoped", "pending", "probe"
    )
    with pytest.raises(Unavailable):
        writer.get("m")
    assert ids(writer.recall("first")) == []
    assert got(reader, "m").content == "first"  # it has not seen the second
    for client in bench.closing:
        client.close()
