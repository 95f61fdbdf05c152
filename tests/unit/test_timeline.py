"""Memories in the order of their time, wherever they are; see also test_timeline_model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.clients import Bench, Held, Workerless, got
from tests.unit.world import Away, Disturbed
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.query import Filters, Page
from trinitas_tasks.services import front, stretches, timeline
from trinitas_tasks.services.replay import replay
from trinitas_tasks.tasks.inline import InlineDispatcher
from trinitas_tasks.tiers.archive.lives import Turn

T0 = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client(Held, near=True)


def remember(client: MemoryClient, *numbers: int, **fields: Any) -> None:
    """Memories named by their hour, which are of that hour."""
    for n in numbers:
        client.remember(f"fact {n}", **{"id": f"m{n}", "timestamp": T0 + timedelta(hours=n), **fields})


def ids(page: Page) -> list[str]:
    return [item.id for item in page]


def evict(bench: Bench) -> None:
    bench.world.settle()
    bench.world.advance(400_000)


def turn_cold(bench: Bench, *names: str) -> None:
    for key in (Key("athena", name) for name in names):
        bench.world.archive.turn([Turn(key, bench.world.archive.versions("athena", [key.id])[0], cold=True)])


# What is there, in which order.


@pytest.mark.parametrize("evicted", [False, True])
def test_of_one_time_owners_and_ids_come_in_their_order(bench: Bench, client: MemoryClient, evicted: bool) -> None:
    for persona in ("hera", "artemis", "athena"):
        for name in ("b", "a", "B"):
            client.remember(name, id=name, persona=persona, timestamp=T0)
            if persona != "athena":
                client.share(name, to="athena", persona=persona)
    if evicted:
        evict(bench)
    for newest_first in (False, True):
        page = client.timeline(newest_first=newest_first)
        expected = [(owner, name) for owner in ("artemis", "athena", "hera") for name in ("B", "a", "b")]
        assert [(item.persona, item.id) for item in page] == (expected[::-1] if newest_first else expected)


def test_pages_follow_one_another_while_memories_are_archived(bench: Bench, client: MemoryClient) -> None:
    remember(client, *range(1, 8))
    first = client.timeline(limit=3)
    bench.world.settle()
    second = client.timeline(limit=3, after=first.next)
    evict(bench)
    third = client.timeline(limit=3, after=second.next)
    assert [ids(page) for page in (first, second, third)] == [["m7", "m6", "m5"], ["m4", "m3", "m2"], ["m1"]]
    assert (third.next, third.degraded) == (None, ())
    assert client.timeline(limit=7).next is None


def test_the_newest_state_stands_at_its_own_time(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, 2, 3)
    evict(bench)
    client.update("m1", timestamp=T0 + timedelta(hours=9), content="moved")
    client.update("m3", content="changed")
    page = client.timeline()
    assert [(item.id, item.content) for item in page] == [("m1", "moved"), ("m3", "changed"), ("m2", "fact 2")]
    assert ids(client.timeline(since=T0 + timedelta(hours=2), before=T0 + timedelta(hours=3))) == ["m2"]
    client.forget("m2")
    assert ids(client.timeline()) == ["m1", "m3"]


def test_what_others_share_is_there_as_long_as_they_do(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, 3)
    remember(client, 2, 4, persona="hera")
    assert ids(client.timeline()) == ["m3", "m1"]
    for name in ("m2", "m4"):
        client.share(name, to="athena", persona="hera")
    assert ids(client.timeline()) == ["m4", "m3", "m2", "m1"]
    evict(bench)
    client.update("m2", persona="hera", timestamp=T0)
    assert ids(client.timeline()) == ["m4", "m3", "m1", "m2"]
    client.unshare("m4", persona="hera")
    client.forget("m2", persona="hera")
    assert ids(client.timeline()) == ["m3", "m1"]


def test_filters_are_those_of_recall(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, tags=("x",), type="semantic")
    remember(client, 2, tags=("x", "y"), importance=0.9)
    remember(client, 3, metadata={"n": 1}, type="working")
    for _ in range(2):
        assert ids(client.timeline(types="semantic")) == ["m1"]
        assert ids(client.timeline(types=["semantic", "working"])) == ["m3", "m1"]
        assert ids(client.timeline(filters={"any_tags": ["x"]})) == ["m2", "m1"]
        assert ids(client.timeline(filters=Filters(any_tags=frozenset({"x"})), types=["episodic"])) == ["m2"]
        assert ids(client.timeline(filters={"all_tags": ["x", "y"]})) == ["m2"]
        assert ids(client.timeline(filters={"metadata": {"n": 1}})) == ["m3"]
        assert ids(client.timeline(filters={"min_importance": 0.6})) == ["m2"]
        assert ids(client.timeline(since=T0 + timedelta(hours=2))) == ["m3", "m2"]
        assert ids(client.timeline(before=T0 + timedelta(hours=2))) == ["m1"]
        assert ids(client.timeline(since=T0 + timedelta(hours=3), before=T0)) == []
        evict(bench)


def test_what_has_grown_cold_is_there_unless_it_is_left_out(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, 2, 3)
    evict(bench)
    turn_cold(bench, "m1", "m3")
    assert ids(client.timeline()) == ["m3", "m2", "m1"]
    assert ids(client.timeline(include_archived=False)) == ["m2"]
    client.update("m3", importance=1)
    assert ids(client.timeline(include_archived=False)) == ["m3", "m2"]


def test_to_read_is_no_access_and_revives_nothing(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, 2)
    client.share("m1", to="hera")
    evict(bench)
    turn_cold(bench, "m1")
    before = bench.world.hot.reads(), bench.world.hot.noted(10)
    for persona in ("athena", "hera"):
        assert client.timeline(persona=persona)[0].access_count == 0
    bench.world.hot.settled(before[1].batch)
    assert (bench.world.hot.reads(), bench.world.hot.noted(10).batch) == (before[0], 0)
    assert bench.world.hot.standings([Key("athena", "m1"), Key("athena", "m2")]) == [None, None]
    assert bench.world.archive.lives("athena", ["m1"])[0].cold
    got(client, "m1")
    assert client.timeline()[1].access_count == 1


# Times.


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    "since",
    [
        "2026-05-01T11:00:00",
        "2026-05-01T02:00:00Z",
        "2026-05-01T04:00+02:00",
        datetime(2026, 5, 1, 11),
        T0 + timedelta(hours=2),
    ],
)
def test_times_without_a_zone_are_of_this_machine(client: MemoryClient, since: str | datetime) -> None:
    remember(client, 1, 2, 3)
    assert ids(client.timeline(since=since)) == ["m3", "m2"]
    assert ids(client.timeline(before=since)) == ["m1"]
    assert ids(client.timeline(since="2026-05-02")) == []


@pytest.mark.parametrize("given", ["yesterday", "", "2026-13-01", 5, "0001-01-01T00:00+14:00"])
@pytest.mark.parametrize("name", ["since", "before"])
def test_what_is_no_time_is_refused(client: MemoryClient, name: str, given: Any) -> None:
    with pytest.raises(InvalidQuery, match=f"{name}: "):
        client.timeline(**{name: given})


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"limit": 0}, "limit: "),
        ({"limit": 1001}, "limit: "),
        ({"limit": "many"}, "limit: "),
        ({"types": ["kind"]}, "types"),
        ({"newest_first": "no"}, "newest_first: "),
        ({"filters": {"colour": "red"}}, "colour: "),
        ({"persona": "a b"}, "persona: "),
    ],
)
def test_what_cannot_be_asked_is_refused(client: MemoryClient, asked: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidQuery, match=text):
        client.timeline(**asked)


# Cursors.


def test_a_cursor_outlives_its_memory(bench: Bench, client: MemoryClient) -> None:
    remember(client, *range(6))
    for settle in (bench.world.settle, lambda: evict(bench)):
        page = client.timeline(limit=2)
        assert ids(page) == ["m5", "m4"]
        client.forget("m4")
        remember(client, 4, id="late", timestamp=T0 + timedelta(hours=4, minutes=1))
        remember(client, 4, id="new", timestamp=T0 + timedelta(hours=3, minutes=1))
        assert ids(client.timeline(limit=9, after=page.next)) == ["new", "m3", "m2", "m1", "m0"]
        for name in ("late", "new"):
            client.forget(name)
        remember(client, 4)
        settle()


def test_a_cursor_is_of_one_timeline(client: MemoryClient) -> None:
    remember(client, 1, 2, 3)
    asked: dict[str, Any] = {"filters": {"any_tags": [], "types": ["episodic"]}, "since": T0}
    cursor = client.timeline(limit=1, **asked).next
    assert cursor is not None
    assert ids(client.timeline(limit=2, after=cursor, **asked)) == ["m2", "m1"]
    others: list[dict[str, Any]] = [
        {"persona": "hera"}, {"newest_first": False}, {"before": T0}, {"since": None}, {"types": ["working"]},
        {"include_archived": False}, {"filters": {"types": ["episodic"], "any_tags": ["x"]}},
    ]  # fmt: skip
    for other in others:
        with pytest.raises(InvalidQuery, match="is not a cursor of this timeline"):
            client.timeline(after=cursor, **(asked | other))


def test_a_torn_cursor_is_refused(client: MemoryClient) -> None:
    remember(client, 1, 2, 3)
    cursor = client.timeline(limit=1).next
    assert cursor is not None
    torn = [cursor[:-1], cursor[1:], cursor + "0", cursor.upper(), "", "1-0123456789abcdef", "\0" * 30]
    other = {letter: "B" if letter == "A" else "A" for letter in cursor}
    torn += [cursor[:place] + other[letter] + cursor[place + 1 :] for place, letter in enumerate(cursor)]
    for each in (*torn, 7, ["x"]):
        with pytest.raises(InvalidQuery, match="after: "):
            client.timeline(after=each)  # type: ignore[arg-type] # as callers may


def test_a_cursor_is_short_and_fit_for_a_command_line(client: MemoryClient) -> None:
    longest = "z" * 128
    client.remember("x", persona="p" * 64, id=longest)
    client.remember("x", persona="p" * 64, id="later")
    page = client.timeline(persona="p" * 64, limit=1)
    assert page.next is not None
    assert len(page.next) < 400
    assert set(page.next) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert ids(client.timeline(persona="p" * 64, after=page.next)) == [longest]


# Few of many.


def pages(client: MemoryClient, **asked: Any) -> list[Page]:
    found = [client.timeline(**asked)]
    while found[-1].next:
        found.append(client.timeline(after=found[-1].next, **asked))
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 12])
def test_where_many_were_just_forgotten_nothing_is_passed_over(bench: Bench, client: MemoryClient, limit: int) -> None:
    remember(client, *range(40))
    bench.world.settle()
    remember(client, 100, 101, 102, persona="hera")
    for name in ("m100", "m101", "m102"):
        client.share(name, to="athena", persona="hera")
    for n in range(40):
        if n % 7:
            client.forget(f"m{n}")  # the archive does not know it yet
    for newest_first in (True, False):
        found = pages(client, limit=limit, newest_first=newest_first)
        expected = [f"m{n}" for n in (0, 7, 14, 21, 28, 35, 100, 101, 102)]
        assert [name for page in found for name in ids(page)] == (expected[::-1] if newest_first else expected)


def test_where_few_are_admitted_pages_are_short_and_work_is_bounded(
    bench: Bench, client: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(client, *range(60), tags=("x",))
    remember(client, 60, 2, tags=("x", "rare"))
    asked: dict[str, Any] = {"filters": {"any_tags": ["rare"]}, "limit": 2}
    steps = []
    monkeypatch.setattr(timeline, "STEPS", 3)

    class Counted:
        def __getattr__(self, name: str) -> Any:
            if name == "waiting":
                steps.append(name)
            return getattr(bench.world.hot, name)

    hot, bench.world.hot = bench.world.hot, Counted()
    counted = bench.client(Held, near=True)
    bench.world.hot = hot
    found = pages(counted, **asked)
    assert [name for page in found for name in ids(page)] == ["m60", "m2"]
    assert len(found) == 7
    assert len(steps) == 21


# What is where, and what is away.


def test_the_workers_answer_where_the_archive_is_theirs(bench: Bench) -> None:
    client = bench.client(persona="athena")
    remember(client, *range(5), tags=("x",), metadata={"n": [1, None]}, ttl=9, importance=0.1)
    remember(client, 9, persona="hera")
    client.share("m9", to="athena", persona="hera")
    evict(bench)
    near = bench.client(near=True)
    questions: list[dict[str, Any]] = [
        {}, {"limit": 2}, {"newest_first": False}, {"types": ["semantic"]}, {"since": T0 + timedelta(hours=3)},
    ]  # fmt: skip
    for asked in questions:
        assert client.timeline(**asked) == near.timeline(**asked)
    assert len(client.timeline()) == 6


def test_an_answer_of_the_workers_has_its_size(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "BYTES", 3000)
    sizes = []

    class Measured(InlineDispatcher):
        def ask(self, job: str, arguments: Any, *, deadline_ms: int) -> Any:
            answer = super().ask(job, arguments, deadline_ms=deadline_ms)
            sizes.append(sum(len(row[0]) for row in answer["records"]))
            return answer

    client = bench.client(Measured)
    for n in range(20):
        client.remember("x" * 1000, id=f"m{n:02}", timestamp=T0 + timedelta(hours=n))
    evict(bench)
    sizes.clear()
    assert [name for page in pages(client, limit=20) for name in ids(page)] == [f"m{n:02}" for n in range(20)][::-1]
    assert sizes
    assert max(sizes) < 3000 + 1300


def test_while_redis_is_away_the_archive_and_the_spool_answer(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, 2, 3)
    remember(client, 4, persona="hera")
    client.share("m4", to="athena", persona="hera")
    evict(bench)
    methods = ("read", "write", "forget", "waiting", "granted", "places", "read_scoped", "ping")
    bench.world.hot = Away(bench.world.hot, *methods)
    bench.world.hot.fence = 0
    away = bench.client(Workerless, near=True, TRINITAS_RETRY_DELAY=3600)
    remember(away, 0, 5)
    remember(away, 2, timestamp=T0 + timedelta(hours=9))
    away.forget("m3")
    for limit in (1, 2, 9):
        found = pages(away, limit=limit)
        assert [name for page in found for name in ids(page)] == ["m2", "m5", "m1", "m0"]
        assert all(said.startswith("redis: ") for page in found for said in page.degraded)
        assert all(len(page.degraded) == 1 for page in found)
    with pytest.raises(Unavailable, match=r"redis: .*; archive: "):
        bench.client(Workerless, TRINITAS_RETRY_DELAY=3600).timeline()


def test_what_this_client_knows_to_be_newer_is_not_shown_older(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, 2)
    bench.world.settle()
    client.update("m1", content="newer")
    client._hot = Away(bench.world.hot, "waiting")
    page = client.timeline()
    assert ids(page) == ["m2"]
    assert page.degraded


def test_while_the_archive_is_away_what_is_not_archived_answers(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1, 2)
    evict(bench)
    remember(client, 3)
    bench.world.archive = Away(bench.world.archive, "timeline")
    page = bench.client(Workerless, near=True).timeline()
    assert ids(page) == ["m3"]
    [said] = page.degraded
    assert said.startswith("archive: timeline: nobody there; and timeline(")


def test_redis_that_goes_away_meanwhile_leaves_nothing_that_is_anothers(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1)
    remember(client, 2, 3, persona="hera")
    for name in ("m2", "m3"):
        client.share(name, to="athena", persona="hera")
    bench.world.settle()
    remember(client, 3, persona="hera")
    for method in ("granted", "places", "waiting", "read_scoped"):
        client._hot = Away(bench.world.hot, method)
        page = client.timeline()
        assert ids(page) == ["m1"]
        assert page.degraded == (f"redis: {method}: nobody there",)

    leaving = Leaving(bench.world.hot)
    client._hot = leaving
    page = client.timeline()
    assert leaving.left
    assert ids(page) == ["m1"]


class Leaving:
    """A hot tier that goes away after its first answer to who may read what."""

    def __init__(self, tier: Any) -> None:
        self._tier, self.left = tier, False

    def __getattr__(self, name: str) -> Any:
        if self.left and name != "close":
            raise Unavailable(f"{name}: nobody there")
        if name == "read_scoped":
            self.left = True
        return getattr(self._tier, name)


def test_too_much_is_told(bench: Bench, client: MemoryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "SHARED", 2)
    remember(client, 1, 2, 3, persona="hera")
    for name in ("m1", "m2"):
        client.share(name, to="athena", persona="hera")
    client.share("m3", to="athena", persona="hera")
    page = client.timeline()
    assert ids(page) == ["m3", "m2"]
    assert page.degraded == ("shared: only the 2 memories that were shared last were looked at",)
    monkeypatch.setattr(timeline, "SHARED", 9)
    for module in (front, timeline):
        monkeypatch.setattr(module, "PENDING", 2)
    items = [got(client, name, persona="hera").model_copy(update={"persona": "athena"}) for name in ("m1", "m2", "m3")]
    bench.world.spool.write([(item, None) for item in items], above=0)
    page = bench.client(Held, near=True, TRINITAS_RETRY_DELAY=3600).timeline()
    assert [item.id for item in page if item.persona == "athena"] == ["m3", "m2"]
    assert page.degraded == ("spool: only the newest 2 of the writes that wait there were looked at",)


# What happens while it is read.


def test_what_was_replayed_and_changed_meanwhile_is_read_as_it_is_now(bench: Bench, client: MemoryClient) -> None:
    remember(client, 1)
    [item] = client.timeline()
    bench.world.spool.write([(item.model_copy(update={"content": "spooled"}), None)], above=1 << 60)

    def go_on() -> None:
        replay(hot=bench.world.hot, spool=bench.world.spool)
        client.update("m1", content="newest")
        evict(bench)

    reader = bench.client(Held, near=True, TRINITAS_RETRY_DELAY=3600)
    reader._hot = Disturbed(bench.world.hot, "waiting", after=False, event=go_on)
    assert [item.content for item in reader.timeline()] == ["newest"]


def test_what_moves_while_a_page_is_gathered_is_there_once(bench: Bench, client: MemoryClient) -> None:
    remember(client, *range(10))
    bench.world.settle()
    for n in range(2, 9):
        client.forget(f"m{n}")  # so that one look is not enough

    def move() -> None:
        client.update("m9", timestamp=T0 - timedelta(hours=1))

    class Looked:
        """Something happens before the second look."""

        looks = 0

        def __getattr__(self, name: str) -> Any:
            if name == "waiting":
                self.looks += 1
                if self.looks == 2:
                    move()
            return getattr(bench.world.hot, name)

    reader = bench.client(Held, near=True)
    reader._hot = looked = Looked()
    page = reader.timeline(limit=5)
    assert looked.looks > 1
    assert ids(page) == ["m1", "m0", "m9"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["waiting", "granted", "places", "read_scoped"])
@pytest.mark.parametrize("event", ["archived", "forgotten", "unshared", "moved"])
def test_whatever_happens_between_two_looks_nothing_is_missed_or_told_too_much(
    bench: Bench, client: MemoryClient, method: str, event: str, after: bool
) -> None:
    remember(client, 1, 2)
    remember(client, 3, 4, persona="hera")
    for name in ("m3", "m4"):
        client.share(name, to="athena", persona="hera")
    bench.world.settle()
    remember(client, 2, 5)
    remember(client, 4, persona="hera")

    def forget() -> None:
        client.forget("m2")
        client.forget("m4", persona="hera")

    def move() -> None:
        client.update("m5", timestamp=T0)
        client.update("m4", timestamp=T0 + timedelta(hours=9), persona="hera")

    events: dict[str, Callable[[], None]] = {
        "archived": lambda: evict(bench),
        "forgotten": forget,
        "unshared": lambda: client.unshare("m4", persona="hera"),
        "moved": move,
    }
    reader = bench.client(Held, near=True)
    disturbed = Disturbed(bench.world.hot, method, after=after, event=events[event])
    reader._hot = disturbed
    page = reader.timeline()
    assert disturbed.happened
    assert page.degraded == ()
    there = {
        "archived": [["m5", "m4", "m3", "m2", "m1"]],
        "forgotten": [["m5", "m3", "m1"], ["m5", "m4", "m3", "m2", "m1"]],
        "unshared": [["m5", "m3", "m2", "m1"], ["m5", "m4", "m3", "m2", "m1"]],
        "moved": [["m4", "m3", "m2", "m1", "m5"], ["m5", "m4", "m3", "m2", "m1"]],
    }[event]
    assert ids(page) in there
    if not after or method != "read_scoped":
        assert ids(page) == there[0], "what had happened before the last look"
