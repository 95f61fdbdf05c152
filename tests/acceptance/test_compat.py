"""The code samples of v3.5's plan, on real services: what was written for it runs as it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support import wait_until
from trinitas_tasks import MemoryClient
from trinitas_tasks.compat import (
    EnhancedMemoryManager,
    HybridConfig,
    HybridMemoryBackend,
    MemoryItem,
    MemoryType,
    Query,
    TrinitasMemoryManager,
    create_hybrid_backend,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*Trinitas v3.5:DeprecationWarning")

T = TypeVar("T")
STORES = 10_000
SEARCHES = 1_000
QUESTIONS = 100
"""How many different ones: agents ask the same again."""


@pytest.fixture(autouse=True)
def _in_a_process_of_the_stack(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the environment that code of users has; patient, since the tests keep both cores busy."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("TRINITAS_HOME", str(home))
    monkeypatch.setenv("TRINITAS_REDIS_TIMEOUT_MS", "5000")
    monkeypatch.setenv("TRINITAS_DEADLINE_MS", "30000")


@pytest.fixture
def backend() -> Iterator[HybridMemoryBackend]:
    made = create_hybrid_backend()
    yield made
    run(made.cleanup())


def run(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


def memory(content: Any, persona: str, **fields: Any) -> MemoryItem:
    return MemoryItem(**{"id": "", "type": MemoryType.SEMANTIC, "persona": persona, **fields, "content": content})


def test_what_is_retrieved_equals_what_was_stored(persona: str, client: MemoryClient) -> None:
    item = memory(
        {"決定": ["Redis", 1, 2.5, None], "reasoning": "Better scalability"}, persona, type=MemoryType.EPISODIC,
        importance=0.85, tags=["b", "a", "タグ"], metadata={"project": {"name": "店"}},
    )  # fmt: skip

    async def test_redis_fallback() -> None:
        backend = HybridMemoryBackend(HybridConfig(redis_enabled=False))
        assert await backend.store(item)
        assert await backend.retrieve(item.id) == item
        await asyncio.to_thread(wait_until, lambda: client.stats().vectors == 1, 60)
        assert await backend.retrieve(item.id) == item  # from the archive too
        assert await backend.delete(item.id)
        assert await backend.retrieve(item.id) is None
        await backend.cleanup()

    run(test_redis_fallback())


@pytest.mark.parametrize("wait", [False, True], ids=["fresh", "archived"])
def test_semantic_search(wait: bool, backend: HybridMemoryBackend, persona: str, client: MemoryClient) -> None:
    async def test_semantic_search() -> None:
        await backend.store(memory("Python programming", persona))
        await backend.store(memory("Python development", persona))
        await backend.store(memory("Java programming", persona))
        if wait:
            await asyncio.to_thread(wait_until, lambda: client.stats().vectors == 3, 60)
        results = await backend.search(Query(text="Python coding", limit=2), persona=persona)
        assert len(results) == 2
        assert all("Python" in each.content for each in results)

    run(test_semantic_search())


def test_high_load(backend: HybridMemoryBackend, persona: str, client: MemoryClient) -> None:
    items = [memory(f"memory {number}", persona, importance=number / STORES) for number in range(STORES)]

    async def test_high_load() -> None:
        assert await asyncio.gather(*(backend.store(item) for item in items)) == [True] * STORES
        again = await asyncio.gather(*(backend.retrieve(item.id) for item in items[::20]))
        assert again == items[::20]
        fresh = await asyncio.gather(*(backend.search(Query(text=f"memory {n}", limit=5), persona) for n in range(20)))
        assert Counter(map(len, fresh)) == {5: 20}  # while the workers embed; the rest when they have done so
        await asyncio.to_thread(wait_until, lambda: client.stats().vectors == STORES, 100)
        found = await asyncio.gather(
            *(
                backend.search(Query(text=f"memory {number % QUESTIONS}", limit=5), persona)
                for number in range(SEARCHES)
            )
        )
        assert Counter(map(len, found)) == {5: SEARCHES}

    run(test_high_load())
    with MemoryClient.connect(persona=persona) as fresh:  # acknowledged is kept, for everybody
        kept = [fresh.get(item.id) for item in items[7::50]]
    assert [each.content if each else None for each in kept] == [item.content for item in items[7::50]]


def test_a_memory_is_moved_persona_by_persona(backend: HybridMemoryBackend) -> None:
    """As the plan's migration did: everything of a persona is recalled by an empty text."""

    async def move() -> None:
        manager = TrinitasMemoryManager("/tmp/trinitas_memory")
        made = [await manager.remember("seshat", f"note {number}", importance=0.4) for number in range(30)]
        memories = await manager.recall("seshat", "", limit=10_000)
        assert {each.id for each in made} <= {each.id for each in memories}
        assert all([await backend.store(each) for each in memories])
        for each in made:
            assert await backend.retrieve(each.id) == each
            assert await backend.delete(each.id)
        await asyncio.to_thread(manager._memories.close)

    run(move())


def test_personas_share_as_in_the_demo(persona: str) -> None:
    async def demo() -> None:
        manager = EnhancedMemoryManager(persona)
        assert await manager.initialize()
        other = f"{persona}-x"
        incident = await manager.remember(
            persona, {"incident_type": "SQL Injection attempt"}, MemoryType.EPISODIC, 1.0, ["security"]
        )
        assert incident is not None
        assert await manager.recall(other, "SQL injection") == []
        assert await manager.cross_persona_share(persona, other, "security incident") == 1
        shared = await manager.recall(other, "SQL injection")
        assert [(each.id, each.content["incident_type"]) for each in shared] == [(incident.id, "SQL Injection attempt")]
        found = await manager.semantic_search("injection", [persona, other], limit=5)
        assert [each["persona"] for each in found] == [persona, other]
        assert (await manager.health_check())["backends"]["redis"] == "healthy"
        assert (await manager.get_statistics())["manager"]["total_stores"] == 1
        await manager.cleanup()

    run(demo())
