"""What update() changes, what it leaves, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.clients import Bench, Held, Workerless, got, ids
from tests.unit.world import Away, Disturbed
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Conflict, InvalidMemory, InvalidQuery, NotFound, Overloaded, Unavailable
from trinitas_tasks.model import Key, MemoryItem, MemoryType
from trinitas_tasks.services.update import TRIES
from trinitas_tasks.tiers.archive.lives import Turn
from trinitas_tasks.tiers.hot.memory import MemoryHotTier

FIELDS: dict[str, Any] = {
    "type": "semantic", "timestamp": datetime(2026, 1, 2, tzinfo=UTC), "importance": 0.25, "ttl": 60,
    "metadata": {"a": 1, "b": 2}, "tags": ("x", "y"),
}  # fmt: skip


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client()


@pytest.fixture
def tea(client: MemoryClient) -> str:
    return client.remember("Ann drinks tea.", **FIELDS)


def evict(bench: Bench) -> None:
    """Archive what there is; no copy is left."""
    bench.world.settle()
    bench.world.advance(400_000)


def said(client: MemoryClient, memory_id: str, **fields: Any) -> object:
    """All that a caller can say of it."""
    return got(client, memory_id, **fields).model_dump(exclude={"access_count", "last_access"})


# What it does.


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"content": {"any": ["JSON", None]}}, {"content": {"any": ["JSON", None]}}),
        ({"type": "procedural"}, {"type": MemoryType.PROCEDURAL}),
        ({"timestamp": "2026-02-03T04:05:06Z"}, {"timestamp": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)}),
        ({"importance": 1}, {"importance": 1.0}),
        ({"ttl": None}, {"ttl": None}),
        ({"ttl": 9, "tags": []}, {"ttl": 9, "tags": ()}),
        ({"metadata": {"c": 3}}, {"metadata": {"c": 3}}),
        ({}, {}),
    ],
)
def test_what_is_given_is_changed_and_all_else_stays(
    bench: Bench, client: MemoryClient, tea: str, evicted: bool, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = got(client, tea)
    if evicted:
        evict(bench)
    after = client.update(tea, **changes)
    exclude = {"access_count", "last_access"}
    assert after.model_dump(exclude=exclude) == before.model_copy(update=expected).model_dump(exclude=exclude)
    assert said(client, tea) == after.model_dump(exclude=exclude)
    bench.world.settle()
    archived = bench.world.archived(after)
    assert archived is not None
    assert archived.model_dump(exclude=exclude) == after.model_dump(exclude=exclude)


def test_it_is_no_access_and_keeps_those_that_there_were(bench: Bench, client: MemoryClient, tea: str) -> None:
    got(client, tea)
    assert client.update(tea, content="Ann drinks coffee.").access_count == 1
    assert got(client, tea).access_count == 2
    evict(bench)
    client.update(tea, content="Ann drinks milk.")
    assert got(client, tea).access_count == 3
    assert sum(access.count for access in bench.world.hot.noted(10).accesses) == 3


def test_pins_feedback_and_grants_stay(bench: Bench, client: MemoryClient, tea: str) -> None:
    client.pin(tea)
    client.feedback(tea, useful=True)
    client.share(tea, to="hera")
    evict(bench)
    client.ask("run", "flush_access", False, None)
    client.update(tea, content="Ann drinks coffee.")
    bench.world.settle()
    life = bench.world.archive.lives("athena", [tea])[0]
    assert (life.record.item.content, life.pinned, life.useful) == ("Ann drinks coffee.", True, 1)
    assert client.shared_with(tea) == {"hera"}
    assert got(client, tea, persona="hera").content == "Ann drinks coffee."


def test_everybody_finds_it_as_it_is_now_at_once(bench: Bench) -> None:
    client = bench.client(Held)
    tea = client.remember("Ann drinks tea.")
    client.share(tea, to="hera")
    bench.world.settle()
    for persona in ("athena", "hera"):
        assert ids(client.recall("tea", persona=persona)) == [tea]
        assert client.recall("tea", persona=persona).cached
    client.update(tea, content="Ann drinks coffee.")
    for persona in ("athena", "hera"):
        found = client.recall("coffee", persona=persona)
        assert [(hit.item.id, hit.item.content) for hit in found] == [(tea, "Ann drinks coffee.")]
        assert all(hit.item.content != "Ann drinks tea." for hit in client.recall("tea", persona=persona))
    bench.world.settle()
    assert bench.world.found("coffee") == [tea]


def test_an_archived_memory_that_is_changed_is_active_again(bench: Bench, client: MemoryClient, tea: str) -> None:
    evict(bench)
    version = bench.world.archive.versions("athena", [tea])[0]
    bench.world.archive.turn([Turn(Key("athena", tea), version, cold=True)])
    client.update(tea, importance=0.75)
    bench.world.settle()
    assert not bench.world.archive.lives("athena", [tea])[0].cold


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"content": "Ann drinks tea.", "importance": 0.25, "ttl": 60},
        {"metadata": {"b": 2, "a": 1}},
        {"tags": ["x", "y"], "timestamp": "2026-01-02T01:00:00+01:00"},
    ],
)
def test_nothing_is_written_where_nothing_changes(
    bench: Bench, client: MemoryClient, tea: str, changes: dict[str, Any]
) -> None:
    bench.world.settle()
    before = bench.world.hot.standings([Key("athena", tea)])
    assert client.update(tea, **changes) == got(client, tea).model_copy(
        update={"access_count": 0, "last_access": FIELDS["timestamp"]}
    )
    assert bench.world.hot.standings([Key("athena", tea)]) == before
    evict(bench)
    client.update(tea, **changes)
    assert not bench.world.hot.unarchived(Key("athena", tea))


def test_true_is_not_one(client: MemoryClient, tea: str) -> None:
    assert client.update(tea, content=[1]).content == [1]
    client.update(tea, content=[True])
    assert got(client, tea).content[0] is True


def test_a_changed_memory_is_not_what_was_said_before(client: MemoryClient) -> None:
    first = client.remember("Ann drinks tea.")
    assert client.remember("Ann drinks tea.") == first
    client.update(first, content="Ann drinks coffee.")
    again = client.remember("Ann drinks tea.")
    assert again != first
    assert got(client, again).content == "Ann drinks tea."


def test_a_synchronous_update_returns_when_it_is_archived(bench: Bench) -> None:
    client = bench.client(ASYNC_WRITES=False)
    memory_id = client.remember("Ann drinks tea.")
    client.update(memory_id, content="Ann drinks coffee.")
    assert bench.world.archive.load("athena", [memory_id])[0].item.content == "Ann drinks coffee."


# What it refuses.


def test_of_what_is_anothers_nothing_is_told(bench: Bench, client: MemoryClient, tea: str) -> None:
    client.share(tea, to="hera")
    forgotten = client.remember("Ann drank tea.")
    client.forget(forgotten)
    texts = set()
    for persona, memory_id in (("hera", tea), ("hera", "nothing"), ("zeus", tea), ("athena", forgotten)):
        for _ in range(2):
            with pytest.raises(NotFound) as refused:
                client.update(memory_id, content="Ann drinks coffee.", persona=persona)
            texts.add(str(refused.value).replace(memory_id, "ID").replace(persona, "PERSONA"))
            evict(bench)
    assert texts == {"PERSONA has no memory ID"}
    assert got(client, tea).content == "Ann drinks tea."


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"content": " "}, "content: there is nothing to remember"),
        ({"content": "\0"}, "NUL"),
        ({"content": "x" * 3000}, "3 KB are more than the 2 KB allowed"),
        ({"type": "kind"}, "type: "),
        ({"type": None}, "type: "),
        ({"importance": 2}, "importance: "),
        ({"timestamp": "2026-01-02"}, "timestamp: "),
        ({"metadata": None}, "metadata: "),
        ({"tags": [""]}, "tags"),
        ({"ttl": 0}, "ttl: "),
    ],
)
def test_what_remember_refuses_is_refused(bench: Bench, changes: dict[str, Any], text: str) -> None:
    client = bench.client(TRINITAS_MAX_CONTENT_KB=2)
    memory_id = client.remember("Ann drinks tea.")
    before = said(client, memory_id)
    with pytest.raises(InvalidMemory, match=text):
        client.update(memory_id, **changes)
    assert said(client, memory_id) == before


def test_names_are_checked(client: MemoryClient) -> None:
    with pytest.raises(InvalidQuery, match="id: "):
        client.update("a b", content="x")
    with pytest.raises(InvalidQuery, match="persona: "):
        client.update("a", persona="a b", content="x")
    with pytest.raises(TypeError):
        client.update("a", id="b")  # type: ignore[misc] # an id stays


def test_a_full_outbox_refuses_a_change(bench: Bench) -> None:
    bench.world.hot = MemoryHotTier(clock=bench.world.now, outbox_limit=1)
    client = bench.client(Held)
    memory_id = client.remember("Ann drinks tea.")
    with pytest.raises(Overloaded):
        client.update(memory_id, content="Ann drinks coffee.")
    assert got(client, memory_id).content == "Ann drinks tea."


# Others.


def disturbed(bench: Bench, method: str, event: Callable[[], object], *, after: bool) -> MemoryClient:
    """A client whose hot tier has something happen to it once."""
    hot = bench.world.hot
    bench.world.hot = Disturbed(hot, method, after=after, event=event)
    client = bench.client(near=True)
    bench.world.hot = hot
    return client


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize(("method", "after"), [("read", True), ("probe", True), ("replace", False)])
def test_changes_at_the_same_time_are_both_kept(
    bench: Bench, client: MemoryClient, tea: str, evicted: bool, method: str, after: bool
) -> None:
    if evicted:
        evict(bench)
    other = disturbed(bench, method, lambda: client.update(tea, importance=1.0), after=after)
    other.update(tea, tags=["z"])
    found = got(client, tea)
    happened = evicted or method != "probe"
    assert (found.tags, found.importance) == (("z",), 1.0 if happened else 0.25)


@pytest.mark.parametrize(("method", "after"), [("probe", True), ("replace", False)])
def test_a_change_that_came_and_left_meanwhile_is_kept(
    bench: Bench, client: MemoryClient, tea: str, method: str, after: bool
) -> None:
    def come_and_leave() -> None:
        client.update(tea, importance=1.0)
        evict(bench)

    evict(bench)
    other = disturbed(bench, method, come_and_leave, after=after)
    other.update(tea, tags=["z"])
    found = got(client, tea)
    assert (found.tags, found.importance) == (("z",), 1.0)


@pytest.mark.parametrize("evicted", [False, True])
def test_what_is_forgotten_meanwhile_stays_forgotten(
    bench: Bench, client: MemoryClient, tea: str, evicted: bool
) -> None:
    if evicted:
        evict(bench)
    other = disturbed(bench, "replace", lambda: client.forget(tea), after=False)
    with pytest.raises(NotFound):
        other.update(tea, tags=["z"])
    assert client.get(tea) is None


def test_a_change_of_others_all_the_time_is_a_conflict(bench: Bench, client: MemoryClient, tea: str) -> None:
    class Busy:
        def __init__(self) -> None:
            self.tries = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.world.hot, name)

        def replace(self, item: MemoryItem, version: int, **options: Any) -> Any:
            self.tries += 1
            client.update(tea, metadata={"n": self.tries})
            return bench.world.hot.replace(item, version, **options)

    hot, bench.world.hot = bench.world.hot, Busy()
    busy = bench.world.hot
    other = bench.client()
    bench.world.hot = hot
    with pytest.raises(Conflict, match=f"{tea} is being changed by others"):
        other.update(tea, tags=["z"])
    assert busy.tries == TRIES
    assert (got(client, tea).tags, got(client, tea).metadata) == (("x", "y"), {"n": TRIES})


# What is away.


def test_while_redis_is_away_nothing_is_changed_and_nothing_spooled(
    bench: Bench, client: MemoryClient, tea: str
) -> None:
    hot, bench.world.hot = bench.world.hot, Away(bench.world.hot, "read", "write", "replace")
    away = bench.client(near=True)
    with pytest.raises(Unavailable, match=f"{tea} may not be changed yet: .* call update\\(\\) again"):
        away.update(tea, content="Ann drinks coffee.")
    assert bench.world.spool.empty()
    bench.world.hot = hot
    assert got(client, tea).content == "Ann drinks tea."


def test_what_waits_in_the_spool_is_not_passed_by(bench: Bench, tea: str) -> None:
    client = bench.client(Held)
    spooled = MemoryItem.build(id=tea, persona="athena", content="Ann drinks milk.", **FIELDS)
    bench.world.spool.write([(spooled, None)], above=0)
    with pytest.raises(Unavailable, match="earlier writes wait in the spool"):
        client.update(tea, tags=["z"])


def test_the_workers_bring_what_this_process_cannot_read(bench: Bench, client: MemoryClient, tea: str) -> None:
    evict(bench)
    broken = Away(bench.world.archive, "load")
    archive, bench.world.archive = bench.world.archive, broken
    near = bench.client(near=True)
    near._fetch = lambda persona, ids: client._fetch(persona, ids)  # type: ignore[method-assign] # as workers do
    bench.world.archive = archive
    assert near.update(tea, tags=["z"]).content == "Ann drinks tea."
    assert got(client, tea).tags == ("z",)


def test_without_workers_what_has_left_redis_is_not_changed(bench: Bench, tea: str) -> None:
    evict(bench)
    with pytest.raises(Unavailable, match="no worker"):
        bench.client(Workerless).update(tea, tags=["z"])
    assert bench.client(Workerless, near=True).update(tea, tags=["z"]).tags == ("z",)
