"""The names of v3.5 over a client of stubs: what they store, find and share."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.clients import Bench, Workerless
from tests.unit.world import Away
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat import (
    Context,
    EnhancedMemoryManager,
    HybridMemoryBackend,
    MemoryItem,
    MemoryPriority,
    MemoryType,
    Query,
    TrinitasMemoryManager,
    create_hybrid_backend,
)
from trinitas_tasks.errors import InvalidMemory, NotFound

pytestmark = pytest.mark.filterwarnings("ignore:.*Trinitas v3.5:DeprecationWarning")

T = TypeVar("T")
LATIN = "Python programming", "Python development", "Java programming"


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for client in made.closing:
        client.close()


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client(persona=None)


@pytest.fixture
def backend(client: MemoryClient) -> Iterator[HybridMemoryBackend]:
    made = create_hybrid_backend(client=client)
    yield made
    made.memories.close()


@pytest.fixture
def manager(client: MemoryClient, tmp_path: Path) -> Iterator[TrinitasMemoryManager]:
    made = TrinitasMemoryManager(str(tmp_path), client=client)
    yield made
    made._memories.close()


@pytest.fixture
def enhanced(client: MemoryClient) -> Iterator[EnhancedMemoryManager]:
    made = EnhancedMemoryManager("Athena", client=client)
    yield made
    made.backend.memories.close()


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/St_Johns"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def run(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


def item(content: Any = "Python programming", **fields: Any) -> MemoryItem:
    return MemoryItem(**{"id": "", "type": MemoryType.SEMANTIC, "persona": "athena", **fields, "content": content})


# Items.


def test_an_item_without_an_id_has_the_one_that_v35_gave() -> None:
    when = datetime(2025, 8, 30, 12, 0, 0, 123456)
    made = item({"b": 1, "a": "記憶"}, timestamp=when)
    # sha256 of PERSONA_CONTENT_TIMESTAMP, as v3.5's source has it, computed apart from this package
    assert made.id == "328c65e42802e753"
    assert item({"a": "記憶", "b": 1}, timestamp=when).id == made.id
    assert item("x", id="kept").id == "kept"
    assert item("x").id != item("x", persona="hestia").id


def test_the_defaults_are_those_of_v35() -> None:
    made = MemoryItem("", "x", MemoryType.WORKING, "athena")
    assert (made.importance, made.ttl, made.metadata, made.tags, made.access_count) == (0.5, None, {}, [], 0)
    assert abs(made.timestamp - datetime.now()) < timedelta(minutes=1)
    assert made.timestamp.tzinfo is None
    query = Query("x")
    assert (query.context, query.limit, query.threshold, query.types()) == (None, 5, 0.7, [])
    assert Context("x") == Context("x", [], {}, [])
    assert [each.value for each in MemoryPriority] == [5, 4, 3, 2, 1]
    assert [each.value for each in MemoryType] == ["working", "episodic", "semantic", "procedural"]


def test_a_query_names_the_types_that_it_needs() -> None:
    assert Query("x", needs_experience=True).types() == [MemoryType.WORKING, MemoryType.EPISODIC]
    assert Query("x", needs_knowledge=True, needs_procedure=True).types() == [
        MemoryType.SEMANTIC,
        MemoryType.PROCEDURAL,
    ]
    assert Query("x", None, True, True, True).types() == []


# The backend.


def test_what_is_retrieved_equals_what_was_stored(backend: HybridMemoryBackend, zone: str) -> None:
    stored = item(
        {"決定": ["Redis", 1, 2.5, None, True]},
        importance=0.85, tags=["b", "a", "b", "タグ"], metadata={"nested": {"x": [1]}}, ttl=60,
        timestamp=datetime(2025, 3, 4, 5, 6, 7, 891011),
    )  # fmt: skip

    async def both() -> MemoryItem | None:
        assert await backend.store(stored) is True
        return await backend.retrieve(stored.id)

    assert run(both()) == stored, zone


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


@given(
    content=JSON.filter(lambda each: each is not None and not (isinstance(each, str) and not each.strip())),
    kind=st.sampled_from(MemoryType),
    timestamp=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
    importance=st.floats(0, 1),
    metadata=st.dictionaries(PLAIN, JSON, max_size=3),
    tags=st.lists(PLAIN.filter(bool), max_size=4),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_item_is_retrieved_as_it_was_stored(
    backend: HybridMemoryBackend, content: Any, kind: MemoryType, timestamp: datetime, importance: float,
    metadata: dict[str, Any], tags: list[str],
) -> None:  # fmt: skip
    if datetime.fromtimestamp(timestamp.timestamp()) != timestamp:
        return  # an hour that the zone's clocks left out
    stored = item(
        content, type=kind, timestamp=timestamp, importance=importance, metadata=metadata, tags=tags
    )  # fmt: skip

    async def both() -> MemoryItem | None:
        assert await backend.store(stored)
        return await backend.retrieve(stored.id)

    assert run(both()) == stored


def test_what_json_writes_otherwise_is_stored_as_v35_wrote_it(backend: HybridMemoryBackend) -> None:
    stored = item({1: ("a", "b")})
    assert run(backend.store(stored))
    found = run(backend.retrieve(stored.id))
    assert found is not None
    assert found.content == {"1": ["a", "b"]}


def test_storing_an_id_again_replaces_it(backend: HybridMemoryBackend) -> None:
    async def twice() -> list[MemoryItem]:
        await asyncio.gather(*(backend.store(item(f"version {number}", id="a1")) for number in range(300)))
        return await backend.search(Query("version"), "athena")

    assert [each.content for each in run(twice())] == ["version 299"]


def test_search_finds_what_was_just_stored(backend: HybridMemoryBackend) -> None:
    async def searched() -> list[MemoryItem]:
        for text in LATIN:
            await backend.store(item(text))
        return await backend.search(Query("Python coding", limit=2), persona="athena")

    found = run(searched())
    assert sorted(each.content for each in found) == ["Python development", "Python programming"]
    assert {each.persona for each in found} == {"athena"}


def test_search_looks_at_the_persona_the_types_and_the_limit(backend: HybridMemoryBackend) -> None:
    async def searched(persona: str, **fields: Any) -> set[str]:
        return {each.content for each in await backend.search(Query("alpha", **fields), persona)}

    async def check() -> None:
        for number, kind in enumerate(MemoryType):
            await backend.store(item(f"alpha {kind.value}", type=kind))
            await backend.store(item(f"alpha {number} of hestia", type=kind, persona="hestia"))
        assert await searched("athena") == {f"alpha {kind.value}" for kind in MemoryType}
        assert await searched("athena", needs_experience=True) == {"alpha working", "alpha episodic"}
        assert await searched("athena", needs_knowledge=True) == {"alpha semantic"}
        assert len(await searched("hestia", limit=3)) == 3
        assert len(await searched("", limit=100)) == 8
        assert await searched("hestia", limit=0) == set()

    run(check())


def test_near_duplicates_are_all_found(backend: HybridMemoryBackend) -> None:
    async def searched() -> int:
        for number in range(4):
            await backend.store(item("The deploy went well.", timestamp=datetime(2025, 1, 1, number)))
        return len(await backend.search(Query("deploy"), "athena"))

    assert run(searched()) == 4


def test_a_deleted_item_is_gone(backend: HybridMemoryBackend) -> None:
    async def check() -> None:
        kept, gone = item("keep"), item("alpha goes")
        await asyncio.gather(backend.store(kept), backend.store(gone))
        assert await backend.delete(gone.id) is True
        assert await backend.retrieve(gone.id) is None
        assert await backend.search(Query("alpha"), "athena") == [kept]  # the next best
        assert await backend.retrieve(kept.id) == kept
        assert await backend.delete("nowhere") is True

    run(check())


def test_an_item_of_another_process_is_found_by_its_id(bench: Bench, backend: HybridMemoryBackend) -> None:
    others = create_hybrid_backend(client=bench.client(persona=None))
    stored = item("x", persona="seshat")
    run(others.store(stored))
    assert run(backend.retrieve(stored.id)) == stored
    strange = item("x", persona="stranger")
    run(others.store(strange))
    assert run(backend.retrieve(strange.id)) is None
    assert run(create_hybrid_backend(persona="stranger", client=bench.client()).retrieve(strange.id)) == strange


def test_an_item_of_nobody_belongs_to_the_backends_persona(backend: HybridMemoryBackend) -> None:
    stored = item("x", persona="")
    assert run(backend.store(stored))
    assert stored.persona == "shared"
    assert run(backend.retrieve(stored.id)) == stored


def test_one_bad_item_keeps_no_other_one_out(backend: HybridMemoryBackend, caplog: pytest.LogCaptureFixture) -> None:
    items = [item(f"fine {number}") for number in range(20)] + [item("x", importance=7.0), item("", id="empty")]

    async def check() -> None:
        assert await asyncio.gather(*map(backend.store, items)) == [True] * 20 + [False] * 2
        assert all([await backend.retrieve(each.id) == each for each in items[:20]])

    run(check())
    assert "importance" in caplog.text
    assert "the content is empty" in caplog.text


@pytest.mark.parametrize("timestamp", [datetime.min, datetime.max])
def test_a_time_out_of_reach_is_refused_or_kept(backend: HybridMemoryBackend, timestamp: datetime, zone: str) -> None:
    stored = item("x", timestamp=timestamp)
    if run(backend.store(stored)):
        assert run(backend.retrieve(stored.id)) == stored, zone


def test_ten_thousand_stores_at_once_need_few_threads_and_few_calls(
    backend: HybridMemoryBackend, monkeypatch: pytest.MonkeyPatch, client: MemoryClient
) -> None:
    calls: list[int] = []
    threads: set[str] = set()
    remember_many = client.remember_many

    def counted(memories: Any) -> list[str]:
        calls.append(len(memories))
        threads.update(each.name for each in threading.enumerate())
        return remember_many(memories)

    monkeypatch.setattr(client, "remember_many", counted)
    monkeypatch.setattr(client._dispatcher, "tell", lambda _: None)

    async def store() -> list[bool]:
        return await asyncio.gather(*(backend.store(item(f"memory {number}")) for number in range(10_000)))

    assert run(store()) == [True] * 10_000
    assert sum(calls) == 10_000
    assert len(calls) < 1000
    assert sum(name.startswith("trinitas-compat") for name in threads) <= 5


def test_who_no_longer_waits_disturbs_nobody(backend: HybridMemoryBackend) -> None:
    async def check() -> None:
        tasks = [asyncio.create_task(backend.store(item(f"memory {number}"))) for number in range(50)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert ended[1::2] == [True] * 25
        assert await backend.store(item("and after it"))

    run(check())


def test_while_nobody_can_keep_it_it_says_so_as_v35_did(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.world.hot = Away(
        bench.world.hot, "write", "read", "read_scoped", "forget", "pending", "probe", "ping", "stats"
    )
    bench.world.spool = Away(bench.world.spool, "write", "latest", "forget", "pending")
    backend = create_hybrid_backend(client=bench.client(Workerless, persona=None))

    async def check() -> None:
        assert await backend.store(item("x")) is False
        assert await backend.retrieve("x1") is None
        assert await backend.search(Query("x"), "athena") == []
        assert await backend.delete("x1") is False

    run(check())
    assert [record.levelno for record in caplog.records if "compat" in record.name] == [logging.ERROR] * 4
    enhanced = EnhancedMemoryManager(client=bench.client(Workerless, persona=None))
    assert run(enhanced.remember("athena", "x")) is None
    health = run(enhanced.health_check())
    assert (health["status"], health["backends"]["redis"]) == ("degraded", "unhealthy")


def test_a_backend_goes_on_after_cleanup_and_in_another_event_loop(backend: HybridMemoryBackend) -> None:
    stored = item("x")
    assert run(backend.initialize())
    assert run(backend.store(stored))
    run(backend.cleanup())
    assert run(backend.retrieve(stored.id)) == stored


def test_statistics_count_what_is_where(backend: HybridMemoryBackend) -> None:
    for number, kind in enumerate(MemoryType):
        run(backend.store(item(f"alpha {number}", type=kind)))
    told = run(backend.get_stats())
    assert told["backend"] == "hybrid"
    assert told["backends"]["chromadb"]["total_items"] + told["backends"]["redis"]["pending"] == 4
    assert all(each["connected"] for each in told["backends"].values())
    assert set(told["backends"]) == {"redis", "chromadb", "sqlite"}


# The managers.


def test_the_manager_knows_five_personas_and_no_other(manager: TrinitasMemoryManager) -> None:
    assert sorted(manager.personas) == ["artemis", "athena", "bellona", "hestia", "seshat"]
    for call in (
        manager.remember("zeus", "x"),
        manager.recall("zeus", "x"),
        manager.share_memory("zeus", "athena", "x"),
        manager.share_memory("athena", "zeus", "x"),
    ):
        with pytest.raises(ValueError, match=r"^Unknown persona: zeus$"):
            run(call)


@pytest.mark.parametrize(
    ("content", "trinitas", "enhanced"),
    [
        ("The Algorithm of the sort", MemoryType.PROCEDURAL, MemoryType.PROCEDURAL),
        ({"name": "x", "steps": []}, MemoryType.PROCEDURAL, MemoryType.PROCEDURAL),
        ("Standard procedure", MemoryType.EPISODIC, MemoryType.PROCEDURAL),
        ("Definition of done", MemoryType.SEMANTIC, MemoryType.SEMANTIC),
        ("Redesigned", MemoryType.EPISODIC, MemoryType.SEMANTIC),
        ("It happened again", MemoryType.EPISODIC, MemoryType.EPISODIC),
        ("東京", MemoryType.EPISODIC, MemoryType.WORKING),
    ],
)
def test_a_type_is_inferred_as_each_manager_did(
    content: Any, trinitas: MemoryType, enhanced: MemoryType, manager: TrinitasMemoryManager, client: MemoryClient
) -> None:
    assert run(manager.remember("athena", content)).type is trinitas
    other = run(EnhancedMemoryManager(client=client).remember("athena", content))
    assert other is not None
    assert other.type is enhanced
    given = run(manager.remember("athena", content, memory_type=MemoryType.WORKING))
    assert given.type is MemoryType.WORKING


def test_recall_sees_what_was_just_remembered(manager: TrinitasMemoryManager, client: MemoryClient) -> None:
    made = run(manager.remember("athena", {"decision": "Use microservices"}, importance=0.9, tags=["b", "a"]))
    found = run(manager.recall("athena", "microservices", Context("design"), limit=3))
    assert found == [made]
    assert found[0].access_count >= 1
    assert run(manager.recall("hestia", "microservices")) == []
    assert client.get(made.id, persona="athena") is not None


def test_an_empty_text_recalls_all_page_by_page(
    manager: TrinitasMemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trinitas_tasks.compat.memories.PAGE", 7)
    made = {run(manager.remember("athena", f"memory {number}")).id for number in range(20)}
    assert {each.id for each in run(manager.recall("athena", "", limit=10_000))} == made
    assert len(run(manager.recall("athena", "", limit=9))) == 9


def test_two_equal_memories_are_two(manager: TrinitasMemoryManager) -> None:
    assert run(manager.remember("athena", "Thanks!")).id != run(manager.remember("athena", "Thanks!")).id


def test_the_manager_tells_what_cannot_be_remembered(manager: TrinitasMemoryManager) -> None:
    with pytest.raises(InvalidMemory, match="importance"):
        run(manager.remember("athena", "x", importance=2.0))


def test_a_shared_memory_is_the_others_from_then_on(manager: TrinitasMemoryManager, client: MemoryClient) -> None:
    made = run(manager.remember("hestia", "A SQL injection was blocked", importance=1.0))
    assert run(manager.recall("athena", "injection")) == []
    run(manager.share_memory("hestia", "athena", made.id))
    found = run(manager.recall("athena", "injection"))
    assert [(each.id, each.persona, each.metadata) for each in found] == [
        (made.id, "athena", {"shared_from": "hestia"})
    ]
    assert run(manager.recall("hestia", "injection")) == [made]
    run(manager.share_memory("athena", "seshat", made.id))  # what was shared can be shared on
    assert client.shared_with(made.id, persona="hestia") == {"athena", "seshat"}


def test_a_missing_memory_to_share_is_only_warned_about(
    manager: TrinitasMemoryManager, caplog: pytest.LogCaptureFixture
) -> None:
    run(manager.share_memory("hestia", "athena", "0123456789abcdef"))
    assert "0123456789abcdef not found in hestia" in caplog.text


def test_a_memory_forgotten_while_it_is_shared_is_missing(
    manager: TrinitasMemoryManager,
    client: MemoryClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = run(manager.remember("hestia", "x"))

    def gone(*_: object, **__: object) -> None:
        raise NotFound("hestia has no memory")

    monkeypatch.setattr(client, "share", gone)
    run(manager.share_memory("hestia", "athena", made.id))
    assert "not found in hestia" in caplog.text


def test_the_managers_statistics_have_the_keys_of_v35(manager: TrinitasMemoryManager) -> None:
    run(manager.remember("athena", "x", MemoryType.WORKING))
    told = manager.get_statistics()
    assert set(told) == set(manager.personas)
    assert told["athena"] == {"working_memory_size": 1, "working_memory_capacity": 9}


def test_the_files_of_v35_are_not_read_and_that_is_said(
    tmp_path: Path, client: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    TrinitasMemoryManager(str(tmp_path / "empty"), client=client)
    assert not caplog.text
    (tmp_path / "athena").mkdir()
    (tmp_path / "athena" / "episodes.db").touch()
    TrinitasMemoryManager(str(tmp_path), client=client)
    assert "trinitas migrate legacy" in caplog.text


def test_semantic_search_asks_all_personas_and_orders_by_importance(enhanced: EnhancedMemoryManager) -> None:
    async def check() -> None:
        await enhanced.remember("athena", "alpha one", importance=0.2, tags=["t"], metadata={"k": 1})
        await enhanced.remember("hestia", "alpha two", importance=0.9)
        await enhanced.remember("stranger", "alpha three", importance=1.0)
        found = await enhanced.semantic_search("alpha")
        assert [(each["persona"], each["content"]) for each in found] == [
            ("hestia", "alpha two"),
            ("athena", "alpha one"),
        ]
        assert set(found[0]) == {"persona", "content", "type", "importance", "timestamp", "tags"}
        assert datetime.fromisoformat(found[0]["timestamp"]).tzinfo is None
        assert len(await enhanced.semantic_search("alpha", ["athena", "hestia", "stranger"], limit=2)) == 2

    run(check())


def test_the_enhanced_manager_recalls_shares_and_counts(enhanced: EnhancedMemoryManager) -> None:
    async def check() -> None:
        assert await enhanced.initialize() is True
        made = await enhanced.remember("athena", "alpha concept", metadata={"k": 1})
        assert await enhanced.recall("athena", "alpha") == [made]
        assert await enhanced.recall("athena", "alpha", use_semantic=False) == []  # it is no experience
        assert await enhanced.cross_persona_share("athena", "bellona", "alpha") == 1
        assert [each.metadata for each in await enhanced.recall("bellona", "alpha")] == [
            {"k": 1, "shared_from": "athena"}
        ]
        told = await enhanced.get_statistics()
        assert (told["manager"]["total_stores"], told["manager"]["total_recalls"]) == (1, 4)
        assert (told["backend"]["backend"], told["cache_hit_rate"]) == ("hybrid", 0)
        health = await enhanced.health_check()
        assert health["status"] == "healthy"
        assert health["backends"] == {"redis": "healthy", "chromadb": "healthy", "sqlite": "healthy"}
        await enhanced.cleanup()

    run(check())
    assert enhanced.persona == "athena"
