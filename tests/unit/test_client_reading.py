"""What the client finds, forgets and says of its state."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.unit.clients import Bench, Held, Workerless, got, ids
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidQuery, TrinitasError, Unavailable
from trinitas_tasks.model import MemoryType
from trinitas_tasks.services.asking import MAX_QUERY_CHARACTERS
from trinitas_tasks.services.condition import Health
from trinitas_tasks.tasks.inline import InlineDispatcher


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client()


# Recalling.


def test_a_memory_is_recalled_with_its_score_and_where_it_was(client: MemoryClient) -> None:
    client.remember("Ann drinks green tea.")
    port = client.remember("The staging database moved to port 5433.", type="semantic")
    recall = client.recall("Which port has the staging database?")
    assert recall[0].item.id == port
    assert recall[0].tier == "redis"
    assert recall[0].score > recall[1].score > 0
    assert recall[0].why["dense_rank"] == 1
    assert {"chroma", "fulltext"} <= set(recall.answered)
    assert (recall.degraded, recall.cached) == ((), False)
    again = client.recall("Which port has the staging database?")
    assert again.cached
    assert (ids(again), [hit.score for hit in again]) == (ids(recall), [hit.score for hit in recall])


def test_a_write_is_recalled_at_once_although_no_worker_came(bench: Bench) -> None:
    client = bench.client(Held)
    assert ids(client.recall("green tea")) == []
    memory_id = client.remember("Ann drinks green tea.")
    assert ids(client.recall("green tea")) == [memory_id]
    client.remember("Ann drinks coffee.", id=memory_id)
    assert ids(client.recall("green tea")) == []
    assert ids(client.recall("coffee")) == [memory_id]


def test_what_left_the_hot_tier_is_got_and_recalled(bench: Bench, client: MemoryClient) -> None:
    one, two = client.remember("Ann drinks green tea."), client.remember("Bob drinks tea.")
    bench.world.advance(200_000)
    assert bench.world.hot.read("athena", [one, two], touch=False) == [None, None]
    assert got(client, one).content == "Ann drinks green tea."
    hits = {hit.item.id: hit.tier for hit in client.recall("tea")}
    assert hits == {one: "redis", two: "archive"}


def test_a_cached_answer_finds_memories_that_left_meanwhile(bench: Bench) -> None:
    client = bench.client(REDIS_TTL_CACHE=1_000_000, REDIS_TTL_EPISODIC=10)
    memory_id = client.remember("Ann drinks green tea.")
    client.recall("tea")
    bench.world.advance(11)
    recall = client.recall("tea")
    assert (ids(recall), recall.cached) == ([memory_id], True)


def test_types_and_limits_are_heard(client: MemoryClient) -> None:
    client.remember_many({"content": f"tea {each}"} for each in range(20))
    fact = client.remember("tea is a drink", type="semantic")
    assert len(client.recall("tea")) == 10
    assert len(client.recall("tea", limit=3)) == 3
    for types in ("semantic", ["semantic"], MemoryType.SEMANTIC, {MemoryType.SEMANTIC, "working"}):
        assert ids(client.recall("tea", types=types)) == [fact]


@pytest.mark.parametrize(
    "fields", [{"types": "dream"}, {"limit": 0}, {"limit": 10**6}, {"text": "a\0"}, {"text": "x" * 200_001}]
)
def test_a_bad_question_is_refused_by_name(client: MemoryClient, fields: dict[str, Any]) -> None:
    assert MAX_QUERY_CHARACTERS == 200_000
    with pytest.raises(InvalidQuery, match=f"^{next(iter(fields))}"):
        client.recall(**{"text": "tea", **fields})


# Forgetting.


@pytest.mark.parametrize("dispatcher", [InlineDispatcher, Held])
def test_a_forgotten_memory_is_gone_at_once(bench: Bench, dispatcher: type[InlineDispatcher]) -> None:
    bench.client().remember("Ann drinks green tea.", id="tea")
    client = bench.client(dispatcher)
    assert ids(client.recall("tea")) == ["tea"]
    client.forget("tea")
    client.forget("never-there")
    assert client.get("tea") is None
    assert ids(client.recall("tea")) == []
    client.remember("Ann drinks coffee.", id="tea")
    assert got(client, "tea").content == "Ann drinks coffee."


def test_what_was_forgotten_can_be_said_again(client: MemoryClient) -> None:
    first = client.remember("Ann drinks green tea.")
    client.forget(first)
    second = client.remember("Ann drinks green tea.")
    assert second != first
    assert ids(client.recall("tea")) == [second]


# Scope.


def test_nothing_leaks_between_personas(bench: Bench, client: MemoryClient) -> None:
    mine = client.remember("The secret is tea.", id="mine")
    hers = client.remember("The secret is tea.", persona="hera")
    assert client.get(mine, persona="hera") is None
    assert client.get(hers) is None
    assert ids(client.recall("secret", persona="hera")) == [hers]
    assert ids(client.recall("secret")) == [mine]
    client.forget(hers)
    client.forget(mine, persona="hera")
    assert got(client, hers, persona="hera").content == got(client, mine).content
    bench.world.advance(200_000)
    assert client.get(mine, persona="hera") is None
    assert client.recall("secret", persona="zeus").hits == ()
    assert client.stats(persona="zeus").by_type == {}


# Looking after it.


def test_stats_count_what_is_where(bench: Bench) -> None:
    held = bench.client(Held)
    held.remember_many([{"content": "a"}, {"content": "b", "type": "semantic"}])
    waiting = held.stats()
    assert (waiting.persona, waiting.pending, waiting.outbox, waiting.by_type) == ("athena", 2, 2, {})
    bench.world.advance(2)
    bench.client().remember("c")
    done = held.stats()
    assert (done.pending, done.lag_seconds, done.outbox) == (0, 0.0, 0)
    assert (done.by_type, done.vectors, done.unindexed, done.dead_letters) == ({"episodic": 2, "semantic": 1}, 3, 0, 0)
    assert done.degraded == ()


def test_without_workers_it_is_said_so(bench: Bench) -> None:
    client = bench.client(Workerless)
    memory_id = client.remember("tea")
    assert got(client, memory_id).content == "tea"
    stats = client.stats()
    assert (stats.pending, stats.by_type) == (1, None)
    assert stats.degraded[0].startswith("workers: ")
    with pytest.raises(Unavailable, match="no worker"):
        client.recall("tea")
    health = client.health()
    assert not health.ok
    assert health.parts["redis"] is None
    assert health.parts["search worker"] == "none runs"


def test_health_names_the_parts(client: MemoryClient) -> None:
    health = client.health()
    assert health == Health(True, dict.fromkeys(health.parts), ())
    assert health.parts.keys() >= {"redis", "archive", "chroma", "ingest worker", "search worker", "lifecycle worker"}


def test_a_client_can_be_used_in_a_with_block(bench: Bench) -> None:
    with bench.client() as client:
        assert client.remember("x")


# Threads.


def test_eight_threads_can_share_a_client(client: MemoryClient) -> None:
    made: dict[int, list[str]] = {}
    failures: list[Exception] = []

    def work(thread: int) -> None:
        try:
            mine = [client.remember(f"note {thread} {number}") for number in range(10)]
            mine += client.remember_many({"content": f"many {thread} {number}"} for number in range(10))
            client.recall(f"note {thread}")
            assert [got(client, each).persona for each in mine] == ["athena"] * 20
            client.forget(mine.pop())
            made[thread] = mine
        except (TrinitasError, AssertionError, RuntimeError, KeyError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    everything = {each for mine in made.values() for each in mine}
    assert len(everything) == 8 * 19
    assert set(ids(client.recall("note many", limit=1000))) == everything
    stats = client.stats()
    assert (stats.pending, stats.by_type, stats.vectors) == (0, {"episodic": 152}, 152)
