"""The items and the backend of v3.5 over a client of stubs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.clients import Bench
from tests.unit.compats import item, run
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat import (
    Context,
    HybridMemoryBackend,
    MemoryItem,
    MemoryPriority,
    MemoryType,
    Query,
    create_hybrid_backend,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*Trinitas v3.5:DeprecationWarning")

LATIN = "Python programming", "Python development", "Java programming"


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client(persona=None)


@pytest.fixture
def backend(client: MemoryClient) -> Iterator[HybridMemoryBackend]:
    made = create_hybrid_backend(client=client)
    yield made
    made.memories.close()


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/St_Johns"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


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


@pytest.mark.parametrize("timestamp", [datetime.min, datetime.max])
def test_a_time_out_of_reach_is_refused_or_kept(backend: HybridMemoryBackend, timestamp: datetime, zone: str) -> None:
    stored = item("x", timestamp=timestamp)
    if run(backend.store(stored)):
        assert run(backend.retrieve(stored.id)) == stored, zone


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
