"""Many stores of v3.5's backend at once, and those that fail."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.clients import Bench, Workerless
from tests.unit.compats import item, run
from tests.unit.world import Away
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat import (
    EnhancedMemoryManager,
    HybridMemoryBackend,
    Query,
    create_hybrid_backend,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*Trinitas v3.5:DeprecationWarning")


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client(persona=None)


@pytest.fixture
def backend(client: MemoryClient) -> Iterator[HybridMemoryBackend]:
    made = create_hybrid_backend(client=client)
    yield made
    made.memories.close()


def test_one_bad_item_keeps_no_other_one_out(backend: HybridMemoryBackend, caplog: pytest.LogCaptureFixture) -> None:
    items = [item(f"fine {number}") for number in range(20)] + [item("x", importance=7.0), item("", id="empty")]

    async def check() -> None:
        assert await asyncio.gather(*map(backend.store, items)) == [True] * 20 + [False] * 2
        assert all([await backend.retrieve(each.id) == each for each in items[:20]])

    run(check())
    assert "importance" in caplog.text
    assert "the content is empty" in caplog.text


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
